/**
 * How commands print: aligned tables, colour on a terminal and none in a pipe, data to stdout, talk to stderr. Serves every
 * command; the text itself is made here and in the commands as plain strings, so that it can be tested.
 */
import { stripVTControlCharacters, styleText } from 'node:util';

/** Where a command writes, and what it may do there. `process` in the binary, an object in tests. */
export interface Terminal {
  /** Data. */
  readonly out: (text: string) => void;
  /** Talk: progress, warnings, errors. */
  readonly talk: (text: string) => void;
  readonly isColoured: boolean;
}

export type Style = Parameters<typeof styleText>[0];

export const paint = (terminal: Terminal, style: Style, text: string): string =>
  terminal.isColoured ? styleText(style, text, { validateStream: false }) : text;

/** Rows under a header, columns aligned, two blanks between them, no blanks at the ends of lines. */
export function formatTable(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [header, ...rows];
  const widths = header.map((_title, column) => Math.max(...all.map((row) => visibleLength(row[column] ?? ''))));
  const line = (row: readonly string[]): string =>
    row
      .map((cell, column) => cell + ' '.repeat(Math.max(0, (widths[column] ?? 0) - visibleLength(cell))))
      .join('  ')
      .trimEnd();
  return `${all.map(line).join('\n')}\n`;
}

const visibleLength = (text: string): number => stripVTControlCharacters(text).length;

/** `1 port`, `2 ports`. */
export const plural = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? '' : 's'}`;

/** JSON as commands print it: two blanks, bigints as decimal text, maps as objects. */
export const formatJson = (value: unknown): string =>
  `${JSON.stringify(
    value,
    (_key, item) => {
      if (typeof item === 'bigint') return item.toString();
      if (item instanceof Map) return Object.fromEntries(item);
      return item;
    },
    2,
  )}\n`;
