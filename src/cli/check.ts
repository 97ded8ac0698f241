/** `heddle check FILE`: validates a topology. Every error on a line of its own, as compilers print theirs. */
import { readTopologyFile } from '../controller/topology-file.ts';
import { formatTopologyError } from '../topology/error.ts';
import type { Topology } from '../topology/model.ts';
import { EXIT, type ExitStatus } from './exit.ts';
import { formatJson, paint, plural, type Terminal } from './output.ts';

export async function check(
  file: string,
  options: { readonly json?: boolean },
  terminal: Terminal,
): Promise<ExitStatus> {
  const reading = readTopologyFile(file);
  const errors = 'errors' in reading ? reading.errors : [];
  if (options.json) terminal.out(formatJson({ file, valid: errors.length === 0, errors }));
  else for (const error of errors) terminal.out(`${formatTopologyError(error)}\n`);
  if ('errors' in reading) {
    terminal.talk(`${file}: ${paint(terminal, 'red', plural(errors.length, 'error'))}\n`);
    return EXIT.finding;
  }
  terminal.talk(`${file}: ${paint(terminal, 'green', 'valid')}: ${summary(reading.topology)}\n`);
  return EXIT.success;
}

function summary({ hosts, networks, subnets, ports, routers, floatingIps }: Topology): string {
  const counts: readonly [number, string][] = [
    [hosts.size, 'host'],
    [networks.size, 'network'],
    [subnets.size, 'subnet'],
    [ports.size, 'port'],
    [routers.size, 'router'],
    [floatingIps.size, 'floating IP'],
  ];
  return counts.map(([count, noun]) => plural(count, noun)).join(', ');
}
