/**
 * The ping matrix of the demo: who reaches whom, as a table for eyes. Guests of different networks are asked too, for that
 * nobody answers there is as much heddle's work as that the others do.
 */
import { styleText } from 'node:util';

/** One question: undefined where no answer came. */
export interface Answer {
  readonly rttMs: number | undefined;
  /** Whether an answer is right: both are of one network. */
  readonly isExpected: boolean;
}

export interface Row {
  readonly name: string;
  /** What is said of the guest besides its name: host, address. */
  readonly details: readonly string[];
  /** One for each row, in their order; undefined where a guest would ask itself. */
  readonly answers: readonly (Answer | undefined)[];
}

export interface MatrixOptions {
  readonly isColoured: boolean;
}

type Style = 'green' | 'red' | 'dim';

function cellOf(answer: Answer | undefined): { text: string; style: Style } {
  if (answer === undefined) return { text: '-', style: 'dim' };
  const { rttMs, isExpected } = answer;
  if (rttMs === undefined) return isExpected ? { text: 'LOST', style: 'red' } : { text: '·', style: 'dim' };
  return { text: isExpected ? rttMs.toFixed(2) : `LEAK ${rttMs.toFixed(2)}`, style: isExpected ? 'green' : 'red' };
}

/** Whether every answer is as it should be. */
export function isRight(rows: readonly Row[]): boolean {
  return rows.every((row) =>
    row.answers.every((one) => one === undefined || (one.rttMs !== undefined) === one.isExpected),
  );
}

/** Lines of text, aligned; numbers are milliseconds. */
export function formatMatrix(rows: readonly Row[], options: MatrixOptions): string[] {
  const paint = (style: Style, text: string): string =>
    options.isColoured ? styleText(style, text, { validateStream: false }) : text;
  const cells = rows.map((row) => row.answers.map(cellOf));
  const widths = rows.map(({ name }, column) =>
    Math.max(name.length, ...cells.map((row) => row[column]?.text.length ?? 0)),
  );
  const heads = rows.map(({ name, details }) => [name, ...details]);
  const headWidths = (heads[0] ?? []).map((_cell, column) =>
    Math.max(...heads.map((head) => head[column]?.length ?? 0)),
  );
  const pad = (head: readonly string[]): string =>
    headWidths.map((width, column) => (head[column] ?? '').padEnd(width)).join('  ');
  const title = [pad([]), ...rows.map(({ name }, column) => name.padStart(widths[column] ?? 0))].join('  ');
  const lines = heads.map((head, index) => {
    const line = cells[index]?.map(({ text, style }, column) => paint(style, text.padStart(widths[column] ?? 0))) ?? [];
    return [pad(head), ...line].join('  ');
  });
  return [title, ...lines];
}
