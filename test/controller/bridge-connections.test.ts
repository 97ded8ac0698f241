/** Whose connection is this (src/controller/bridge-connections.ts): by datapath id, once the host's OVSDB has told of it. */
import { describe, expect, test } from 'vitest';
import { type BridgeAddress, BridgeConnections, type HostBridges } from '../../src/controller/bridge-connections.ts';
import { LIMITS } from '../../src/lib/limits.ts';
import { createLogger, LimitedLog } from '../../src/lib/log.ts';
import type { SwitchConnection } from '../../src/openflow/connection.ts';
import type { BridgeInstaller } from '../../src/switch/installer.ts';
import { ModelHost } from './model-host.ts';

const NOT_LISTENING = (): void => undefined;

/** As much of a connection as is looked at here. */
function connectionOf(dpid: bigint): SwitchConnection & { closedWith: string | undefined } {
  const connection = {
    dpid,
    isOpen: true,
    closedWith: undefined as string | undefined,
    close(_code: string, reason: string): void {
      connection.isOpen = false;
      connection.closedWith = reason;
    },
  };
  return connection as unknown as SwitchConnection & { closedWith: string | undefined };
}

function setUp(ids: Readonly<Record<string, string>>) {
  const lines: Record<string, unknown>[] = [];
  const logger = createLogger({ destination: { write: (line: string) => void lines.push(JSON.parse(line)) } });
  const connections = new BridgeConnections(new LimitedLog(logger));
  const attached: string[] = [];
  const bridgesOf = (now: Readonly<Record<string, string>>): HostBridges[] =>
    Object.entries(now).map(([host, datapathId]) => ({
      host,
      bridges: ['br-int'],
      view: new ModelHost([{ name: 'br-int', datapathId }]).view,
    }));
  const learn = (now = ids): void => connections.learn(bridgesOf(now));
  const assign = (known: readonly string[] = Object.keys(ids)): void =>
    connections.assign((address: BridgeAddress) => {
      if (!known.includes(address.host)) return undefined;
      const attach = ({ dpid }: SwitchConnection): void =>
        void attached.push(`${address.host} ${address.bridge} ${dpid}`);
      return { attach } as unknown as BridgeInstaller;
    }, NOT_LISTENING);
  return { connections, attached, lines, learn, assign, bridgesOf };
}

describe('a connection', () => {
  test('waits until its datapath id is known, and is handed over once', () => {
    const { connections, attached, learn, assign } = setUp({ node1: '00000000000000a1' });
    connections.add(connectionOf(0xa1n), undefined);
    assign();
    expect(attached).toEqual([]);
    expect(connections.unclaimed).toHaveLength(1);
    learn();
    assign();
    assign();
    expect(attached).toEqual(['node1 br-int 161']);
    expect(connections.unclaimed).toEqual([]);
  });

  test('that heddle dialled is its bridge’s, whatever its id', () => {
    const { connections, attached, assign } = setUp({ node1: '00000000000000a1' });
    connections.add(connectionOf(0xffn), { host: 'node1', bridge: 'br-tun' });
    assign();
    expect(attached).toEqual(['node1 br-tun 255']);
  });

  test('that ends while it waits is forgotten', () => {
    const { connections, attached, learn, assign } = setUp({ node1: '00000000000000a1' });
    const connection = connectionOf(0xa1n);
    connections.add(connection, undefined);
    connection.close('CLOSED', 'gone');
    learn();
    assign();
    expect([attached, connections.unclaimed]).toEqual([[], []]);
  });

  test('waits on while its host has no installer yet', () => {
    const { connections, attached, learn, assign } = setUp({ node1: '00000000000000a1' });
    connections.add(connectionOf(0xa1n), undefined);
    learn();
    assign([]);
    expect(attached).toEqual([]);
    assign();
    expect(attached).toHaveLength(1);
  });
});

test('there is something to learn where a host shows another id, or a host is new or gone', () => {
  const { connections, learn, bridgesOf } = setUp({ node1: '00000000000000a1', node2: '00000000000000a2' });
  expect(connections.isNews([], 2)).toBe(true);
  learn();
  expect(connections.isNews([], 2)).toBe(false);
  expect(connections.isNews(bridgesOf({ node1: '00000000000000a1' }), 2)).toBe(false);
  expect(connections.isNews(bridgesOf({ node1: '00000000000000a3' }), 2)).toBe(true);
  expect(connections.isNews(bridgesOf({ node3: '00000000000000a3' }), 2)).toBe(true);
  expect(connections.isNews([], 1)).toBe(true);
});

test('strangers are bounded: the oldest is closed, and told why', () => {
  const { connections } = setUp({});
  const first = connectionOf(1n);
  connections.add(first, undefined);
  for (let dpid = 2n; dpid <= BigInt(LIMITS.unclaimedConnections) + 1n; dpid++) {
    connections.add(connectionOf(dpid), undefined);
  }
  expect(connections.unclaimed).toHaveLength(LIMITS.unclaimedConnections);
  expect(first.closedWith).toBe('no host of the topology has a bridge with this datapath id');
});

describe('datapath ids that are shared', () => {
  const SHARED = { node1: '0000aabbccddeeff', node2: '0000aabbccddeeff', node3: '0000aabbccddeeff' };

  test('stay with the first, and the others get free ones, as Neutron counts', () => {
    const { connections, lines, learn } = setUp(SHARED);
    learn();
    expect(connections.replacementsOf('node1')).toEqual(new Map());
    expect(connections.replacementsOf('node2')).toEqual(new Map([['br-int', '0001aabbccddeeff']]));
    expect(lines).toHaveLength(2);
    // Told once, however many passes it takes until the new id is there.
    learn();
    learn();
    expect(lines).toHaveLength(2);
  });

  test('a connection with such an id is the first’s: the other is not programmed by mistake', () => {
    const { connections, attached, learn, assign } = setUp(SHARED);
    connections.add(connectionOf(0xaabbccddeeffn), undefined);
    learn();
    assign();
    expect(attached).toEqual(['node1 br-int 187723572702975']);
  });

  test('are told apart for good: no two replacements are equal', () => {
    const { connections, learn } = setUp(SHARED);
    learn();
    const given = ['node2', 'node3'].map((host) => connections.replacementsOf(host).get('br-int'));
    expect(new Set(given).size).toBe(2);
  });
});
