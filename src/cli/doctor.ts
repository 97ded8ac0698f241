/** `heddle doctor FILE`: looks at every host of a topology and says what is wrong and what to do. Changes nothing. */
import { diagnose, type Finding, type Severity } from '../controller/diagnose.ts';
import { examine } from '../controller/examine.ts';
import { readTopologyFile } from '../controller/topology-file.ts';
import { formatTopologyError } from '../topology/error.ts';
import { EXIT, type ExitStatus } from './exit.ts';
import { formatJson, formatTable, paint, plural, type Style, type Terminal } from './output.ts';
import { readTls, type TlsOptions } from './tls.ts';

export interface DoctorOptions extends TlsOptions {
  readonly json?: boolean;
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
  const findings = diagnose(reading.topology, new Map(examined));
  if (options.json) terminal.out(formatJson(findings));
  else print(findings, terminal);
  return findings.some(({ severity }) => severity !== 'note') ? EXIT.finding : EXIT.success;
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
