/** Process entry: argv to the command line, its exit status to the shell. No logic. */
import { runCommandLine } from './cli/program.ts';

process.exitCode = await runCommandLine(process.argv.slice(2));
