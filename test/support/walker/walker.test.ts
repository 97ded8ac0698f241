/**
 * What the walker does and `ofproto/trace` cannot be asked: connections and their translation, groups with dead buckets, tunnels
 * and wires from host to host, and what it says of a walk. The rest is held against Open vSwitch in test/ovs/walker.test.ts.
 */
import { describe, expect, test } from 'vitest';
import type { Flow } from '../../../src/flow/flow.ts';
import { PORT } from '../../../src/flow/flow.ts';
import type { Group } from '../../../src/flow/group.ts';
import { parseFlow } from '../../../src/flow/parse.ts';
import { ipFromText, ipToText } from '../../../src/lib/addresses.ts';
import { Headers } from './headers.ts';
import { type Walk, type WalkBridge, WalkError, type WalkPort } from './model.ts';
import { portKey, Walker, type WalkerOptions } from './walker.ts';

const ip = (text: string): number => Number(ipFromText(text));
const flows = (...lines: readonly string[]): Flow[] => lines.map((line) => parseFlow(line));
const end = (name: string): WalkPort => ({ kind: 'end', name });

function bridge(
  lines: readonly string[],
  ports: Readonly<Record<number, WalkPort>>,
  given: Partial<WalkBridge> = {},
): WalkBridge {
  const entries = Object.entries(ports).map(([ofport, port]) => [Number(ofport), port] as const);
  return { host: 'h1', bridge: 'br', flows: flows(...lines), ports: new Map(entries), ...given };
}

/** TCP from a to b, or with `reply` from b to a. */
function tcp(source: string, destination: string, ports: readonly [number, number] = [1000, 80]): Headers {
  return new Headers({
    ethSrc: 1,
    ethDst: 2,
    ethType: 0x0800,
    ipProto: 6,
    ipTtl: 64,
    ipv4Src: ip(source),
    ipv4Dst: ip(destination),
    tcpSrc: ports[0],
    tcpDst: ports[1],
  });
}

const at = (ofport: number, host = 'h1', name = 'br') => ({ host, bridge: name, ofport });
const seen = ({ arrivals }: Walk): string[] =>
  arrivals.map(({ port, headers }) => {
    const address = (ipField: 'ipv4Src' | 'ipv4Dst', portField: 'tcpSrc' | 'tcpDst'): string =>
      `${ipToText(Number(headers.get(ipField)))}:${headers.get(portField)}`;
    return `${port.name} ${address('ipv4Src', 'tcpSrc')} > ${address('ipv4Dst', 'tcpDst')}`;
  });

describe('connections', () => {
  const STATEFUL = [
    'table=0,ip,actions=ct(table=1,zone=5)',
    'table=1,priority=9,in_port=1,ct_state=+trk+new,ip,actions=ct(commit,zone=5,exec(set_field:7->ct_mark)),output:2',
    'table=1,priority=8,ct_state=+trk+est,ct_mark=7,ip,actions=output:1,output:2',
  ];

  test('who began is answered, who did not is not', () => {
    const walker = new Walker([bridge(STATEFUL, { 1: end('in'), 2: end('out') })]);
    const [there, back] = [tcp('10.0.0.1', '10.0.0.2'), tcp('10.0.0.2', '10.0.0.1', [80, 1000])];
    expect(seen(walker.walk(at(2), back))).toEqual([]);
    expect(seen(walker.walk(at(1), there))).toEqual(['out 10.0.0.1:1000 > 10.0.0.2:80']);
    expect(seen(walker.walk(at(2), back))).toEqual(['in 10.0.0.2:80 > 10.0.0.1:1000']);
    expect(seen(walker.walk(at(1), there))).toEqual(['out 10.0.0.1:1000 > 10.0.0.2:80']);
    expect(seen(walker.walk(at(2), tcp('10.0.0.2', '10.0.0.1', [81, 1000])))).toEqual([]);
  });

  test('each zone has its own', () => {
    const lines = [
      'table=0,ip,in_port=1,actions=ct(commit,zone=5),output:2',
      'table=0,ip,in_port=2,actions=ct(table=1,zone=6)',
      'table=1,ct_state=+est,ip,actions=output:1',
    ];
    const walker = new Walker([bridge(lines, { 1: end('in'), 2: end('out') })]);
    walker.walk(at(1), tcp('10.0.0.1', '10.0.0.2'));
    expect(seen(walker.walk(at(2), tcp('10.0.0.2', '10.0.0.1', [80, 1000])))).toEqual([]);
  });

  test('what is not IP is invalid', () => {
    const lines = ['table=0,actions=ct(table=1)', 'table=1,ct_state=+inv+trk,actions=output:2'];
    const walker = new Walker([bridge(lines, { 1: end('in'), 2: end('out') })]);
    expect(walker.walk(at(1), new Headers({ ethType: 0x0806 })).arrivals).toHaveLength(1);
  });
});

describe('translation', () => {
  const SNAT = [
    'table=0,ip,in_port=1,actions=ct(commit,zone=5,nat(src=203.0.113.1:5000-5001),table=1)',
    'table=0,ip,in_port=2,actions=ct(zone=5,nat,table=2)',
    'table=1,ip,actions=output:2',
    'table=2,ct_state=+est+dnat,ip,actions=output:1',
  ];

  test('source: out with the address, back without it; equal connections get different ports', () => {
    const walker = new Walker([bridge(SNAT, { 1: end('in'), 2: end('out') })]);
    expect(seen(walker.walk(at(1), tcp('10.0.0.1', '8.8.8.8')))).toEqual(['out 203.0.113.1:5000 > 8.8.8.8:80']);
    expect(seen(walker.walk(at(1), tcp('10.0.0.2', '8.8.8.8')))).toEqual(['out 203.0.113.1:5001 > 8.8.8.8:80']);
    expect(seen(walker.walk(at(2), tcp('8.8.8.8', '203.0.113.1', [80, 5001])))).toEqual([
      'in 8.8.8.8:80 > 10.0.0.2:1000',
    ]);
    expect(seen(walker.walk(at(2), tcp('8.8.8.8', '203.0.113.1', [80, 5000])))).toEqual([
      'in 8.8.8.8:80 > 10.0.0.1:1000',
    ]);
    expect(() => walker.walk(at(1), tcp('10.0.0.3', '8.8.8.8'))).toThrow(WalkError);
  });

  test('destination: in to the fixed address, the answer comes from the other', () => {
    const lines = [
      'table=0,ip,in_port=2,actions=ct(commit,zone=5,nat(dst=10.0.0.1),table=1)',
      'table=0,ip,in_port=1,actions=ct(zone=5,nat,table=2)',
      'table=1,ip,actions=output:1',
      'table=2,ip,actions=output:2',
    ];
    const walker = new Walker([bridge(lines, { 1: end('in'), 2: end('out') })]);
    expect(seen(walker.walk(at(2), tcp('8.8.8.8', '203.0.113.9')))).toEqual(['in 8.8.8.8:1000 > 10.0.0.1:80']);
    expect(seen(walker.walk(at(1), tcp('10.0.0.1', '8.8.8.8', [80, 1000])))).toEqual([
      'out 203.0.113.9:80 > 8.8.8.8:1000',
    ]);
  });
});

describe('groups', () => {
  const bucket = (port: number) =>
    ({ weight: 0, watchPort: port, watchGroup: PORT.any, actions: [{ type: 'output', port }] }) as const;
  const group = (groupType: Group['groupType']): Group => ({ group: 7, groupType, buckets: [bucket(2), bucket(3)] });
  const walkerOf = (groupType: Group['groupType']): Walker =>
    new Walker([
      bridge(
        ['in_port=1,actions=group:7'],
        { 1: end('in'), 2: end('first'), 3: end('second') },
        { groups: new Map([[7, group(groupType)]]) },
      ),
    ]);

  test('all, and the first that is alive', () => {
    const names = (walker: Walker): string[] => walker.walk(at(1), new Headers()).arrivals.map(({ port }) => port.name);
    expect(names(walkerOf('all'))).toEqual(['first', 'second']);
    const failover = walkerOf('fastFailover');
    expect(names(failover)).toEqual(['first']);
    failover.deadPorts.add(portKey(at(2)));
    expect(names(failover)).toEqual(['second']);
    failover.deadPorts.add(portKey(at(3)));
    expect(names(failover)).toEqual([]);
  });

  test('one that is not there is an error', () => {
    const walker = new Walker([bridge(['in_port=1,actions=group:8'], { 1: end('in') })]);
    expect(() => walker.walk(at(1), new Headers())).toThrow(WalkError);
  });
});

describe('between hosts', () => {
  const twoHosts = (options?: WalkerOptions): Walker =>
    new Walker(
      [
        bridge(['in_port=1,actions=set_field:5->reg1,set_field:77->tun_id,output:2,output:3'], {
          1: end('a'),
          2: { kind: 'tunnel', name: 'to-h2', host: 'h2', bridge: 'br', ofport: 9 },
          3: { kind: 'wire', name: 'wire', segment: 's' },
        }),
        bridge(
          ['in_port=9,tun_id=77,reg1=0,actions=output:1', 'in_port=8,tun_id=0,actions=output:1'],
          {
            1: end('b'),
            8: { kind: 'wire', name: 'wire', segment: 's' },
            9: { kind: 'tunnel', name: 'to-h1', host: 'h1', bridge: 'br', ofport: 2 },
          },
          { host: 'h2' },
        ),
      ],
      options,
    );

  test('the tunnel id goes with the packet, registers do not; a wire takes neither', () => {
    const walk = twoHosts().walk(at(1), new Headers());
    expect(walk.tunnelled.map(({ port, headers }) => [port.name, headers.get('tunnelId')])).toEqual([['to-h2', 77n]]);
    expect(walk.arrivals.map(({ host, port }) => `${host} ${port.name}`)).toEqual(['h1 wire', 'h2 b', 'h2 b']);
  });

  test('unless the walk shall stop at the host', () => {
    const walk = twoHosts({ stopsAtHost: true }).walk(at(1), new Headers());
    expect(walk.arrivals.map(({ host, port }) => `${host} ${port.name}`)).toEqual(['h1 wire']);
  });
});

describe('the account', () => {
  test('table by table, with the headers before and after', () => {
    const lines = [
      'in_port=1,actions=set_field:5->reg1,resubmit(,3),output:2',
      'table=3,reg1=5,actions=set_field:00:00:00:00:00:09->eth_src',
    ];
    const walker = new Walker([bridge(lines, { 1: end('a'), 2: end('b') })], { keepsSteps: true });
    const { steps } = walker.walk(at(1), new Headers({ ethSrc: 1 }));
    expect(
      steps.map(({ table, depth, before, after }) => [table, depth, before.get('ethSrc'), after.get('ethSrc')]),
    ).toEqual([
      [0, 0, 1, 9],
      [3, 1, 1, 9],
    ]);
    expect(walker.walk(at(2), new Headers()).steps.map(({ table, flow }) => [table, flow])).toEqual([[0, undefined]]);
  });

  test('flows of one priority that both match are told, where they do different things', () => {
    const lines = [
      'priority=5,in_port=1,actions=output:2',
      'priority=5,dl_dst=00:00:00:00:00:02,actions=drop',
      'priority=5,dl_src=00:00:00:00:00:01,actions=output:2',
    ];
    const walker = new Walker([bridge(lines, { 1: end('a'), 2: end('b') })], { keepsSteps: true });
    const [step] = walker.walk(at(1), new Headers({ ethSrc: 1, ethDst: 2 })).steps;
    expect([step?.flow, ...(step?.rivals ?? [])].filter((flow) => flow?.actions.length === 0)).toHaveLength(1);
  });

  test('a packet that goes round is noticed', () => {
    const round = new Walker([
      bridge(['table=0,actions=resubmit(,1)', 'table=1,actions=resubmit(,0)'], { 1: end('a') }),
    ]);
    expect(() => round.walk(at(1), new Headers())).toThrow(WalkError);
  });

  test('an action that it does not know is named', () => {
    const walker = new Walker([bridge(['in_port=1,actions=push_mpls:0x8847'], { 1: end('a') })]);
    expect(() => walker.walk(at(1), new Headers())).toThrow(/pushMpls/);
  });
});
