/**
 * Keys for TLS tests: a CA and certificates that it signed, made by openssl in a directory of the test's own. Serves tests of
 * the OpenFlow channel and of the OVSDB session.
 */
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { TlsMaterial } from '../../src/lib/endpoint.ts';

const run = promisify(execFile);

/** Files for the daemons, contents for us. */
export interface KeyPair extends TlsMaterial {
  readonly keyFile: string;
  readonly certFile: string;
  readonly caFile: string;
}

/** A CA of this name, and a key pair that it signed for each of `holders`. */
export async function makeTlsKeys<const Holders extends string>(
  directory: string,
  ca: string,
  holders: readonly Holders[],
): Promise<Record<Holders, KeyPair>> {
  const caKey = join(directory, `${ca}.key`);
  const caFile = join(directory, `${ca}.crt`);
  const selfSigned = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', `/CN=${ca}`];
  await run('openssl', [...selfSigned, '-keyout', caKey, '-out', caFile]);
  const pairs = await Promise.all(
    holders.map(async (holder): Promise<[Holders, KeyPair]> => {
      const keyFile = join(directory, `${ca}-${holder}.key`);
      const certFile = join(directory, `${ca}-${holder}.crt`);
      const request = ['req', '-newkey', 'rsa:2048', '-nodes', '-subj', `/CN=${holder}`, '-keyout', keyFile];
      await run('openssl', [...request, '-out', `${certFile}.csr`]);
      const sign = ['x509', '-req', '-in', `${certFile}.csr`, '-CA', caFile, '-CAkey', caKey, '-set_serial', serial()];
      await run('openssl', [...sign, '-days', '2', '-out', certFile]);
      const [key, cert, authority] = await Promise.all([keyFile, certFile, caFile].map((file) => readFile(file)));
      if (key === undefined || cert === undefined || authority === undefined) throw new Error('openssl wrote nothing');
      return [holder, { keyFile, certFile, caFile, key, cert, ca: authority }];
    }),
  );
  return Object.fromEntries(pairs) as Record<Holders, KeyPair>;
}

function serial(): string {
  return `0x${crypto.randomUUID().replaceAll('-', '')}`;
}
