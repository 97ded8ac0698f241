/**
 * Ports as ovs-ofctl writes them: a number, a reserved word (`LOCAL`), or with a map of names the name of the interface.
 */
import { OFPORT_MAX, PORT } from './flow.ts';
import { FlowTextError, isNumberText, type Piece } from './scan.ts';

const RESERVED: readonly (readonly [number, string])[] = [
  [PORT.inPort, 'IN_PORT'],
  [PORT.table, 'TABLE'],
  [PORT.normal, 'NORMAL'],
  [PORT.flood, 'FLOOD'],
  [PORT.all, 'ALL'],
  [PORT.controller, 'CONTROLLER'],
  [PORT.local, 'LOCAL'],
  [PORT.any, 'ANY'],
];
const RESERVED_TEXT: ReadonlyMap<number, string> = new Map(RESERVED);
const RESERVED_NUMBER: ReadonlyMap<string, number> = new Map([
  ...RESERVED.map(([number, text]) => [text, number] as const),
  ['NONE', PORT.any],
]);

/** Where OpenFlow 1.0 kept the reserved ports, in 16 bits; ovs-ofctl still takes these numbers. */
const OPENFLOW10_RESERVED_MIN = 0xfff8;
const OPENFLOW10_PORT_MAX = 0xff00;

/** Whether a port is one of the reserved ones, which are printed as a word. */
export function isReservedPort(port: number): boolean {
  return RESERVED_TEXT.has(port);
}

/** `5`, `LOCAL`, or with a map of names `eth0` and `"tap-1"`. */
export function formatPort(port: number, names?: ReadonlyMap<number, string>): string {
  const reserved = RESERVED_TEXT.get(port);
  if (reserved !== undefined) return reserved;
  const name = names?.get(port);
  return name === undefined ? `${port}` : quoteName(name);
}

function quoteName(name: string): string {
  return /^[a-z][a-z0-9]*$/i.test(name) ? name : JSON.stringify(name);
}

/** The port of a text, or undefined where it is none. */
export function findPort(text: string, numbers?: ReadonlyMap<string, number>): number | undefined {
  const quoted = /^"(?:[^"\\]|\\.)*"$/.test(text);
  const named = numbers?.get(quoted ? String(JSON.parse(text)) : text);
  if (named !== undefined) return named;
  if (!isNumberText(text)) return RESERVED_NUMBER.get(text.toUpperCase());
  const number = Number(text);
  if (number >= OPENFLOW10_RESERVED_MIN && number <= 0xffff) return number + 0xffff0000;
  return number < OPENFLOW10_PORT_MAX || number >= OFPORT_MAX ? checkedPort(number) : undefined;
}

function checkedPort(number: number): number | undefined {
  return number <= PORT.any ? number : undefined;
}

export function parsePort(piece: Piece, numbers?: ReadonlyMap<string, number>): number {
  const port = findPort(piece.text, numbers);
  if (port === undefined) {
    const known = numbers === undefined ? '' : `, or one of the ${numbers.size} known port names`;
    throw new FlowTextError(piece, `should be a port: a number below 65280 or a word such as LOCAL or IN_PORT${known}`);
  }
  return port;
}
