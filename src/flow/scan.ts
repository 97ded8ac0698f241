/**
 * Reading flow text: pieces that remember where they stand, so that every complaint can name the place. Serves parse.ts,
 * values.ts and the action rows.
 */
import { HeddleError } from '../lib/errors.ts';

/** A part of the text that is being parsed. */
export interface Piece {
  readonly text: string;
  /** Where it begins in the whole, 0-based. */
  readonly start: number;
}

/** Flow text that cannot be understood. Code `BAD_FLOW`; `context.position` is the 0-based character. */
export class FlowTextError extends HeddleError {
  constructor(piece: Piece, wanted: string) {
    const found = piece.text === '' ? 'nothing' : `"${piece.text}"`;
    super('BAD_FLOW', `${found} at character ${piece.start + 1}: ${wanted}`, {
      text: piece.text,
      position: piece.start,
    });
  }
}

/** The part of a piece from `from` (inclusive) to `to` (exclusive). */
export function slice(piece: Piece, from: number, to: number = piece.text.length): Piece {
  return { text: piece.text.slice(from, to), start: piece.start + from };
}

/** The piece without white space at either end. */
export function trim(piece: Piece): Piece {
  const from = piece.text.length - piece.text.trimStart().length;
  return { text: piece.text.trim(), start: piece.start + from };
}

/**
 * What stands between separators (by default commas and white space) outside of parentheses; empty parts are left out, as
 * ovs-ofctl does.
 */
export function splitList(piece: Piece, separators = ', \t\r\n'): Piece[] {
  const parts: Piece[] = [];
  let depth = 0;
  let begin = 0;
  for (let index = 0; index <= piece.text.length; index++) {
    const character = piece.text[index];
    if (character === '(') depth++;
    if (character === ')') depth--;
    if (depth < 0)
      throw new FlowTextError(slice(piece, index, index + 1), 'a parenthesis is closed that was not opened');
    if (character !== undefined && (depth > 0 || !separators.includes(character))) continue;
    if (index > begin) parts.push(slice(piece, begin, index));
    begin = index + 1;
  }
  if (depth > 0) throw new FlowTextError(piece, 'a parenthesis is not closed');
  return parts;
}

/** `key`, `key=value`, `key:value` or `key(value)tail`; absent parts are empty pieces. */
export interface KeyValue {
  readonly whole: Piece;
  readonly key: Piece;
  readonly delimiter: '' | '=' | ':' | '(';
  /** After the delimiter; for `(` what is inside the parentheses. */
  readonly value: Piece;
  /** What follows the closing parenthesis. */
  readonly tail: Piece;
}

export function keyValue(whole: Piece): KeyValue {
  const at = whole.text.search(/[=:(]/);
  const empty = slice(whole, whole.text.length);
  if (at < 0) return { whole, key: whole, delimiter: '', value: empty, tail: empty };
  const key = slice(whole, 0, at);
  const delimiter = whole.text[at];
  if (delimiter !== '(') {
    return { whole, key, delimiter: delimiter === '=' ? '=' : ':', value: slice(whole, at + 1), tail: empty };
  }
  const close = closingParenthesis(whole, at);
  return { whole, key, delimiter, value: slice(whole, at + 1, close), tail: slice(whole, close + 1) };
}

function closingParenthesis(piece: Piece, open: number): number {
  let depth = 0;
  for (let index = open; index < piece.text.length; index++) {
    if (piece.text[index] === '(') depth++;
    if (piece.text[index] === ')') depth--;
    if (depth === 0) return index;
  }
  throw new FlowTextError(slice(piece, open), 'a parenthesis is not closed');
}

/** `before` and `after` the first `mark`; without the mark, `after` is absent. */
export function cut(piece: Piece, mark: string): { readonly before: Piece; readonly after?: Piece } {
  const at = piece.text.indexOf(mark);
  if (at < 0) return { before: piece };
  return { before: slice(piece, 0, at), after: slice(piece, at + mark.length) };
}

/** Both sides of `mark`, which has to be there; `shape` says what the whole looks like. */
export function cutAt(piece: Piece, mark: string, shape: string): readonly [before: Piece, after: Piece] {
  const { before, after } = cut(piece, mark);
  if (after === undefined) throw new FlowTextError(piece, `should look like ${shape}`);
  return [before, after];
}

const NUMBER = /^(?:0x[0-9a-f]+|0|[1-9]\d*)$/i;

export function isNumberText(text: string): boolean {
  return NUMBER.test(text);
}

/** An unsigned number, decimal or 0x, at most `max`. */
export function parseNumber(piece: Piece, max: number): number {
  const value = NUMBER.test(piece.text) ? Number(piece.text) : Number.NaN;
  if (!(value <= max)) throw new FlowTextError(piece, `should be a number from 0 to ${max}, decimal or 0x…`);
  return value;
}

/** As parseNumber, in up to `bits` bits. */
export function parseBig(piece: Piece, bits: number): bigint {
  const value = NUMBER.test(piece.text) ? BigInt(piece.text) : -1n;
  if (value < 0n || value >> BigInt(bits) !== 0n) {
    throw new FlowTextError(piece, `should be a number of at most ${bits} bits, decimal or 0x…`);
  }
  return value;
}

/** Hex digits in pairs, dots between as one likes. */
export function parseDottedHex(piece: Piece): Uint8Array {
  const digits = piece.text.replaceAll('.', '');
  if (!/^(?:[0-9a-f]{2})*$/i.test(digits)) throw new FlowTextError(piece, 'should be bytes in hex, as in 00.1f.ff');
  return Uint8Array.from(digits.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}
