/**
 * `heddle/openflow`: OpenFlow 1.3 with the extensions of Open vSwitch, for others to use too.
 */
export {
  decodeInstructions,
  decodeMatch,
  decodeMessage,
  encodeInstructions,
  encodeMatch,
  encodeMessage,
  type FlowMod,
  readFlowStats,
  writeBundledFlowMod,
  writeFlowMod,
  writeMessage,
} from './codec.ts';
export {
  type BatchResult,
  type ConnectionHandlers,
  type PacketIn,
  type PacketOut,
  type RefusedMessage,
  SwitchConnection,
} from './connection.ts';
export { OpenFlowDialer, type OpenFlowDialerOptions } from './dialer.ts';
export { errorName } from './error-names.ts';
export type { ChannelContext } from './establish.ts';
export { cutFlowDump, type RawFlow } from './flow-dump.ts';
export { FrameCutter } from './frame.ts';
export { OpenFlowListener, type OpenFlowListenerOptions } from './listener.ts';
export * from './messages.ts';
export type { PacketInCounts } from './packet-in-budget.ts';
export { ConnectionClosedError, OpenFlowError } from './requests.ts';
export { Slab, SlabPool, type SlabPoolOptions } from './slab.ts';
export { WireError, type WireErrorCode } from './wire-error.ts';
