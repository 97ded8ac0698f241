/** `heddle encode FLOW`: a flow in ovs-ofctl's words to the bytes of the FLOW_MOD that adds it. */
import { parseFlow } from '../flow/parse.ts';
import { HeddleError } from '../lib/errors.ts';
import { encodeMessage } from '../openflow/index.ts';
import { EXIT, type ExitStatus } from './exit.ts';
import { formatJson, type Terminal } from './output.ts';

export async function encode(
  text: string,
  options: { readonly xid: string; readonly json?: boolean },
  terminal: Terminal,
): Promise<ExitStatus> {
  const xid = Number(options.xid);
  if (!Number.isInteger(xid) || xid < 0 || xid > 0xffffffff) {
    throw new HeddleError('BAD_XID', `--xid ${options.xid}: a transaction id is a number from 0 to 4294967295`);
  }
  const bytes = encodeMessage({ type: 'flowMod', xid, command: 'add', flow: parseFlow(text) });
  const hex = Buffer.from(bytes).toString('hex');
  terminal.out(options.json ? formatJson({ xid, size: bytes.byteLength, hex }) : `${hex}\n`);
  return EXIT.success;
}
