/** `heddle ovsdb CONN dump|monitor TABLE`: the OVSDB client by itself, against any database server. */

import { type AnyRow, dumpTable, monitorTable, rowToJson, type TableRequest } from '../ovsdb/index.ts';
import { EXIT, type ExitStatus } from './exit.ts';
import { formatJson, formatTable, paint, type Terminal } from './output.ts';
import { readTls, type TlsOptions } from './tls.ts';

export interface OvsdbOptions extends TlsOptions {
  readonly connection: string;
  readonly action: 'dump' | 'monitor';
  readonly table: string;
  /** Empty: all. */
  readonly columns: readonly string[];
  readonly json?: boolean;
}

export async function ovsdb(options: OvsdbOptions, terminal: Terminal): Promise<ExitStatus> {
  const { connection: target, table, columns } = options;
  const tls = readTls(options);
  const request = { target, table, ...(columns.length > 0 && { columns }), ...(tls && { tls }) };
  if (options.action === 'dump') await dump(request, options, terminal);
  else await monitor(request, options, terminal);
  return EXIT.success;
}

async function dump(request: TableRequest, { json }: OvsdbOptions, terminal: Terminal): Promise<void> {
  const { columns, rows } = await dumpTable(request);
  if (json) {
    terminal.out(formatJson(rows.map(rowToJson)));
    return;
  }
  const cells = rows.map((row) => columns.map((column) => cellText(rowToJson(row)[column])));
  terminal.out(formatTable(columns, cells.sort()));
}

/** Until interrupted. Each row that comes, changes or goes is one line: `+`, `~` or `-`, and its columns. */
async function monitor(request: TableRequest, { json }: OvsdbOptions, terminal: Terminal): Promise<void> {
  const abort = new AbortController();
  const stop = (): void => abort.abort();
  process.once('SIGINT', stop);
  process.once('SIGTERM', stop);
  for await (const { cause, changes } of monitorTable({ ...request, signal: abort.signal })) {
    for (const { uuid, old, new: current } of changes) {
      const row = (current ?? old) as AnyRow | undefined;
      if (row === undefined) continue;
      const [sign, style] =
        old === undefined
          ? (['+', 'green'] as const)
          : current === undefined
            ? (['-', 'red'] as const)
            : (['~', 'yellow'] as const);
      const { _uuid, ...values } = rowToJson(row);
      if (json) terminal.out(`${JSON.stringify({ cause, change: sign, uuid, row: values })}\n`);
      else {
        const text = Object.entries(values).map(([name, value]) => `${name}=${cellText(value)}`);
        terminal.out(`${paint(terminal, style, sign)} ${uuid.slice(0, 8)} ${text.join(' ')}\n`);
      }
    }
  }
  process.off('SIGINT', stop);
  process.off('SIGTERM', stop);
}

/** Text as it is, everything else as JSON; nothing as `-`. */
const cellText = (value: unknown): string =>
  typeof value === 'string' ? value || '""' : value === null ? '-' : JSON.stringify(value);
