/** The slow path of routers that are flows: what the controller calls. */
export {
  type AdvertisedNetwork,
  type AdvertiserState,
  advertiserStep,
  advertiserWakeMs,
  INITIAL_ADVERTISER,
} from './advertiser.ts';
export type { Neighbour, Refusal, RouterEffect } from './effects.ts';
export type {
  AllowedAddress,
  GuestPort,
  Place,
  RoutedNetwork,
  RouterAddress,
  RouterInterface,
  RouterModel,
} from './model.ts';
export { INITIAL_REASSEMBLER, type ReassemblerState, reassemble } from './reassembler.ts';
export {
  type HeldPacket,
  type NeededAddress,
  neighboursOf,
  type RememberedNeighbour,
  type ResolverEvent,
  type ResolverState,
  rememberedResolver,
  resolverStep,
  resolverWakeMs,
} from './resolver.ts';
export { type RouterPacket, type RouterQuestion, respond } from './responder.ts';
