/** The rows of a run as a Markdown table, as docs/PERFORMANCE.md has it. Serves main.ts. */
import type { Row } from './measure.ts';

const HEAD = ['line', 'heddle', 'floor', 'ratio', 'target', ''] as const;

export function tableOf(rows: readonly Row[]): string {
  const lines = [HEAD, HEAD.map(() => '---'), ...rows.map(cellsOf)];
  return lines.map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

function cellsOf(row: Row): readonly string[] {
  const { what, unit, floor, floorIs, ratio, target = '', isMet, peers = {}, note } = row;
  const floorText = floor === undefined ? '' : `${figure(floor, unit)} (${floorIs})`;
  const verdict = isMet === undefined ? '' : isMet ? 'met' : '**missed**';
  const others = Object.entries(peers).map(([name, value]) => `${name}: ${figure(value, unit)}`);
  const notes = [...others, ...(note === undefined ? [] : [note])];
  const whatText = notes.length === 0 ? what : `${what} (${notes.join('; ')})`;
  return [whatText, figure(row.heddle, unit), floorText, ratio === undefined ? '' : ratio.toFixed(2), target, verdict];
}

export function figure(value: number, unit: Row['unit']): string {
  if (unit === 'exponent') return value.toFixed(2);
  const digits = Math.abs(value) < 10 ? 2 : Math.abs(value) < 100 ? 1 : 0;
  const text = value.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits });
  return unit === '/s' ? `${text}/s` : `${text} ${unit}`;
}
