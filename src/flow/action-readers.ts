/**
 * Readers of those words of ovs-ofctl that stand for more than one action: outputs, set_field under a mask, and the setters
 * of OpenFlow 1.0, which 1.3 says with set_field. Used by the rows of actions.ts.
 */
import type { Action, Subfield } from './action.ts';
import { type ActionReader, endAtParenthesis, type ParseContext } from './action-row.ts';
import { FIELD_NAMES, FIELDS, type FieldName, type FieldValue, fullMask, isWide } from './fields.ts';
import { PORT } from './flow.ts';
import { isTagged, VLAN_PRESENT } from './match.ts';
import { transport } from './match-text.ts';
import { findPort, parsePort } from './port-text.ts';
import {
  cut,
  cutAt,
  FlowTextError,
  type KeyValue,
  keyValue,
  type Piece,
  parseDottedHex,
  parseNumber,
  splitList,
} from './scan.ts';
import { findSubfield, parseBits, parseSubfield, parseValue } from './values.ts';

/** What `CONTROLLER` without a length means: the packet whole (OFPCML_NO_BUFFER). */
const WHOLE_PACKET = 0xffff;

/** What one load writes, and what an output can be read from. */
const WORD_BITS = 64;

/** `output:1`, `output:NXM_NX_REG0[]` or `output(port=1,max_len=100)`. */
export const readOutput: ActionReader = (text, { portNumbers }) => {
  if (text.delimiter === '(') return readOutputTrunc(text, portNumbers);
  const source = findPort(text.value.text, portNumbers) === undefined ? findSubfield(text.value) : undefined;
  if (source !== undefined && source.length <= WORD_BITS) return { type: 'outputReg', source };
  return outputTo(parsePort(text.value, portNumbers));
};

/** The output action for a port. */
export function outputTo(port: number): Action {
  return port === PORT.controller ? { type: 'output', port, maxLength: WHOLE_PACKET } : { type: 'output', port };
}

function readOutputTrunc(text: KeyValue, portNumbers: ParseContext['portNumbers']): Action {
  const shape = 'output(port=1,max_len=100)';
  endAtParenthesis(text, shape);
  const parts = new Map(splitList(text.value).map((part) => [keyValue(part).key.text, keyValue(part).value]));
  const [port, maxLength] = [parts.get('port'), parts.get('max_len')];
  if (port === undefined || maxLength === undefined) throw new FlowTextError(text.whole, `should look like ${shape}`);
  return { type: 'outputTrunc', port: parsePort(port, portNumbers), maxLength: parseNumber(maxLength, 0xffffffff) };
}

/** `CONTROLLER:128`, `controller` or `controller(reason=invalid_ttl,id=5)`; where nothing else is said, it is an output. */
export function readController(reasons: readonly string[]): ActionReader {
  return (text) => {
    if (text.delimiter !== '(') {
      const maxLength = text.delimiter === '' ? WHOLE_PACKET : parseNumber(text.value, WHOLE_PACKET);
      return { type: 'output', port: PORT.controller, maxLength };
    }
    endAtParenthesis(text, 'controller(reason=invalid_ttl,max_len=128,id=5)');
    const action: { -readonly [Key in keyof Controller]: Controller[Key] } = { type: 'controller' };
    for (const part of splitList(text.value).map(keyValue)) readControllerPart(action, part, reasons);
    const { type, maxLength = WHOLE_PACKET, ...more } = action;
    if (Object.keys(more).length === 0) return { type: 'output', port: PORT.controller, maxLength };
    return maxLength === WHOLE_PACKET ? { type, ...more } : { type, maxLength, ...more };
  };
}

type Controller = Extract<Action, { readonly type: 'controller' }>;

function readControllerPart(
  action: { -readonly [Key in keyof Controller]: Controller[Key] },
  part: KeyValue,
  reasons: readonly string[],
): void {
  switch (part.key.text) {
    case 'reason': {
      const reason = reasons.indexOf(part.value.text);
      if (reason < 0) throw new FlowTextError(part.value, `should be one of ${reasons.join(', ')}`);
      if (reason !== 1) action.reason = reason;
      return;
    }
    case 'max_len':
      action.maxLength = parseNumber(part.value, WHOLE_PACKET);
      return;
    case 'id': {
      const controllerId = parseNumber(part.value, 0xffff);
      if (controllerId !== 0) action.controllerId = controllerId;
      return;
    }
    case 'userdata': {
      const userdata = parseDottedHex(part.value);
      if (userdata.length > 0) action.userdata = userdata;
      return;
    }
    case 'pause':
      action.pause = true;
      return;
    case 'meter_id':
      action.meter = parseNumber(part.value, 0xffffffff);
      return;
    default:
      throw new FlowTextError(part.whole, 'should be reason, max_len, id, userdata, pause or meter_id');
  }
}

/** `resubmit:1`, `resubmit(1,2)`, `resubmit(,2)` or `resubmit(,2,ct)`; the port of the packet is the default. */
export const readResubmit: ActionReader = (text, { portNumbers }) => {
  const shape = 'resubmit:1, resubmit(1,2), resubmit(,2) or resubmit(,2,ct)';
  if (text.delimiter === '(') endAtParenthesis(text, shape);
  const { before: portPiece, after: rest } = cut(text.value, ',');
  const { before: tablePiece, after: ct } = rest === undefined ? {} : cut(rest, ',');
  const port = portPiece.text === '' ? PORT.inPort : parsePort(portPiece, portNumbers);
  const table = tablePiece === undefined || tablePiece.text === '' ? undefined : parseNumber(tablePiece, 254);
  if ((ct !== undefined && ct.text !== 'ct') || (port === PORT.inPort && table === undefined)) {
    throw new FlowTextError(text.whole, `should look like ${shape}`);
  }
  return {
    type: 'resubmit',
    ...(port === PORT.inPort ? {} : { port }),
    ...(table === undefined ? {} : { table }),
    ...(ct === undefined ? {} : { withCt: true }),
  };
};

/** A reader for `push:NXM_NX_REG0[]` and `pop:NXM_NX_REG0[]`. */
export function readPushPop(make: (subfield: Subfield) => Action): ActionReader {
  return (text) => make(parseSubfield(text.value));
}

/** `set_field:5->reg0`, or under a mask, which OpenFlow 1.3 says with loads. */
export const readSetField: ActionReader = (text, context) => {
  const [from, to] = cutAt(text.value, '->', 'set_field:fa:16:3e:00:00:01->eth_src');
  const field = FIELD_NAMES.get(to.text);
  if (field === undefined) throw new FlowTextError(to, 'is no field');
  if (FIELDS[field].access === 'read') throw new FlowTextError(to, 'can be matched only, not set');
  return setField(field, from, context);
};

function setField(field: FieldName, from: Piece, context: ParseContext): readonly Action[] {
  const entry = parseValue(field, from, context);
  if (entry === undefined) throw new FlowTextError(from, 'should be a value');
  if (typeof entry === 'object') return setUnderMask(field, entry.value, entry.mask);
  if (entry > fullMask(field)) {
    throw new FlowTextError(from, `${FIELDS[field].ovsName} has only ${FIELDS[field].significantBits} bits`);
  }
  if (field === 'vlanVid' && Number(entry) < VLAN_PRESENT) {
    throw new FlowTextError(from, 'should be the VLAN id plus 4096 (OFPVID_PRESENT): 4097 for VLAN 1');
  }
  return [{ type: 'setField', field, value: entry }];
}

/**
 * A set_field under a mask as OpenFlow 1.3 has it: loads of each run of ones, the lowest first. That is what ovs-ofctl
 * sends and what the switch reports. The options of Geneve tunnels keep their mask, as in Open vSwitch.
 */
export function setUnderMask(field: FieldName, value: FieldValue, mask: FieldValue): readonly Action[] {
  if (field.startsWith('tunMetadata')) return [{ type: 'setField', field, value, mask }];
  const bits = FIELDS[field].significantBits;
  const [wideValue, wideMask] = [BigInt(value), BigInt(mask)];
  if (wideMask === (1n << BigInt(FIELDS[field].bits)) - 1n) return [{ type: 'setField', field, value }];
  const loads: Action[] = [];
  for (let start = 0; start < bits; start++) {
    let length = 0;
    while (start + length < bits && ((wideMask >> BigInt(start + length)) & 1n) === 1n) length++;
    if (length === 0) continue;
    loads.push(...loadBits({ field, start, length }, wideValue >> BigInt(start)));
    start += length;
  }
  return loads;
}

/** The loads that write the lowest bits of `value` into a bit range: one load writes at most 64 bits. */
function loadBits({ field, start, length }: Subfield, value: bigint): readonly Action[] {
  const loads: Action[] = [];
  for (let done = 0; done < length; done += WORD_BITS) {
    const destination = { field, start: start + done, length: Math.min(WORD_BITS, length - done) };
    const part = (value >> BigInt(done)) & ((1n << BigInt(destination.length)) - 1n);
    loads.push({ type: 'load', destination, value: isWide(FIELDS[field]) ? part : Number(part) });
  }
  return loads;
}

/** `load:5->NXM_NX_REG0[0..15]`. */
export const readLoad: ActionReader = ({ value }) => {
  const [from, to] = cutAt(value, '->', 'load:5->NXM_NX_REG0[0..15]');
  const destination = parseSubfield(to);
  return loadBits(destination, BigInt(parseBits(from, destination)));
};

/** A setter of OpenFlow 1.0 for one field. */
function setter(field: FieldName): ActionReader {
  return (text, context) => setField(field, text.value, context);
}

/** Whether the packet has a VLAN header where an action stands. */
function isTaggedHere({ match, before }: ParseContext): boolean {
  let tagged = isTagged(match);
  for (const action of before) {
    if (action.type === 'pushVlan') tagged = true;
    if (action.type === 'popVlan') tagged = false;
  }
  return tagged;
}

/** The setters of VLANs push a header where there is none, as they do in OpenFlow 1.0. */
function vlanSetter(field: 'vlanVid' | 'vlanPcp'): ActionReader {
  return (text, context) => {
    const value = parseNumber(text.value, field === 'vlanVid' ? 0xfff : 7);
    const set: Action = { type: 'setField', field, value: field === 'vlanVid' ? value | VLAN_PRESENT : value };
    return isTaggedHere(context) ? set : [{ type: 'pushVlan', etherType: 0x8100 }, set];
  };
}

/** The words of OpenFlow 1.0 and of ovs-ofctl that 1.3 says with set_field. */
export const settersOfOpenflow10: { readonly [Word: string]: ActionReader } = {
  mod_vlan_vid: vlanSetter('vlanVid'),
  set_vlan_vid: vlanSetter('vlanVid'),
  mod_vlan_pcp: vlanSetter('vlanPcp'),
  set_vlan_pcp: vlanSetter('vlanPcp'),
  mod_dl_src: setter('ethSrc'),
  mod_dl_dst: setter('ethDst'),
  mod_nw_src: setter('ipv4Src'),
  mod_nw_dst: setter('ipv4Dst'),
  mod_nw_ecn: setter('ipEcn'),
  mod_nw_tos: ({ value }) => ({ type: 'setField', field: 'ipDscp', value: parseNumber(value, 255) >>> 2 }),
  mod_tp_src: (text, context) =>
    setField(transport(context.match, { tcp: 'tcpSrc', udp: 'udpSrc', sctp: 'sctpSrc' }), text.value, context),
  mod_tp_dst: (text, context) =>
    setField(transport(context.match, { tcp: 'tcpDst', udp: 'udpDst', sctp: 'sctpDst' }), text.value, context),
  set_mpls_label: setter('mplsLabel'),
  set_mpls_tc: setter('mplsTc'),
  set_tunnel: setter('tunnelId'),
  set_tunnel64: setter('tunnelId'),
};
