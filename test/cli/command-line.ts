/** Runs commands of heddle in this process, as `heddle` would with its output in a pipe. Serves test/cli/. */
import { runCommandLine } from '../../src/cli/program.ts';

export interface Outcome {
  readonly status: number;
  readonly out: string;
  readonly talk: string;
}

/** What `heddle …args` prints on stdout and stderr, and its exit status. */
export async function heddle(...args: readonly string[]): Promise<Outcome> {
  let out = '';
  let talk = '';
  const status = await runCommandLine(args, {
    out: (text) => {
      out += text;
    },
    talk: (text) => {
      talk += text;
    },
    isColoured: false,
  });
  return { status, out, talk };
}
