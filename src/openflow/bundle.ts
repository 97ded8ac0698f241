/**
 * ONF extension 230 on OpenFlow 1.3: bundles as bytes. Serves connection.ts. A bundle-add message is a header of 24 bytes and
 * the whole message that it carries, under the same xid:
 *
 *      0         4      8          12     16        20     22      24
 *     +---------+------+----------+------+---------+------+-------+---------------------
 *     | v4 t4 len | xid | 0x4f4e4600| 2301 | bundleId| pad  | flags | the message
 *     +---------+------+----------+------+---------+------+-------+---------------------
 */
import { invariant } from '../lib/errors.ts';
import { LIMITS } from '../lib/limits.ts';
import { OFPT_EXPERIMENTER, ONF_BUNDLE_ADD } from './experimenter-codec.ts';
import { OPENFLOW_VERSION } from './flow-codec.ts';
import { BUNDLE_FLAGS } from './messages.ts';
import { ONF_EXPERIMENTER } from './oxm.ts';

/** All or nothing, and in the order in which the messages were added. */
export const BUNDLE_ATOMIC_ORDERED = BUNDLE_FLAGS.atomic | BUNDLE_FLAGS.ordered;

const ADD_HEADER_SIZE = 24;

/** Bytes that go to the socket in one piece. */
const SLAB_SIZE = 64 * 1024;

/** For what is left to write: a bundle of two flow-mods, of which one change sends ten, takes no memory of its own. */
const slabFor = (left: number): Buffer => Buffer.allocUnsafe(Math.min(left, SLAB_SIZE));

export interface BundleAddOptions {
  readonly bundleId: number;
  readonly firstXid: number;
}

/**
 * Bundle-add messages for `messages` (whole OpenFlow messages, whatever their xid), the n-th under xid `firstXid + n`. Gives
 * slabs of whole messages.
 */
export function* bundleAddSlabs(messages: readonly Uint8Array[], options: BundleAddOptions): Generator<Uint8Array> {
  let left = messages.reduce((sum, message) => sum + ADD_HEADER_SIZE + message.length, 0);
  let slab = slabFor(left);
  let used = 0;
  for (let index = 0; index < messages.length; index += 1) {
    const message = messages[index];
    invariant(message !== undefined, 'a bundle has no holes', { index });
    const size = ADD_HEADER_SIZE + message.length;
    invariant(size <= LIMITS.openflowMessageSize, 'a message fits into a bundle-add message', { size });
    if (used + size > slab.length) {
      yield slab.subarray(0, used);
      left -= used;
      slab = slabFor(left);
      used = 0;
    }
    const xid = options.firstXid + index;
    slab.writeUInt8(OPENFLOW_VERSION, used);
    slab.writeUInt8(OFPT_EXPERIMENTER, used + 1);
    slab.writeUInt16BE(size, used + 2);
    slab.writeUInt32BE(xid, used + 4);
    slab.writeUInt32BE(ONF_EXPERIMENTER, used + 8);
    slab.writeUInt32BE(ONF_BUNDLE_ADD, used + 12);
    slab.writeUInt32BE(options.bundleId, used + 16);
    slab.writeUInt16BE(0, used + 20);
    slab.writeUInt16BE(BUNDLE_ATOMIC_ORDERED, used + 22);
    slab.set(message, used + ADD_HEADER_SIZE);
    slab.writeUInt32BE(xid, used + ADD_HEADER_SIZE + 4);
    used += size;
  }
  if (used > 0) yield slab.subarray(0, used);
}

/** The messages themselves, one behind the other, the n-th under xid `firstXid + n`. */
export function* messageSlabs(messages: readonly Uint8Array[], firstXid: number): Generator<Uint8Array> {
  let left = messages.reduce((sum, message) => sum + message.length, 0);
  let slab = slabFor(left);
  let used = 0;
  for (let index = 0; index < messages.length; index += 1) {
    const message = messages[index];
    invariant(message !== undefined, 'a batch has no holes', { index });
    if (used + message.length > slab.length) {
      yield slab.subarray(0, used);
      left -= used;
      slab = slabFor(left);
      used = 0;
    }
    slab.set(message, used);
    slab.writeUInt32BE(firstXid + index, used + 4);
    used += message.length;
  }
  if (used > 0) yield slab.subarray(0, used);
}
