/**
 * tcpdump on one interface, ready before it is trusted, ended by a signal, read as text. A test that asserts silence
 * must find something else in the same capture that it expected: a capture that sees nothing proves nothing.
 */
import type { ChildProcess } from 'node:child_process';
import { HeddleError } from '../../../src/lib/errors.ts';
import type { Namespace } from './namespace.ts';

export interface CaptureOptions {
  readonly namespace: Namespace;
  readonly link: string;
  /** A filter of pcap-filter(7); all frames without one. */
  readonly filter?: string;
  /** Frames coming in or going out alone, as the interface sees them. */
  readonly direction?: 'in' | 'out';
}

/** A frame at the beginning of a line: `1731…​.123456 aa:bb:… > …`; inner frames of a tunnel follow on lines of their own. */
const FRAME = /^(?=\d+\.\d{6} )/m;

export class Capture {
  readonly #child: ChildProcess;
  readonly #closed: Promise<unknown>;
  #text = '';

  private constructor(child: ChildProcess) {
    this.#child = child;
    this.#closed = new Promise((resolve) => child.once('close', resolve));
    child.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
      this.#text += chunk;
    });
  }

  /** Start, and come back once tcpdump listens. */
  static async start(options: CaptureOptions): Promise<Capture> {
    const direction = options.direction ? ['-Q', options.direction] : [];
    const filter = options.filter ? [options.filter] : [];
    const child = options.namespace.start([
      'tcpdump',
      ...['-l', '-n', '-e', '-vv', '-tt', '--immediate-mode', '-s', '0', '-i', options.link],
      ...direction,
      ...filter,
    ]);
    const capture = new Capture(child);
    await new Promise<void>((resolve, reject) => {
      let said = '';
      child.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
        said += chunk;
        if (said.includes('listening on')) resolve();
      });
      child.once('error', reject);
      child.once('exit', () => reject(new HeddleError('CAPTURE_FAILED', `tcpdump on ${options.link} ended: ${said}`)));
    });
    return capture;
  }

  /** The frames so far, each with its inner frames and details; the last one may still be growing. */
  get frames(): string[] {
    return this.#text.split(FRAME).filter((frame) => frame !== '');
  }

  /** End the capture and give every frame of it. */
  async stop(): Promise<string[]> {
    this.#child.kill('SIGINT');
    await this.#closed;
    return this.frames;
  }
}
