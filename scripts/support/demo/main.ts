/**
 * heddle at work: `scripts/demo` is its shell. It builds the hosts that docs/examples/three-hosts.yaml names, starts the
 * controller on that file, plugs a guest in for every port, and shows who reaches whom.
 */
import { readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { parseArgs, styleText } from 'node:util';
import type { ControllerStatus } from '../../../src/controller/status.ts';
import { ipToText, macToText } from '../../../src/lib/addresses.ts';
import { formatTopologyError, loadTopology } from '../../../src/topology/load.ts';
import type { Host, Port, Topology } from '../../../src/topology/model.ts';
import { HeddleProcess } from '../heddle-process.ts';
import type { Guest } from '../lab/guest.ts';
import { Lab } from '../lab/lab.ts';
import { type Answer, formatMatrix, isRight, type Row } from './matrix.ts';

const ROOT = join(import.meta.dirname, '..', '..', '..');
const FILE = join(ROOT, 'docs', 'examples', 'three-hosts.yaml');
const FLOWS_SHOWN = 2;

const isColoured = process.stdout.isTTY === true && !process.env.NO_COLOR;
const bold = (text: string): string => (isColoured ? styleText('bold', text) : text);

function say(text = ''): void {
  process.stdout.write(`${text}\n`);
}

/** Do something and say how long it took. */
async function timed<Result>(what: (result: Result) => string, work: () => Promise<Result>): Promise<Result> {
  const begunMs = performance.now();
  const result = await work();
  say(`  ${what(result).padEnd(64)} ${((performance.now() - begunMs) / 1000).toFixed(2).padStart(5)} s`);
  return result;
}

function readTopology(): Topology {
  const loaded = loadTopology(readFileSync(FILE, 'utf8'), { file: relative(ROOT, FILE) });
  if ('topology' in loaded) return loaded.topology;
  throw new Error(loaded.errors.map(formatTopologyError).join('\n'));
}

/** `100.99.0.11` of `tcp:100.99.0.11:6640`. */
function addressIn(target: string): string {
  return target.split(':')[1] ?? '';
}

async function buildLab(topology: Topology, isKept: boolean): Promise<{ lab: Lab; listen: string }> {
  const hosts = [...topology.hosts.values()];
  const addressesOf = (host: Host) => ({
    managementIp: addressIn(host.ovsdb),
    localIp: host.localIp === undefined ? '' : ipToText(host.localIp),
  });
  const listen = hosts[0]?.controllers[0] ?? '';
  const segments = new Map(hosts.flatMap((host) => [...host.bridgeMappings]));
  const lab = await Lab.up({
    hosts: hosts.map((host) => host.name),
    addresses: new Map(hosts.map((host) => [host.name, addressesOf(host)])),
    controllerIp: addressIn(listen),
    segments: [...segments].map(([name, bridge]) => ({ name, bridge })),
    kept: isKept,
  });
  return { lab, listen };
}

/** A guest for a port, plugged in where the file puts it; on the first host where it leaves that open. */
async function plug(lab: Lab, topology: Topology, port: Port): Promise<Guest> {
  const prefixLength = (subnetId: string): number => topology.subnets.get(subnetId)?.cidr.length ?? 0;
  const guest = await lab.addGuest({
    name: port.id,
    mac: macToText(port.macAddress),
    addresses: port.fixedIps.map(({ subnetId, ipAddress }) => `${ipToText(ipAddress)}/${prefixLength(subnetId)}`),
    mtu: topology.networks.get(port.networkId)?.mtu ?? 1450,
  });
  await guest.plug(lab.host(port.host ?? lab.hosts[0]?.name ?? ''));
  return guest;
}

/** Ask once; a first packet may find its path still cold, so ask again before saying that nobody is there. */
async function ask(from: Guest, to: Guest, isExpected: boolean): Promise<Answer> {
  const attempts = isExpected ? 3 : 1;
  for (let attempt = 0; attempt < attempts; attempt += 1) {
    const { rttMs } = await from.ping(to.ip, { count: isExpected ? 2 : 1, waitMs: 700 });
    if (rttMs !== undefined) return { rttMs, isExpected };
  }
  return { rttMs: undefined, isExpected };
}

async function askAll(topology: Topology, lab: Lab): Promise<Row[]> {
  const guests = [...lab.guests];
  const networkOf = (guest: Guest) => topology.ports.get(guest.name)?.networkId;
  const rows: Row[] = [];
  for (const from of guests) {
    const isExpected = (to: Guest): boolean => networkOf(from) === networkOf(to);
    // A guest answers to itself where another network has the address too: that says nothing.
    const isPointless = (to: Guest): boolean =>
      to === from || (!isExpected(to) && hasTwin(from, to, guests, networkOf));
    const answers = await Promise.all(
      guests.map((to) => (isPointless(to) ? undefined : ask(from, to, isExpected(to)))),
    );
    rows.push({ name: from.name, details: [networkOf(from) ?? '', from.host?.name ?? '', from.ip], answers });
  }
  return rows;
}

/** Whether the address of `to` is also that of somebody in the network of `from`: networks may overlap. */
function hasTwin(
  from: Guest,
  to: Guest,
  guests: readonly Guest[],
  networkOf: (guest: Guest) => string | undefined,
): boolean {
  return guests.some((other) => networkOf(other) === networkOf(from) && other.ip === to.ip);
}

/** Unicast to known MACs and answers to ARP, a few of each: what l2population is about. */
async function sayFlows(lab: Lab): Promise<void> {
  const [host] = lab.hosts;
  if (host === undefined) return;
  const flows = (await host.flows('br-tun')).map((flow) => flow.replace(/^cookie=\S+ /, ''));
  const some = [/^table=20, .*dl_dst/, /^table=21, .*arp_tpa/].flatMap((wanted) =>
    flows.filter((flow) => wanted.test(flow)).slice(0, FLOWS_SHOWN),
  );
  const width = process.stdout.isTTY ? process.stdout.columns - 2 : undefined;
  say(`\n${bold(`A few flows of ${host.name}'s br-tun`)}: unicast to known MACs, and answers to ARP`);
  for (const flow of some) say(`  ${flow.slice(0, width)}`);
}

function sayFigures(status: ControllerStatus): void {
  const bridges = status.hosts.flatMap((host) => host.bridges);
  const flows = bridges.reduce((sum, { desiredFlowCount }) => sum + desiredFlowCount, 0);
  const mods = bridges.reduce((sum, { flowMods }) => sum + flowMods.add + flowMods.modify + flowMods.delete, 0);
  say(`  … ${flows} flows in all on ${bridges.length} bridges, by ${mods} flow-mods`);
}

function sayWhatNext(lab: Lab, heddle: HeddleProcess, isKept: boolean): void {
  const [host] = lab.hosts;
  const [guest, peer] = lab.guests;
  const file = relative(ROOT, FILE);
  const inLab = `scripts/lab exec --lab ${lab.name}`;
  const looks: (readonly [string, string])[] = [
    [file, 'what was asked for'],
    [`bin/heddle.js flows ${file} --explain`, 'what it is compiled to, and why'],
    ...(isKept
      ? ([
          [`bin/heddle.js status --control ${heddle.control}`, 'what the controller says'],
          [`${inLab} ${guest?.name} ping ${peer?.ip}`, 'a command in a guest'],
          [`${inLab} ${host?.name} ovs-vsctl show`, 'and on a host'],
          [`${inLab} ${host?.name} ovs-ofctl -O OpenFlow13 dump-flows br-tun`, ''],
          [`tail -f ${heddle.logFile}`, "the controller's log"],
        ] as const)
      : ([['scripts/demo --keep', 'the same, and it stays up']] as const)),
  ];
  const width = Math.max(...looks.map(([command]) => command.length));
  say(`\n${bold('Where to look next')}`);
  for (const [command, what] of looks) say(`  ${command.padEnd(width)}  ${what}`.trimEnd());
  if (isKept) say(`\n${bold('To end it')}\n  scripts/lab down ${lab.name}`);
}

async function show(isKept: boolean): Promise<boolean> {
  const topology = readTopology();
  say(bold(`heddle on ${relative(ROOT, FILE)}`));
  const { lab, listen } = await timed(
    (built) => `${built.lab.hosts.length} hosts, each with an Open vSwitch of its own`,
    () => buildLab(topology, isKept),
  );
  let isDone = false;
  try {
    const directory = join(lab.directory, 'heddle');
    const heddle = HeddleProcess.start({ namespace: lab.controller, file: FILE, listen, directory, kept: isKept });
    await timed(
      () => 'the controller started, and every switch confirmed',
      () => heddle.converged(),
    );
    await timed(
      () => `${topology.ports.size} guests plugged in, and every switch confirmed again`,
      async () => {
        for (const port of topology.ports.values()) await plug(lab, topology, port);
        await heddle.converged();
      },
    );
    const rows = await askAll(topology, lab);
    say(`\n${bold('Who reaches whom')}: round trip in milliseconds; · nobody answers, which is right between networks`);
    for (const line of formatMatrix(rows, { isColoured })) say(`  ${line}`);
    await sayFlows(lab);
    sayFigures(await heddle.status());
    sayWhatNext(lab, heddle, isKept);
    if (!isKept) await heddle.stop();
    isDone = isRight(rows);
    return isDone;
  } finally {
    if (!isKept) await lab.down();
    else if (!isDone) say(`\nit did not go well and is still up: scripts/lab down ${lab.name}`);
  }
}

const { values } = parseArgs({ options: { keep: { type: 'boolean', default: false } } });
// A lab goes down with its process: see Lab.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));
try {
  process.exitCode = (await show(values.keep)) ? 0 : 1;
} catch (error) {
  process.stderr.write(`demo: ${error instanceof Error ? error.message : error}\n`);
  process.exitCode = 1;
}
