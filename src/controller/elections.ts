/**
 * Whether a bridge that is connected is this controller's to program: always, or, with an identity, when no other controller of the
 * site does (switch/election.ts). Serves bridge-connections.ts.
 */
import type { Logger } from '../lib/log.ts';
import type { SwitchConnection } from '../openflow/connection.ts';
import { BridgeElection } from '../switch/election.ts';
import type { BridgeInstaller } from '../switch/installer.ts';

export interface ElectionsOptions {
  /** Tells controllers of one site apart, and is the same when one is started anew. Absent: there is no other. */
  readonly identity?: string;
  readonly logger: Logger;
  /** Of a bridge of this host another controller is master from now on, or this one. */
  readonly onRole: (host: string) => void;
}

export class Elections {
  readonly #options: ElectionsOptions | undefined;
  readonly #elections = new Set<BridgeElection>();

  constructor(options?: ElectionsOptions) {
    this.#options = options;
  }

  attach(connection: SwitchConnection, installer: BridgeInstaller): void {
    const { identity, logger, onRole } = this.#options ?? {};
    if (identity === undefined || logger === undefined || onRole === undefined) {
      installer.attach(connection);
      return;
    }
    const election = new BridgeElection(connection, {
      identity,
      logger,
      onMaster: () => {
        installer.follows = false;
        installer.attach(connection);
        onRole(installer.host);
      },
      onFollower: () => {
        installer.follows = true;
        installer.detach(connection);
        onRole(installer.host);
      },
    });
    this.#elections.add(election);
    connection.subscribe({
      closed: () => {
        this.#elections.delete(election);
        installer.follows = false;
        onRole(installer.host);
      },
    });
  }

  /** Let the other controller have all bridges at once. Call before their connections are closed. */
  resign(): void {
    for (const election of this.#elections) election.resign();
  }
}
