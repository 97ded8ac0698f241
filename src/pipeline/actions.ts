/** Words for actions. What stands here prints as one word, or one group of words, of a dumped flow. */
import type { Action, LearnSpec, Subfield } from '../flow/action.ts';
import { FIELDS, type FieldName } from '../flow/fields.ts';
import { PORT } from '../flow/flow.ts';
import { ARP_OP } from './match.ts';

/** Actions that name no table. Those that do are said by the table's name: goto and learn of language.ts. */
export type PlainAction = Exclude<Action, { type: 'goto' | 'learn' | 'resubmit' }>;

const ETHERTYPE_VLAN = 0x8100;
const OFPVID_PRESENT = 0x1000;

/** No action at all. Written out, because a line without its verdict does not read. */
export const drop: readonly PlainAction[] = [];

export const output = (port: number): PlainAction => ({ type: 'output', port });

/** Output to each port, in ascending order: equal inputs, equal bytes. */
export const outputAll = (ports: Iterable<number>): readonly PlainAction[] =>
  [...new Set(ports)].sort((left, right) => left - right).map(output);

/** As a learning switch would. */
export const normal = output(PORT.normal);
/** Back to where it came from, which plain output never does. */
export const backToSender = output(PORT.inPort);

export const popVlan: PlainAction = { type: 'popVlan' };
/** Rewrites the tag that is there. */
export const setVlan = (vlan: number): PlainAction => ({
  type: 'setField',
  field: 'vlanVid',
  value: OFPVID_PRESENT | vlan,
});
/** Puts a tag on an untagged frame. */
export const pushVlan = (vlan: number): readonly PlainAction[] => [
  { type: 'pushVlan', etherType: ETHERTYPE_VLAN },
  setVlan(vlan),
];

/** VNI or key, as the tunnel port will write it. */
export const setTunnelId = (segmentationId: number): PlainAction => ({
  type: 'setField',
  field: 'tunnelId',
  value: BigInt(segmentationId),
});
export const setEthSrc = (mac: number): PlainAction => ({ type: 'setField', field: 'ethSrc', value: mac });
export const setEthDst = (mac: number): PlainAction => ({ type: 'setField', field: 'ethDst', value: mac });

/** All bits of a field. */
export const whole = (field: FieldName): Subfield => ({ field, start: 0, length: FIELDS[field].bits });

export const move = (source: FieldName, destination: FieldName): PlainAction => ({
  type: 'move',
  source: whole(source),
  destination: whole(destination),
});

/** From the request, the same for every answer. */
const TO_REPLY: PlainAction = { type: 'setField', field: 'arpOp', value: ARP_OP.reply };
const ASKER_MAC_TO_TARGET = move('arpSha', 'arpTha');
const ASKER_IP_TO_TARGET = move('arpSpa', 'arpTpa');
const BACK_TO_ASKER = move('ethSrc', 'ethDst');

/** Turns an ARP request into the reply that `ip` is at `mac`. */
export const arpAnswer = (mac: number, ip: number): readonly PlainAction[] => [
  TO_REPLY,
  ASKER_MAC_TO_TARGET,
  ASKER_IP_TO_TARGET,
  { type: 'setField', field: 'arpSha', value: mac },
  { type: 'setField', field: 'arpSpa', value: ip },
  BACK_TO_ASKER,
  setEthSrc(mac),
];

/** The same, and sends it back. */
export const arpReply = (mac: number, ip: number): readonly PlainAction[] => [...arpAnswer(mac, ip), backToSender];

/**
 * Learn the way back: frames of this VLAN to this sender leave by the tunnel port, and under the tunnel id, by which this
 * frame came.
 */
export const wayBack: readonly LearnSpec[] = [
  vlanIdOfFrame(),
  { kind: 'match', destination: whole('ethDst'), source: whole('ethSrc') },
  { kind: 'loadImmediate', destination: whole('vlanTci'), value: 0 },
  { kind: 'load', destination: whole('tunnelId'), source: whole('tunnelId') },
  { kind: 'output', source: whole('inPort') },
];

function vlanIdOfFrame(): LearnSpec {
  const vlanId: Subfield = { field: 'vlanTci', start: 0, length: 12 };
  return { kind: 'match', destination: vlanId, source: vlanId };
}
