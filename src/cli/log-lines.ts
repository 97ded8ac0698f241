/**
 * Log lines for people: what pino writes as JSON, in one line to read, when `heddle run` has a terminal before it. In a pipe the
 * JSON stays as it is, for programs.
 */
import { paint, type Style, type Terminal } from './output.ts';

const LEVEL_WIDTH = 5;
const LEVEL_STYLES: Readonly<Record<string, Style>> = { warn: 'yellow', error: 'red', fatal: 'red', debug: 'dim' };

/** A JSON line of the log as `HH:MM:SS.mmm level host bridge  message  key=value …`, local time. What is no such line is left. */
export function formatLogLine(line: string, terminal: Terminal): string {
  const parsed = parse(line);
  if (parsed === undefined) return line;
  const { level, time, msg, host, bridge, ...rest } = parsed;
  const places = [host, bridge].filter((place) => place !== undefined).map(wordOf);
  const details = Object.entries(rest).map(([key, value]) => paint(terminal, 'dim', `${key}=`) + wordOf(value));
  const shownLevel = paint(terminal, LEVEL_STYLES[String(level)] ?? 'reset', String(level).padEnd(LEVEL_WIDTH));
  const what = [places.length === 0 ? undefined : paint(terminal, 'cyan', places.join(' ')), String(msg), ...details];
  const clock = paint(terminal, 'dim', clockOf(time));
  return `${clock} ${shownLevel} ${what.filter((part) => part !== undefined).join('  ')}\n`;
}

function parse(line: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null && 'msg' in value ? { ...value } : undefined;
  } catch {
    // Written by somebody else: a warning of the runtime, say.
    return undefined;
  }
}

function clockOf(time: unknown): string {
  const date = new Date(String(time));
  const two = (value: number): string => String(value).padStart(2, '0');
  const clock = [date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join(':');
  return `${clock}.${String(date.getMilliseconds()).padStart(3, '0')}`;
}

/** A list of words with commas between them, anything deeper as JSON. */
function wordOf(value: unknown): string {
  if (typeof value === 'string') return value;
  if (Array.isArray(value) && value.every((item) => typeof item === 'string')) return value.join(', ');
  return JSON.stringify(value);
}
