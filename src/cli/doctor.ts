/** `heddle doctor FILE`: looks at every host of a topology and says what is wrong and what to do. Changes nothing. */
import { diagnose, type Finding, type Severity } from '../controller/diagnose.ts';
import { examine } from '../controller/examine.ts';
import { defaultStateDirectory, examineState } from '../controller/state-store.ts';
import { readTopologyFile } from '../controller/topology-file.ts';
import { formatTopologyError } from '../topology/error.ts';
import { EXIT, type ExitStatus } from './exit.ts';
import { formatJson, formatTable, paint, plural, type Style, type Terminal } from './output.ts';
import { readTls, type TlsOptions } from './tls.ts';

export interface DoctorOptions extends TlsOptions {
  readonly json?: boolean;
  /** As of `heddle run`. */
  readonly state?: string;
}

const STYLES: Readonly<Record<Severity, Style>> = { note: 'green', warning: 'yellow', error: 'red' };

/** Exits 1 when there is a warning or an error. */
export async function doctor(file: string, options: DoctorOptions, terminal: Terminal): Promise<ExitStatus> {
  const reading = readTopologyFile(file);
  if ('errors' in reading) {
    for (const error of reading.errors) terminal.talk(`${formatTopologyError(error)}\n`);
    return EXIT.finding;
  }
  const tls = readTls(options);
  const hosts = [...reading.topology.hosts.values()];
  const examined = await Promise.all(hosts.map(async (host) => [host.name, await examine(host, tls)] as const));
  const findings = [...diagnose(reading.topology, new Map(examined)), ...stateFindings(options.state)];
  if (options.json) terminal.out(formatJson(findings));
  else print(findings, terminal);
  return findings.some(({ severity }) => severity !== 'note') ? EXIT.finding : EXIT.success;
}

function stateFindings(directory = defaultStateDirectory(process.env, process.getuid?.() ?? 0)): readonly Finding[] {
  const failure = examineState(directory);
  if (failure === undefined) return [];
  // The last part of the message says what to do.
  const [, what = failure.message, advice = ''] = /^(.*); ([^;]*)$/s.exec(failure.message) ?? [];
  return [{ severity: failure.code === 'STATE_UNWRITABLE' ? 'warning' : 'error', host: '', what, advice }];
}

function print(findings: readonly Finding[], terminal: Terminal): void {
  const rows = findings.flatMap(({ severity, host, what, advice }) => {
    const word = paint(terminal, STYLES[severity], severity === 'note' ? 'ok' : severity);
    const row = [word, host || '(site)', what];
    return advice === '' ? [row] : [row, ['', '', `-> ${advice}`]];
  });
  terminal.out(formatTable(['', 'HOST', 'FINDING'], rows));
  const problems = findings.filter(({ severity }) => severity !== 'note').length;
  terminal.talk(problems === 0 ? 'nothing to mend\n' : `${plural(problems, 'thing')} to mend\n`);
}
