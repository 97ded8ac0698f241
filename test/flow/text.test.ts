/**
 * Flow text against ovs-ofctl and against what a real agent's switch printed.
 */
import { describe, expect, it } from 'vitest';
import type { Action } from '../../src/flow/action.ts';
import { ACTIONS } from '../../src/flow/actions.ts';
import { FIELDS } from '../../src/flow/fields.ts';
import { formatFlow, formatFlows, formatFlowWithCounters } from '../../src/flow/format.ts';
import { parseFlow, parseFlowWithCounters } from '../../src/flow/parse.ts';
import { FlowTextError } from '../../src/flow/scan.ts';
import { capturedDumps, capturedFlows, printedByOvs, refusedByOvs, vectors } from './second-opinion.ts';

/** The types of actions, those inside of others too. */
function typesOf(actions: readonly Action[]): string[] {
  return actions.flatMap((action) => {
    if (action.type === 'clone' || action.type === 'writeActions') return [action.type, ...typesOf(action.actions)];
    return action.type === 'ct' ? [action.type, ...typesOf(action.exec ?? [])] : [action.type];
  });
}

describe('the captures of an agent', () => {
  it('are printed again as they were', () => {
    const flows = capturedFlows();
    expect(flows.length).toBeGreaterThan(250);
    expect(flows.map((line) => formatFlow(parseFlow(line)))).toEqual(flows);
  });

  it('are sorted again as they were', () => {
    const dumps = capturedDumps();
    expect(dumps.length).toBeGreaterThan(200);
    for (const dump of dumps) expect(formatFlows(dump.map((line) => parseFlow(line)).reverse())).toEqual(dump);
  });
});

describe('against ovs-ofctl', () => {
  const lines = [...capturedFlows(), ...vectors('flows.txt')];

  it('every flow is printed in the same words', () => {
    expect(lines.map((line) => formatFlow(parseFlow(line)))).toEqual(printedByOvs(lines));
  });

  it('what we print is read back by ovs-ofctl as the same', () => {
    const ours = lines.map((line) => formatFlow(parseFlow(line)));
    expect(printedByOvs(ours.map((line) => line.replace(' actions=', ',actions=')))).toEqual(ours);
  });

  it('the vectors have every field and every action', () => {
    const text = lines.join('\n');
    const flows = lines.map((line) => parseFlow(line));
    const fields = Object.values(FIELDS).filter((field) => {
      const names = [field.ovsName, ...field.aliases, ...field.codes.map((code) => code[2])];
      return !names.some((name) => new RegExp(`\\b${name}\\b`).test(text));
    });
    // tp_src and icmp_type stand for several fields; packets of sctp and icmp6 have them by those names.
    expect(fields.map((field) => field.ovsName)).toEqual([]);
    const types = new Set(flows.flatMap((flow) => typesOf(flow.actions)));
    expect(Object.keys(ACTIONS).filter((type) => !types.has(type))).toEqual([]);
  });

  it.each(vectors('refused.txt'))('neither takes %s', (line) => {
    expect(refusedByOvs(line)).toBe(true);
    expect(() => parseFlow(line)).toThrow(FlowTextError);
  });
});

describe('what is refused', () => {
  const cases: readonly (readonly [string, number, RegExp])[] = [
    ['ip,nw_src=10.0.0.256,actions=drop', 10, /at most 255/],
    ['dl_vlan=5,tp_dst=80,actions=drop', 10, /only together with tcp/],
    ['nw_src=10.0.0.1,actions=drop', 0, /only together with ip/],
    ['priority=1,actions=output:1,frobnicate(2)', 28, /no action that heddle knows/],
    ['actions=goto_table:1,output:2', 21, /in this order/],
    ['actions=clone(goto_table:5)', 14, /cannot stand inside/],
    ['actions=write_actions(output:1', 8, /not closed/],
    ['actions=output:1)', 16, /not opened/],
    ['ip', 0, /needs actions/],
    ['dl_vlan=4096,actions=drop', 8, /0 to 4095/],
    ['vlan_tci=0x2000/0xe000,actions=drop', 9, /OpenFlow 1.3 cannot say/],
    ['reg0=0/0xf,xreg0=0xff00000001,actions=drop', 11, /reg0 matches some of this already/],
    ['ip,nw_tos=32,ip_dscp=8,actions=drop', 13, /say it once/],
    ['table=255,actions=drop', 6, /0 to 254/],
    ['ct_state=+open,actions=drop', 10, /new, est/],
    ['actions=load:0x10->NXM_NX_REG0[0..3]', 13, /4 bits/],
    ['actions=output:tap0', 15, /should be a port/],
    ['actions=set_field:1->ct_state', 21, /not set/],
    ['actions=push_vlan:0x8100,set_field:5->vlan_vid', 35, /plus 4096/],
    ['ip,actions=ct(nat(src=10.0.0.1))', 11, /need commit/],
    ['actions=learn(table=1,NXM_OF_ETH_DST[]=NXM_OF_VLAN_TCI[])', 39, /16 bits and the destination 48/],
  ];
  it.each(cases)('%s, at its place', (line, position, message) => {
    try {
      parseFlow(line);
      expect.unreachable();
    } catch (error) {
      expect(error).toMatchObject({ code: 'BAD_FLOW', context: { position } });
      expect(error).toHaveProperty('message', expect.stringMatching(message));
      expect(error).toHaveProperty('message', expect.stringContaining(`character ${position + 1}`));
    }
  });
});

describe('statistics', () => {
  const line =
    'cookie=0x77, duration=0.825s, table=20, n_packets=3, n_bytes=294, hard_timeout=300, idle_age=2, hard_age=65534, priority=1,vlan_tci=0x0001/0x0fff,dl_dst=fa:16:3e:62:c3:80 actions=load:0->NXM_OF_VLAN_TCI[],load:0x3e9->NXM_NX_TUN_ID[],output:14';

  it('of a dump are read apart and printed again', () => {
    const { flow, counters } = parseFlowWithCounters(` ${line}`);
    expect(counters).toEqual({ durationS: 0.825, packetCount: 3n, byteCount: 294n, idleAgeS: 2, hardAgeS: 65534 });
    expect(counters && formatFlowWithCounters(flow, counters)).toBe(line);
    expect(parseFlow(line)).toEqual(flow);
  });

  it('are absent where the text has none', () => {
    expect(parseFlowWithCounters('actions=drop')).not.toHaveProperty('counters');
  });
});

describe('options', () => {
  const portNames = new Map([
    [1, 'patch-tun'],
    [2, 'eth0'],
  ]);
  const portNumbers = new Map([...portNames].map(([number, name]) => [name, number]));

  it('print ports by name, quoted where they are no plain words', () => {
    const flow = parseFlow('in_port=1,actions=output:2,output:1,output:3,resubmit(2,5),IN_PORT');
    const text = 'in_port="patch-tun" actions=output:eth0,output:"patch-tun",output:3,resubmit(eth0,5),IN_PORT';
    expect(formatFlow(flow, { portNames })).toBe(text);
    expect(parseFlow(text, { portNumbers })).toEqual(flow);
    expect(
      parseFlow('in_port=patch-tun,actions=eth0,output:patch-tun,3,resubmit(eth0,5),in_port', { portNumbers }),
    ).toEqual(flow);
  });

  it('hide the cookie', () => {
    const flow = parseFlow('cookie=0x5,table=3,actions=drop');
    expect(formatFlow(flow, { hideCookie: true })).toBe('table=3, actions=drop');
    expect(formatFlow(flow)).toBe('cookie=0x5, table=3, actions=drop');
  });
});
