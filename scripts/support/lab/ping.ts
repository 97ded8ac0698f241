/**
 * ping(8) with its answer as numbers: how many came back, how fast, and the longest silence in between.
 */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { eventually } from './command.ts';
import type { Namespace } from './namespace.ts';

export interface PingOptions {
  readonly count?: number;
  /** Bytes of the ICMP payload: the packet is 28 bytes longer over IPv4, 48 over IPv6. */
  readonly size?: number;
  /** Set it, and fragment nothing here either; or never set it. Absent: as the kernel does, which sets it on what fits. */
  readonly dontFragment?: boolean;
  readonly intervalMs?: number;
  /** How long the last request waits for its answer. */
  readonly waitMs?: number;
  readonly ttl?: number;
}

export interface PingResult {
  readonly sent: number;
  readonly received: number;
  /** Average round trip; undefined without an answer. */
  readonly rttMs: number | undefined;
  readonly output: string;
}

export interface RunningPingResult extends PingResult {
  /** Longest time between two answers. */
  readonly longestGapMs: number;
}

function read(output: string): PingResult {
  const counts = /(\d+) packets transmitted, (\d+) received/.exec(output);
  const rtt = /= [\d.]+\/([\d.]+)\//.exec(output)?.[1];
  return {
    sent: Number(counts?.[1] ?? 0),
    received: Number(counts?.[2] ?? 0),
    rttMs: rtt === undefined ? undefined : Number(rtt),
    output,
  };
}

export async function ping(namespace: Namespace, target: string, options: PingOptions = {}): Promise<PingResult> {
  const count = options.count ?? 3;
  const intervalMs = options.intervalMs ?? 50;
  const waitMs = options.waitMs ?? 1000;
  const flags = ['-n', '-c', `${count}`, '-i', `${intervalMs / 1000}`, '-W', `${waitMs / 1000}`];
  if (options.size !== undefined) flags.push('-s', `${options.size}`);
  if (options.dontFragment !== undefined) flags.push('-M', options.dontFragment ? 'do' : 'dont');
  if (options.ttl !== undefined) flags.push('-t', `${options.ttl}`);
  const { stdout, stderr } = await namespace.runAny(['ping', ...flags, target]);
  return read(`${stdout}${stderr}`);
}

/** A ping that goes on while the test does something. */
export class RunningPing {
  readonly #child: ChildProcess;
  #output = '';

  private constructor(child: ChildProcess) {
    this.#child = child;
    child.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
      this.#output += chunk;
    });
  }

  /** Start, and come back with the first answer, so that what is lost later is not the path's warming up. */
  static async start(namespace: Namespace, target: string, intervalMs: number): Promise<RunningPing> {
    const running = new RunningPing(namespace.start(['ping', '-n', '-D', '-i', `${intervalMs / 1000}`, target]));
    await eventually(`the first answer of ${target}`, () => running.received > 0);
    return running;
  }

  /** Answers so far. */
  get received(): number {
    return this.#output.match(/ bytes from /g)?.length ?? 0;
  }

  async stop(): Promise<RunningPingResult> {
    const closed = once(this.#child, 'close');
    this.#child.kill('SIGINT');
    await closed;
    const times = [...this.#output.matchAll(/^\[(\d+\.\d+)\] \d+ bytes from /gm)].map(
      (match) => Number(match[1]) * 1000,
    );
    const gaps = times.slice(1).map((time, index) => time - (times[index] ?? time));
    return { ...read(this.#output), longestGapMs: Math.round(Math.max(0, ...gaps)) };
  }
}
