/**
 * What a pass sends to its bridge: noted before, so that nothing of it is taken for drift or sent anew, and what is refused kept.
 * Serves installer.ts, whose parts it uses.
 */
import type { BridgeBook } from '../compiler/book.ts';
import type { SwitchConnection } from '../openflow/connection.ts';
import type { BridgeDump } from './compare-bridge.ts';
import type { DriftWatch } from './drift-watch.ts';
import { fillBridge } from './fill-bridge.ts';
import type { Operation, OperationEncoder, Refusal } from './operations.ts';
import type { RefusedFlows } from './refused-flows.ts';
import type { BridgeReport } from './report.ts';
import { sendOperations } from './send-operations.ts';
import type { TurnQueue } from './turn-queue.ts';

export interface SenderOptions {
  readonly report: BridgeReport;
  readonly encoder: OperationEncoder;
  readonly refused: RefusedFlows;
  readonly watch: DriftWatch;
  readonly turns: TurnQueue;
  /** Throws when the connection is no longer the bridge's. */
  readonly assertCurrent: (connection: SwitchConnection) => void;
}

export class Sender {
  readonly #options: SenderOptions;

  constructor(options: SenderOptions) {
    this.#options = options;
  }

  /** Resolves when the switch has processed all of it. */
  async send(
    connection: SwitchConnection,
    operations: readonly Operation[],
    unwritable: readonly Refusal[],
  ): Promise<void> {
    const { turns } = this.#options;
    await turns.run(this.#noteAll(operations));
    this.#options.assertCurrent(connection);
    const { refused } = operations.length === 0 ? NOTHING_REFUSED : await sendOperations(connection, operations, turns);
    this.#finish(connection, refused, unwritable);
  }

  /** A large book onto a bridge without a flow. Gives the number of operations. */
  async fill(
    connection: SwitchConnection,
    dump: BridgeDump,
    options: { readonly book: BridgeBook; readonly keepForeign: boolean },
  ): Promise<number> {
    this.#options.report.filling(options.book.size);
    const noted = (operations: readonly Operation[]) => this.#noteAll(operations);
    const { turns } = this.#options;
    // What others do meanwhile the next comparison finds, which comes soon.
    this.#options.watch.pause();
    const { sentCount, refused } = await fillBridge(connection, dump, { ...options, noted, turns });
    this.#options.assertCurrent(connection);
    await this.#options.watch.start(connection);
    this.#finish(connection, refused, []);
    return sentCount;
  }

  #finish(connection: SwitchConnection, refused: readonly Refusal[], unwritable: readonly Refusal[]): void {
    this.#options.assertCurrent(connection);
    for (const { error } of refused) this.#options.report.refused(error.code);
    this.#options.refused.add([...unwritable, ...refused]);
  }

  *#noteAll(operations: readonly Operation[]): Generator<void, void> {
    const { report, encoder, refused } = this.#options;
    for (const operation of operations) {
      report.sent(operation);
      encoder.note(operation);
      if (operation.desired !== undefined) refused.forget(operation.desired);
      yield;
    }
  }
}

const NOTHING_REFUSED = { refused: [] as readonly Refusal[] };
