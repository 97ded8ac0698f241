/**
 * Every name of an OFPT_ERROR against what the system's ovs-ofctl prints for the same bytes.
 */
import { describe, expect, it } from 'vitest';
import { decodeMessage, encodeMessage } from '../../src/openflow/codec.ts';
import { errorName } from '../../src/openflow/error-names.ts';
import type { MessageOf } from '../../src/openflow/messages.ts';
import { printedByOvs } from './second-opinion.ts';

const ONF = 0x4f4e4600;
const NICIRA = 0x0000_2320;
const EXPERIMENTER = 0xffff;

function errorMessage(errorType: number, code: number, experimenter?: number): MessageOf<'error'> {
  const name = errorName(errorType, code, experimenter);
  const message = { type: 'error', xid: 1, version: 4, errorType, code, name, data: new Uint8Array(0) } as const;
  return experimenter === undefined ? message : { ...message, experimenter };
}

describe('errors', () => {
  const errors: MessageOf<'error'>[] = [];
  for (let type = 0; type < 16; type++) {
    for (let code = 0; code < 32; code++) errors.push(errorMessage(type, code));
  }
  for (let code = 0; code < 64; code++) errors.push(errorMessage(EXPERIMENTER, code, NICIRA));
  for (let code = 2200; code < 2700; code++) errors.push(errorMessage(EXPERIMENTER, code, ONF));

  it('have the names that ovs-ofctl gives them', () => {
    const printed = printedByOvs(errors.map((error) => encodeMessage(error)));
    expect(printed.length).toBe(errors.length);
    const known = printed.map((text) => /^OFPT_ERROR [^:]*: ([A-Z]+_[A-Z_]+)/.exec(text)?.[1] ?? 'unknown');
    expect(errors.map(({ name }) => (name.startsWith('unknown') ? 'unknown' : name))).toEqual(known);
    expect(known.filter((name) => name !== 'unknown').length).toBeGreaterThan(150);
  });

  it('decode to themselves', () => {
    for (const error of errors) expect(decodeMessage(encodeMessage(error))).toEqual(error);
  });

  it('say what they are where nobody knows them', () => {
    expect(errorName(77, 3)).toBe('unknown error type 77, code 3');
    expect(errorName(EXPERIMENTER, 3, 0xdead)).toBe('unknown error 3 of experimenter 0x0000dead');
  });
});
