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
export { errorName } from './error-names.ts';
export { FrameCutter } from './frame.ts';
export * from './messages.ts';
export { Slab, SlabPool, type SlabPoolOptions } from './slab.ts';
export { WireError, type WireErrorCode } from './wire-error.ts';
