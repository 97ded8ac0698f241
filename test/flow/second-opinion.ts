/**
 * What the tests of flow text hold ours against: the captures of Neutron's agent, and ovs-ofctl's own reading and printing.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

const CAPTURES = new URL('../parity/captures/', import.meta.url);
const OUTPUT_SIZE_MAX = 64 * 1024 * 1024;

/** Every list of flows in every capture, in the order of the dump. */
export function capturedDumps(): string[][] {
  const dumps: string[][] = [];
  const collect = (value: unknown): void => {
    if (Array.isArray(value) && value.length > 0 && value.every((line) => `${line}`.includes(' actions='))) {
      // The captures hide the agent's own cookie, which differs from run to run.
      dumps.push(value.map((line) => `${line}`.replace('cookie=AGENT', 'cookie=0x62a539c414e3e7dd')));
    } else if (typeof value === 'object' && value !== null) Object.values(value).forEach(collect);
  };
  for (const file of readdirSync(CAPTURES).filter((name) => /^\d.*\.json$/.test(name))) {
    collect(JSON.parse(readFileSync(new URL(file, CAPTURES), 'utf8')));
  }
  return dumps;
}

/** Every flow of the captures once. */
export function capturedFlows(): string[] {
  return [...new Set(capturedDumps().flat())];
}

/** The lines of a file of vectors. */
export function vectors(name: string): string[] {
  const text = readFileSync(new URL(`vectors/${name}`, import.meta.url), 'utf8');
  return text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
}

/**
 * What ovs-ofctl makes of flows over OpenFlow 1.3: encoded, decoded and printed. A flow-mod is printed in other words than a
 * dumped flow where it has a cookie, timeouts or flags; the text comes back in those of a dump.
 */
export function printedByOvs(flows: readonly string[]): string[] {
  const output = execFileSync('ovs-ofctl', ['-O', 'OpenFlow13', 'parse-flows', '-'], {
    input: flows.map((flow) => `${flow}\n`).join(''),
    encoding: 'utf8',
    maxBuffer: OUTPUT_SIZE_MAX,
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  return [...output.matchAll(/^OFPT_FLOW_MOD .*: ADD (.*)$/gm)].map((found) => asDumped(found[1] ?? ''));
}

const SETTING = /^ ?(?:table:(\d+)|cookie:(0x[0-9a-f]+)|idle:(\d+)|hard:(\d+)|([a-z]+_[a-z_]+))(?= )/;

function asDumped(flowMod: string): string {
  const at = flowMod.indexOf('actions=');
  let [rest, actions] = [flowMod.slice(0, at), flowMod.slice(at)];
  const settings = { table: '', cookie: '', idle: '', hard: '', flags: '' };
  const table = /^table:(\d+) ?/.exec(rest);
  if (table !== null) {
    settings.table = `table=${table[1]}, `;
    rest = rest.slice(table[0].length);
  }
  const words = rest.split(' ').filter((word) => word !== '');
  const match: string[] = [];
  for (const word of words) {
    const found = SETTING.exec(`${word} `);
    if (found?.[2] !== undefined) settings.cookie = `cookie=${found[2]}, `;
    else if (found?.[3] !== undefined) settings.idle = `idle_timeout=${found[3]}, `;
    else if (found?.[4] !== undefined) settings.hard = `hard_timeout=${found[4]}, `;
    else if (found?.[5] !== undefined) settings.flags += `${word} `;
    else match.push(word);
  }
  if (match.length > 0) actions = ` ${actions}`;
  return `${settings.cookie}${settings.table}${settings.idle}${settings.hard}${settings.flags}${match.join(' ')}${actions}`;
}

/** Whether ovs-ofctl refuses a flow, leaves a part of it out, or cannot read what it would send. */
export function refusedByOvs(flow: string): boolean {
  const options = { input: `${flow}\n`, encoding: 'utf8' } as const;
  const { status, stdout, stderr } = spawnSync('ovs-ofctl', ['-O', 'OpenFlow13', 'parse-flows', '-'], options);
  return status !== 0 || stderr.includes('normalization changed') || !stdout.includes(': ADD ');
}
