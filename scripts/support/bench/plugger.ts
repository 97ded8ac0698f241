/**
 * Plugs ports into the br-int of one host and takes them out again, by its OVSDB, as a compute service would. Serves fake-hosts.ts.
 */
import { OvsdbClient } from '../../../src/ovsdb/client.ts';
import { OPEN_VSWITCH, type OpenVswitch } from '../../../src/ovsdb/open-vswitch.generated.ts';
import { Transaction } from '../../../src/ovsdb/transaction.ts';

const TABLES = { Bridge: ['name', 'ports'], Port: ['name'] } as const;

/** One port; without an id it is taken out. */
export interface PlugOrder {
  readonly name: string;
  readonly portId?: string;
}

export class Plugger {
  readonly #client: OvsdbClient<OpenVswitch, typeof TABLES>;

  constructor(databaseSocket: string) {
    this.#client = new OvsdbClient({ target: `unix:${databaseSocket}`, model: OPEN_VSWITCH, tables: TABLES });
  }

  async start(): Promise<void> {
    this.#client.start();
    while (!this.#client.isLive || !this.#client.replica.isWhole)
      await new Promise((resolve) => setTimeout(resolve, 5));
  }

  async follow({ name, portId }: PlugOrder): Promise<void> {
    const { replica } = this.#client;
    const bridge = [...replica.table('Bridge').values()].find((row) => row.name === 'br-int');
    if (bridge === undefined) throw new Error('there is no br-int');
    const transaction = new Transaction(OPEN_VSWITCH);
    if (portId === undefined) {
      const rows = [...replica.table('Port').values()].filter((row) => row.name === name);
      transaction.mutate(
        'Bridge',
        bridge._uuid,
        'ports',
        'delete',
        rows.map(({ _uuid }) => _uuid),
      );
    } else {
      const external_ids = new Map([['iface-id', portId]]);
      const tap = transaction.insert('Interface', { name, type: 'internal', external_ids });
      const port = transaction.insert('Port', { name, interfaces: [tap] });
      transaction.mutate('Bridge', bridge._uuid, 'ports', 'insert', [port]);
    }
    // ovs-vswitchd tells by cur_cfg that it has taken it in, as with ovs-vsctl.
    transaction.incrementNextCfg();
    await this.#client.transact(transaction);
  }
}
