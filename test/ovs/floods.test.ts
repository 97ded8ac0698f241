/**
 * Too much of everything against a running heddle: packets from a guest without end, a peer that sends 50,000 packets a second,
 * 10,000 connections that say nothing, a switch that stops reading. Its memory stays bounded, its other bridges are served in
 * time, echo requests are answered at once, and every packet is counted.
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import type { Action } from '../../src/flow/action.ts';
import { encodeMessage } from '../../src/openflow/codec.ts';
import { FrameCutter } from '../../src/openflow/frame.ts';
import { encodePacket } from '../../src/packet/encode.ts';
import { arpRequest } from '../../src/packet/neighbours.ts';
import { PACKET_IN_REASONS } from '../../src/pipeline/packet-in-reasons.ts';
import { freePort } from '../support/controlled-site.ts';
import { waitFor } from '../support/ovs-sandbox.ts';
import { RunningHeddle } from '../support/running-heddle.ts';
import { Switchboard } from '../support/switchboard.ts';

/** What heddle may need more than before, whatever comes. */
const GROWTH_MAX_SIZE = 96 * 1024 * 1024;
/** How late an answer may be: two processors are shared by everything here. */
const ECHO_LATE_MS = 250;
/** While a file with 10,000 more ports is read and compiled, and what those need in memory. */
const RELOAD_LIMITS = { echoMs: 2_000, growthSize: 320 * 1024 * 1024 };
const PLUG_LATE_MS = 2_000;
const FLOOD_MS = 2_500;
const PACKET_INS_PER_SECOND = 50_000;
/** Of each reason, in one message. */
const PACKET_INS_PER_REASON = 10;
const HALF_OPEN_COUNT = 10_000;
const REMOTE_COUNT = 10_000;

const port = (id: string, network: string, ip: string) => ({ id, network, fixed_ips: [ip] });
const SPARES = Array.from({ length: 20 }, (_, index) => port(`spare${index}`, 'blue', `10.0.0.${100 + index}`));

let heddle: RunningHeddle;
const board = new Switchboard();
let metricsPort: number;
let plugged = 0;
const sockets: Socket[] = [];

beforeAll(async () => {
  heddle = await RunningHeddle.prepare({
    hosts: { node1: {}, node2: {} },
    networks: [
      { id: 'blue', network_type: 'vxlan', segmentation_id: 1001, subnets: [{ id: 'blue4', cidr: '10.0.0.0/16' }] },
      { id: 'green', network_type: 'vxlan', segmentation_id: 1002, subnets: [{ id: 'green4', cidr: '10.1.0.0/16' }] },
    ],
    routers: [{ id: 'router', interfaces: [{ subnet: 'blue4' }, { subnet: 'green4' }] }],
    ports: [port('blue1', 'blue', '10.0.0.11'), port('green2', 'green', '10.1.0.12'), ...SPARES],
  });
  metricsPort = await freePort();
  heddle.run('--metrics', `127.0.0.1:${metricsPort}`);
  await heddle.process.converged();
  await heddle.site.plug('node1', 'blue1');
  await heddle.site.plug('node2', 'green2');
  await tagged('node1', 'blue1');
  await tagged('node2', 'green2');
  await heddle.process.converged();
});

afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy();
});

afterAll(async () => {
  await board.close();
  await heddle.stop();
});

const openflowPort = (): number => Number(heddle.site.listen.split(':').at(-1));
const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex');
const memorySize = async (): Promise<number> => (await heddle.status()).process.memorySize;

/** Until a guest's port has its VLAN, whichever it is. */
async function tagged(host: string, name: string): Promise<void> {
  await waitFor(`the tag of ${name}`, async () => /^\d+$/.test(await heddle.site.get(host, 'Port', name, 'tag')));
}

async function call(): Promise<Socket> {
  const socket = connect({ host: '127.0.0.1', port: openflowPort() });
  sockets.push(socket);
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  return socket;
}

const HELLO = '04 00 0010 00000001 0001 0008 00000010';
const PORT_DESC_REPLY = '04 13 0010 00000006 000d 0000 00000000';
const featuresReply = (dpid: string): string => `04 06 0020 00000002 ${dpid} 00000000 fe 00 0000 0000004f 00000000`;

/** A switch of nobody's that has shaken hands. */
async function established(dpid: string): Promise<Socket> {
  const socket = await call();
  socket.write(hex(HELLO + featuresReply(dpid) + PORT_DESC_REPLY));
  return socket;
}

/** A sum of a metric's samples. */
async function metric(name: string): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text();
  return [...text.matchAll(new RegExp(`^${name}(?:{[^}]*})? (\\d+)$`, 'gm'))].reduce(
    (sum, [, n]) => sum + Number(n),
    0,
  );
}

/** Echo requests of a peer, one after the other while something goes on; the longest wait for a reply. */
async function slowestEchoMs(whileThis: Promise<unknown>): Promise<number> {
  const peer = await established('00000000000000ec');
  let isOver = false;
  const over = whileThis.finally(() => {
    isOver = true;
  });
  const cutter = new FrameCutter();
  let waiting: (() => void) | undefined;
  peer.on('data', (chunk) => {
    for (const frame of cutter.push(chunk)) if (frame[1] === 3) waiting?.();
  });
  peer.once('close', () => waiting?.());
  let slowestMs = 0;
  for (let count = 0; !isOver; count++) {
    const answered = new Promise<void>((resolve) => {
      waiting = resolve;
    });
    const startMs = performance.now();
    peer.write(encodeMessage({ type: 'echoRequest', xid: count, data: new Uint8Array(4) }));
    await answered;
    expect(peer.destroyed, 'the peer whose echo requests are measured is still served').toBe(false);
    slowestMs = Math.max(slowestMs, performance.now() - startMs);
    await delay(10);
  }
  await over;
  expect(peer.destroyed).toBe(false);
  return slowestMs;
}

/** A guest comes to node2: how long until its port has its VLAN and node2's bridges have its flows. */
async function plugMs(): Promise<number> {
  const name = `spare${plugged}`;
  plugged += 1;
  const startMs = performance.now();
  const ofport = await heddle.site.plug('node2', name);
  await tagged('node2', name);
  await waitFor(`flows of ${name}`, async () => {
    const flows = await heddle.site.host('node2').dumpFlows('br-int', 'table=24');
    return flows.some((flow) => flow.includes(`in_port=${ofport} `) || flow.includes(`in_port=${ofport},`));
  });
  return performance.now() - startMs;
}

/** What goes on disturbs neither memory, nor echoes, nor another host. */
async function costsLittle(
  what: string,
  whileThis: () => Promise<unknown>,
  limits = { echoMs: ECHO_LATE_MS, growthSize: GROWTH_MAX_SIZE },
): Promise<void> {
  const before = await memorySize();
  const disturbance = whileThis();
  const [echoMs, guestMs] = await Promise.all([slowestEchoMs(disturbance), plugMs()]);
  const growth = (await memorySize()) - before;
  expect(echoMs, `${what}: echo`).toBeLessThan(limits.echoMs);
  expect(guestMs, `${what}: a guest of another host`).toBeLessThan(PLUG_LATE_MS);
  expect(growth, `${what}: memory`).toBeLessThan(limits.growthSize);
}

/** Packets that a bridge sends up although no meter lets it: one packet-out with many controller actions each. */
async function flooded(host: string): Promise<void> {
  board.dial(`unix:${heddle.site.host(host).mgmtPath('br-int')}`);
  const connection = await waitFor('a second connection', () => board.connections.findLast(({ isOpen }) => isOpen));
  const guestPort = Number(await heddle.site.get(host, 'Interface', 'blue1', 'ofport'));
  const endMs = performance.now() + FLOOD_MS;
  for (let count = 0; performance.now() < endMs; count++) {
    const target = { targetIp: 0x0a00_ffff - (count % 4_000), senderIp: 0x0a00_000b, senderMac: 0xfa16_3e00_0001 };
    const data = encodePacket(arpRequest(target));
    const actions = Object.values(PACKET_IN_REASONS).flatMap(({ id }) => {
      // Without its meter, which holds a real guest.
      const userdata = Uint8Array.of(0x48, 0x44, 1, id);
      return Array.from(
        { length: PACKET_INS_PER_REASON },
        (): Action => ({ type: 'controller', maxLength: 0xffff, userdata }),
      );
    });
    connection.packetOut({ inPort: guestPort, actions, data });
    if (count % 10 === 0) await connection.barrier();
  }
}

test('a bridge of ours that sends packets without end', async () => {
  const before = await metric('heddle_packet_ins_total');
  await costsLittle('packet-ins', () => flooded('node1'));
  const count = (await metric('heddle_packet_ins_total')) - before;
  expect(count / (FLOOD_MS / 1_000)).toBeGreaterThan(2_000);
});

test(`a peer that sends ${PACKET_INS_PER_SECOND} packets a second`, async () => {
  const data = encodePacket(arpRequest({ targetIp: 1, senderIp: 2, senderMac: 0xfa16_3e00_0001 }));
  const head = {
    type: 'packetIn',
    xid: 0,
    bufferId: 0xffff_ffff,
    totalSize: data.length,
    reason: 1,
    table: 0,
  } as const;
  const packetIn = encodeMessage({ ...head, cookie: 0n, match: { inPort: 1 }, data });
  const perTurn = PACKET_INS_PER_SECOND / 100;
  const chunk = Buffer.concat(Array.from({ length: perTurn }, () => packetIn));
  const flooder = await established('00000000000000fd');
  let sent = 0;
  await costsLittle('a foreign flood', async () => {
    const startMs = performance.now();
    while (performance.now() < startMs + FLOOD_MS) {
      if (!flooder.write(chunk)) await once(flooder, 'drain');
      sent += perTurn;
      await delay(Math.max(0, startMs + (1_000 * sent) / PACKET_INS_PER_SECOND - performance.now()));
    }
  });
  expect(flooder.destroyed).toBe(false);
  expect(sent / (FLOOD_MS / 1_000)).toBeGreaterThan(0.8 * PACKET_INS_PER_SECOND);
});

test(`${HALF_OPEN_COUNT} connections that say nothing`, async () => {
  await costsLittle('half-open connections', async () => {
    let ended = 0;
    for (let count = 0; count < HALF_OPEN_COUNT; count += 500) {
      const crowd = await Promise.all(Array.from({ length: 500 }, call));
      for (const socket of crowd) {
        socket.resume();
        socket.once('close', () => {
          ended += 1;
        });
      }
    }
    // All but those that may still shake hands were sent away.
    await waitFor('the bound', () => ended >= HALF_OPEN_COUNT - 1_000);
  });
  for (const { bridges } of (await heddle.status()).hosts)
    expect(bridges.every(({ connected }) => connected)).toBe(true);
});

test('a switch that stops reading while it is told much, and reads again', async () => {
  const { site } = heddle;
  const pid = site.host('node1').vswitchdPid ?? 0;
  const remote = Array.from({ length: REMOTE_COUNT }, (_, index) => ({
    ...port(`remote${index}`, 'blue', `10.0.${10 + (index >> 8)}.${index & 0xff}`),
    host: 'remote',
  }));
  process.kill(pid, 'SIGSTOP');
  try {
    await costsLittle(
      'a stopped switch',
      async () => {
        // A host that is not reached: its ports are known by the file alone.
        site.hostEntries = { ...site.hostEntries, remote: {} };
        site.document = { ...site.document, ports: [...(site.document.ports ?? []), ...remote] };
        heddle.write(site.text());
        await delay(FLOOD_MS);
      },
      RELOAD_LIMITS,
    );
    expect((await heddle.status()).converged).toBe(false);
  } finally {
    process.kill(pid, 'SIGCONT');
  }
  const caughtUp = async () => (await site.host('node1').dumpFlows('br-tun')).length > REMOTE_COUNT;
  await waitFor('what node1 had missed', caughtUp, 15_000);
  for (const host of ['node1', 'node2']) {
    const isEqual = async () => (await heddle.process.ask('diff', '--live', '--host', host)).status === 0;
    await waitFor(`${host} to be as it should`, isEqual, 15_000);
  }
});
