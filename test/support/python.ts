/** Python programs in a namespace: servers, and senders whose lines are kept. Serves conversation.ts and echoed-stream.ts. */
import type { ChildProcess } from 'node:child_process';
import type { Namespace } from '../../scripts/support/lab/namespace.ts';

const PYTHON = '/usr/bin/python3';

/** Start a server; comes back once it has said something, which is that it listens. Ends with the namespace. */
export async function startServer(namespace: Namespace, program: string, ...args: readonly string[]): Promise<void> {
  const child = namespace.start(['timeout', '300', PYTHON, '-c', program, ...args]);
  await new Promise((resolve) => child.stdout?.once('data', resolve));
}

/** A program that runs, and what it has printed so far. */
export class RunningProgram {
  readonly child: ChildProcess;
  output = '';

  constructor(namespace: Namespace, program: string, ...args: readonly string[]) {
    this.child = namespace.start([PYTHON, '-c', program, ...args]);
    this.child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.output += text;
    });
  }
}
