/** `heddle decode` and `heddle encode`: bytes to text and back, with ovs-ofctl as the second opinion. */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { formatFlow } from '../../src/flow/format.ts';
import { parseFlow } from '../../src/flow/parse.ts';
import { heddle } from './command-line.ts';

const run = promisify(execFile);
const CAPTURES = join(import.meta.dirname, '..', 'parity', 'captures');

interface CapturedMessage {
  readonly kind: string;
  readonly hex: string;
  readonly json: Readonly<Record<string, unknown>>;
}

const CATALOGUE = JSON.parse(readFileSync(join(CAPTURES, 'wire_catalogue.json'), 'utf8')) as readonly CapturedMessage[];

describe('decode', () => {
  test('reads every captured message, says its type, and prints its flow as ovs-ofctl reads it', async () => {
    expect(CATALOGUE.length).toBeGreaterThan(90);
    let flowModCount = 0;
    for (const { hex, json, kind } of CATALOGUE) {
      const { status, out } = await heddle('decode', hex);
      expect([kind, status]).toEqual([kind, 0]);
      const [type = ''] = Object.keys(json);
      if (type !== 'OFPFlowMod') {
        const name = type.replace(/^OFP/, '').replace(/^\w+Stats(?=Re)/, 'multipart');
        expect([kind, out.split(' ')[0]?.toLowerCase()]).toEqual([kind, name.toLowerCase()]);
        continue;
      }
      flowModCount += 1;
      expect(out).toMatch(/^flowMod xid=0x[0-9a-f]+ (add|modify|modifyStrict|delete|deleteStrict) /);
      const { cookie, table_id: table, priority } = json.OFPFlowMod as Record<string, number>;
      const text = out.trimEnd().replace(/^flowMod xid=\S+ \w+ /, '');
      // OFPTT_ALL, which deletes may name and texts of flows may not.
      if (table === 255) {
        expect(text).toContain('table=255');
        continue;
      }
      const flow = parseFlow(text);
      expect([kind, flow.table ?? 0, flow.priority]).toEqual([kind, table, priority]);
      expect(Number(flow.cookie ?? 0)).toBe(cookie);
      expect(formatFlow(flow)).toBe(text);
    }
    expect(flowModCount).toBeGreaterThan(60);
  });

  test('prints the flows of a dump one a line, and MACs as MACs', async () => {
    const hexOf = (name: string) => CATALOGUE.find(({ kind }) => kind.includes(name))?.hex ?? '';
    expect((await heddle('decode', hexOf('FlowStatsReply'))).out).toBe(
      'multipartReply xid=0x6f0bcb1e 1 flow\n  cookie=0xd605fef0edd57df, table=23, priority=0 actions=drop\n',
    );
    expect((await heddle('decode', hexOf('PortDescStatsReply'))).out).toContain('"macAddress":"12:9a:b4:dc:a2:4b"');
  });

  test('takes several messages, blanks, colons and 0x, and gives JSON', async () => {
    const { out, status } = await heddle('decode', '0x04:02:00:08', '00:00:00:01', '0403 0008 00000002');
    expect([status, out]).toEqual([0, 'echoRequest xid=0x1\nechoReply xid=0x2\n']);
    expect(JSON.parse((await heddle('decode', '--json', '0402000800000001')).out)).toMatchObject([
      { type: 'echoRequest', xid: 1 },
    ]);
  });

  test.each([
    ['04zz', /"z" at digit 3 is no hexadecimal digit/],
    ['0', /1 hexadecimal digit cannot be whole bytes/],
    ['04000010000000', /the last message is cut off: 7 bytes of it are here/],
    ['0400000700000001', /a message of 7 bytes, less than its header/],
    ['0463000800000001', /type 99/],
  ])('says what is wrong with %s', async (hex, message) => {
    const { status, out, talk } = await heddle('decode', hex);
    expect([status, out]).toEqual([1, '']);
    expect(talk).toMatch(/^heddle: /);
    expect(talk).toMatch(message);
  });
});

describe('encode', () => {
  const FLOWS = [
    'table=20,priority=2,dl_vlan=1,dl_dst=fa:16:3e:00:00:02,actions=strip_vlan,set_field:0x3e9->tun_id,output:2',
    'cookie=0x12,idle_timeout=9,priority=1,arp,arp_op=1,arp_tpa=10.0.0.1,actions=move:NXM_OF_ETH_SRC[]->NXM_OF_ETH_DST[],in_port',
    'table=10,actions=learn(table=20,hard_timeout=300,priority=1,NXM_OF_VLAN_TCI[0..11],NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[],load:0->NXM_OF_VLAN_TCI[],output:NXM_OF_IN_PORT[]),output:1',
    'priority=5,ip,nw_src=10.0.0.0/8,tcp,tp_dst=80,actions=ct(commit,zone=5,nat(src=1.2.3.4:1024-65535)),resubmit(,33)',
    'priority=0,actions=drop',
  ];

  test.each(FLOWS)('makes the bytes that mean the same to ovs-ofctl: %s', async (text) => {
    const { status, out } = await heddle('encode', text, '--xid', '7');
    expect(status).toBe(0);
    const printed = await run('ovs-ofctl', ['ofp-print', out.trim()]);
    const [parsed = ''] = (await run('ovs-ofctl', ['-O', 'OpenFlow13', 'parse-flow', text])).stdout
      .split('\n')
      .slice(-2);
    expect(printed.stdout).toMatch(/^OFPT_FLOW_MOD \(OF1\.3\) \(xid=0x7\): ADD /);
    const meaning = (line: string): string => line.replace(/^.*?\bADD /, '').trim();
    expect(meaning(printed.stdout)).toBe(meaning(parsed));
    // And back.
    const decoded = await heddle('decode', out.trim());
    expect(formatFlow(parseFlow(decoded.out.replace(/^flowMod xid=0x7 add /, '').trim()))).toBe(
      formatFlow(parseFlow(text)),
    );
  });

  test.each([
    [['table=20,foo=1,actions=drop'], /"foo=1" at character 10: is no field/],
    [['actions=drop', '--xid', '-1'], /--xid -1: a transaction id is a number from 0 to 4294967295/],
    [['actions=fly'], /"fly"/],
    [['priority=70000,actions=drop'], /70000/],
  ])('says what is wrong with %j', async (args, message) => {
    const { status, out, talk } = await heddle('encode', ...args);
    expect([status, out]).toEqual([1, '']);
    expect(talk).toMatch(message);
  });

  test('--json gives size and xid too', async () => {
    expect(JSON.parse((await heddle('encode', 'actions=drop', '--json')).out)).toMatchObject({ xid: 0, size: 56 });
  });
});
