/**
 * Addresses of peers as Open vSwitch writes them: `tcp:ADDR:PORT`, `ssl:ADDR:PORT`, `unix:PATH`. Serves every place that
 * listens or dials.
 */
import { HeddleError } from './errors.ts';

export type Endpoint =
  | { readonly kind: 'tcp' | 'ssl'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string };

export interface ParseEndpointOptions {
  /** Taken where the text names none: 6653 for OpenFlow, 6640 for OVSDB. Absent: the text must name one. */
  readonly defaultPort?: number;
}

/** TLS material, PEM. Peers must show a certificate that `ca` signed: both sides are checked, by the CA and not by name. */
export interface TlsMaterial {
  readonly key: string | Buffer;
  readonly cert: string | Buffer;
  readonly ca: string | Buffer;
}

/** Throws HeddleError BAD_ENDPOINT. Port 0 is for listening: any free one. IPv6 addresses stand in brackets. */
export function parseEndpoint(text: string, options: ParseEndpointOptions = {}): Endpoint {
  const colon = text.indexOf(':');
  const kind = text.slice(0, Math.max(colon, 0));
  const rest = text.slice(colon + 1);
  if (kind === 'unix') {
    if (rest === '') throw bad(text, 'the path is missing');
    return { kind, path: rest };
  }
  if (kind !== 'tcp' && kind !== 'ssl') throw bad(text, 'it begins with none of tcp:, ssl:, unix:');
  const parts = /^(?:\[([^\]]+)\]|([^:[\]]+))(?::(\d{1,5}))?$/.exec(rest);
  if (parts === null) throw bad(text, 'expected ADDRESS:PORT, an IPv6 address in brackets');
  const host = parts[1] ?? parts[2] ?? '';
  const port = parts[3] === undefined ? options.defaultPort : Number(parts[3]);
  if (port === undefined) throw bad(text, 'the port is missing');
  if (port > 65_535) throw bad(text, `port ${port} is above 65535`);
  return { kind, host, port };
}

/** The text that parseEndpoint reads. */
export function endpointText(endpoint: Endpoint): string {
  if (endpoint.kind === 'unix') return `unix:${endpoint.path}`;
  const host = endpoint.host.includes(':') ? `[${endpoint.host}]` : endpoint.host;
  return `${endpoint.kind}:${host}:${endpoint.port}`;
}

function bad(text: string, why: string): HeddleError {
  return new HeddleError(
    'BAD_ENDPOINT',
    `"${text}" is no address: ${why}; write tcp:127.0.0.1:6653 or unix:/run/db.sock`,
    {
      text,
    },
  );
}
