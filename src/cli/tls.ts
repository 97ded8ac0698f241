/** The TLS options that several commands share: paths on the command line to the material that sockets take. */
import { readFileSync } from 'node:fs';
import type { TlsMaterial } from '../lib/endpoint.ts';
import { HeddleError } from '../lib/errors.ts';

export interface TlsOptions {
  readonly privateKey?: string;
  readonly certificate?: string;
  readonly caCert?: string;
}

/** undefined when none is given. Throws TLS_MISSING when some are, FILE_UNREADABLE when one cannot be read. */
export function readTls({ privateKey, certificate, caCert }: TlsOptions): TlsMaterial | undefined {
  if (privateKey === undefined && certificate === undefined && caCert === undefined) return undefined;
  if (privateKey === undefined || certificate === undefined || caCert === undefined) {
    throw new HeddleError('TLS_MISSING', 'ssl: needs --private-key, --certificate and --ca-cert together');
  }
  return { key: readPem(privateKey), cert: readPem(certificate), ca: readPem(caCert) };
}

function readPem(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new HeddleError('FILE_UNREADABLE', `${path}: ${error instanceof Error ? error.message : String(error)}`);
  }
}
