/**
 * A process of hosts whose ovs-vswitchd is not there: for each a real ovsdb-server is told of by its socket, and what vswitchd
 * would write there (ofports, datapath ids, cur_cfg) is written, and what it would call is called (fake-switch.ts). Run by
 * one-port-line.ts, which sends it the hosts and is told `ready` when all are plugged; then it plugs and unplugs ports of a real
 * host as it is told (plugger.ts), so that the process that is measured starts no other meanwhile.
 */
import { OvsdbClient } from '../../../src/ovsdb/client.ts';
import { OPEN_VSWITCH, type OpenVswitch } from '../../../src/ovsdb/open-vswitch.generated.ts';
import { Transaction } from '../../../src/ovsdb/transaction.ts';
import type { NamedUuid } from '../../../src/ovsdb/value.ts';
import { FakeSwitch } from './fake-switch.ts';
import { Plugger, type PlugOrder } from './plugger.ts';

const TABLES = {
  Open_vSwitch: ['bridges', 'next_cfg', 'cur_cfg'],
  Bridge: ['name', 'ports', 'controller', 'datapath_id', 'other_config'],
  Port: ['name', 'interfaces'],
  Interface: ['name', 'type', 'ofport'],
  Controller: ['target'],
} as const;

const LOCAL_OFPORT = 65_534;

export interface FakeHostOptions {
  readonly name: string;
  /** Distinguishes datapath ids. */
  readonly index: number;
  readonly databaseSocket: string;
  /** Port ids plugged into br-int. */
  readonly ports: readonly string[];
}

class FakeHost {
  readonly #options: FakeHostOptions;
  readonly #client: OvsdbClient<OpenVswitch, typeof TABLES>;
  readonly #switches = new Map<string, FakeSwitch>();
  #nextOfport = 1;
  #isWriting = false;

  constructor(options: FakeHostOptions) {
    this.#options = options;
    this.#client = new OvsdbClient({
      target: `unix:${options.databaseSocket}`,
      model: OPEN_VSWITCH,
      tables: TABLES,
      onDelta: () => void this.#follow(),
    });
  }

  /** Resolves when br-int and its ports are there. */
  async start(): Promise<void> {
    this.#client.start();
    while (!this.#client.isLive || !this.#client.replica.isWhole)
      await new Promise((resolve) => setTimeout(resolve, 5));
    const [root] = this.#client.replica.table('Open_vSwitch').values();
    if (root === undefined) throw new Error('the database has no root');
    const transaction = new Transaction(OPEN_VSWITCH);
    const names = ['br-int', ...this.#options.ports.map((_, index) => `tap${index}`)];
    const ports: NamedUuid[] = names.map((name, index) => {
      const id = this.#options.ports[index - 1];
      const tap = transaction.insert('Interface', {
        name,
        type: 'internal',
        ...(id !== undefined && { external_ids: new Map([['iface-id', id]]) }),
      });
      return transaction.insert('Port', { name, interfaces: [tap] });
    });
    const bridge = transaction.insert('Bridge', { name: 'br-int', ports });
    transaction.mutate('Open_vSwitch', root._uuid, 'bridges', 'insert', [bridge]);
    await this.#client.transact(transaction);
  }

  /** Do what ovs-vswitchd would: say what it did in the database, and call the controllers. */
  async #follow(): Promise<void> {
    if (this.#isWriting) return;
    const { replica } = this.#client;
    const transaction = new Transaction(OPEN_VSWITCH);
    for (const row of replica.table('Interface').values()) {
      if (row.ofport !== undefined) continue;
      const isLocal = row.type === 'internal' && row.name.startsWith('br-');
      transaction.update('Interface', row._uuid, { ofport: isLocal ? LOCAL_OFPORT : this.#nextOfport++ });
    }
    for (const row of replica.table('Bridge').values()) {
      if (row.datapath_id === undefined) {
        const order = ['br-int', 'br-tun'].indexOf(row.name);
        const given = row.other_config.get('datapath-id');
        const own = (0x10_0000 + 0x10 * this.#options.index + order).toString(16).padStart(16, '0');
        transaction.update('Bridge', row._uuid, { datapath_id: given ?? own });
      }
    }
    for (const row of replica.table('Open_vSwitch').values()) {
      if (row.cur_cfg !== row.next_cfg) transaction.update('Open_vSwitch', row._uuid, { cur_cfg: row.next_cfg });
    }
    this.#callControllers();
    if (transaction.isEmpty || !this.#client.isLive) return;
    this.#isWriting = true;
    await this.#client.transact(transaction).catch(() => undefined);
    this.#isWriting = false;
    await this.#follow();
  }

  #callControllers(): void {
    const { replica } = this.#client;
    for (const row of replica.table('Bridge').values()) {
      const [uuid] = row.controller;
      const target = uuid === undefined ? undefined : replica.table('Controller').get(uuid)?.target;
      const [kind, host, port] = (target ?? '').split(':');
      if (kind !== 'tcp' || host === undefined || row.datapath_id === undefined || this.#switches.has(row.name))
        continue;
      const dpid = BigInt(`0x${row.datapath_id}`);
      this.#switches.set(row.name, new FakeSwitch({ host, port: Number(port), dpid }));
    }
  }
}

/** The first message. */
export interface FakeHostsOrder {
  readonly hosts: readonly FakeHostOptions[];
  /** The host whose ports the messages after it are about. */
  readonly pluggedSocket: string;
}

process.once('message', async (message) => {
  const { hosts, pluggedSocket } = message as FakeHostsOrder;
  for (const options of hosts) await new FakeHost(options).start();
  const plugger = new Plugger(pluggedSocket);
  await plugger.start();
  process.on('message', (order) => void plugger.follow(order as PlugOrder));
  process.send?.('ready');
});
