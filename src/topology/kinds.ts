/**
 * The kinds of value that the topology schema is made of: how each is read, and what it is called in messages and in
 * docs/TOPOLOGY.md. Serves schema.ts.
 *
 * A value that is wrong must not hide what is wrong beside it. So each field, list item and mapping value is read for itself: a
 * bad one becomes a `Broken` in the output, which draft.ts takes out and reports. The static types already leave it out.
 */
import * as z from 'zod';
import {
  type Ip,
  ipFromText,
  ipToText,
  ipv4FromText,
  macFromText,
  macToText,
  type Prefix,
  prefixFromText,
  prefixToText,
} from '../lib/addresses.ts';
import { parseEndpoint } from '../lib/endpoint.ts';
import { HeddleError } from '../lib/errors.ts';
import { nearest } from './suggest.ts';

/** A kind of value. `says` completes "missing: give …" and "12 is not …". */
export interface Kind<T> {
  readonly says: string;
  readonly schema: z.ZodType<T>;
}

/** Stands where a value could not be read. */
export class Broken {
  readonly issues: readonly { readonly path: readonly PropertyKey[]; readonly message: string }[];

  constructor(issues: Broken['issues']) {
    this.issues = issues;
  }
}

/** Stands where a key is that no schema knows. */
export class UnknownKey {
  readonly known: readonly string[];

  constructor(known: readonly string[]) {
    this.known = known;
  }
}

/** A value of the right type that says something wrong. Thrown by readers, turned into a message by `textKind`. */
class ValueError extends HeddleError {
  constructor(message: string) {
    super('BAD_VALUE', message);
  }
}

const SHOWN_LENGTH_MAX = 60;

/** A value as a message shows it. */
export function shown(value: unknown): string {
  if (value === null || value === undefined) return 'nothing';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'a mapping';
  if (typeof value !== 'string') return String(value);
  return JSON.stringify(value.length > SHOWN_LENGTH_MAX ? `${value.slice(0, SHOWN_LENGTH_MAX)}…` : value);
}

interface RawIssue {
  readonly input?: unknown;
}

const isNot = (says: string) => ({ error: (issue: RawIssue) => `${shown(issue.input)} is not ${says}` });

/** Text that `read` understands; `read` throws a HeddleError whose message is shown as it is. */
export function textKind<T>(says: string, read: (text: string) => T, wrongType = isNot(says)): Kind<T> {
  const schema = z.string(wrongType).transform((text, context): T => {
    try {
      return read(text);
    } catch (error) {
      if (!(error instanceof HeddleError)) throw error;
      context.addIssue({ code: 'custom', message: error.message });
      return z.NEVER;
    }
  });
  return { says, schema };
}

const CONTROL_CHARACTER = /\p{Cc}/u;

/** Any text that can stand in a line. A number or a boolean is told to be put in quotes. */
export function nameKind(says: string): Kind<string> {
  const read = (text: string): string => {
    if (text !== '' && text === text.trim() && !CONTROL_CHARACTER.test(text)) return text;
    throw new ValueError(
      `${shown(text)} is not ${says}: give some text, no control characters, no space at either end`,
    );
  };
  const error = ({ input }: RawIssue): string => {
    const isBare = typeof input === 'number' || typeof input === 'boolean';
    return `${shown(input)} is not ${says}${isBare ? `; put it in quotes: "${input}"` : ''}`;
  };
  return textKind(says, read, { error });
}

export function oneOf<const T extends string>(values: readonly [T, ...T[]]): Kind<T> {
  const says = values.length === 1 ? values[0] : `${values.slice(0, -1).join(', ')} or ${values.at(-1)}`;
  const error = ({ input }: RawIssue): string => {
    const meant = typeof input === 'string' ? nearest(input, values) : undefined;
    return `${shown(input)} is not ${says}${meant === undefined ? '' : `; did you mean "${meant}"?`}`;
  };
  return { says, schema: z.enum(values, { error }) as unknown as z.ZodType<T> };
}

export const bool: Kind<boolean> = { says: 'true or false', schema: z.boolean(isNot('true or false')) };

/** A whole number from `min` to `max`, both included. */
export function wholeNumber(min: number, max: number, what = 'a whole number'): Kind<number> {
  const says = `${what} from ${min} to ${max}`;
  return { says, schema: z.number(isNot(says)).int(isNot(says)).min(min, isNot(says)).max(max, isNot(says)) };
}

/** A whole number whose range depends on something else. */
export const anyWholeNumber: Kind<number> = {
  says: 'a whole number',
  schema: z.number(isNot('a whole number')).int(isNot('a whole number')),
};

const MULTICAST_MAC_BIT = 2 ** 40;

/** The address of one station. */
export const mac = textKind('a MAC address, as in fa:16:3e:00:00:01', (text) => {
  const address = macFromText(text);
  if (address === 0) throw new ValueError(`${macToText(address)} is nobody's address; give a unicast MAC`);
  if (Math.floor(address / MULTICAST_MAC_BIT) % 2 === 1) {
    throw new ValueError(`${macToText(address)} is a multicast address; the first octet of a unicast MAC is even`);
  }
  return address;
});

export const ip: Kind<Ip> = textKind('an IP address, as in 10.0.0.1 or fd00::1', ipFromText);

const IPV4_SAYS = 'an IPv4 address, as in 192.0.2.1';

export const ipv4: Kind<number> = textKind(IPV4_SAYS, (text) => {
  if (text.includes(':')) throw new ValueError(`${shown(text)} is not ${IPV4_SAYS}`);
  return ipv4FromText(text);
});

/** An address of a machine, which others can send to. */
export const unicastIp: Kind<Ip> = textKind(ip.says, (text) => {
  const address = ipFromText(text);
  const isUnicast =
    typeof address === 'number' ? address !== 0 && address < 0xe0000000 : address !== 0n && address >> 120n !== 0xffn;
  if (!isUnicast) throw new ValueError(`${ipToText(address)} is not the address of a machine; give a unicast address`);
  return address;
});

function strictPrefix(text: string): Prefix {
  const prefix = prefixFromText(text);
  const address = ipFromText(text.split('/', 1)[0] ?? '');
  if (address !== prefix.address) {
    throw new ValueError(`${text} has bits beyond its length; the prefix is ${prefixToText(prefix)}`);
  }
  return prefix;
}

export const prefix: Kind<Prefix> = textKind('a prefix, as in 10.0.0.0/24 or fd00::/64', (text) => {
  if (text.includes('/')) return strictPrefix(text);
  throw new ValueError(`${shown(text)} has no length; write ${prefixToText(prefixFromText(text))} for the one address`);
});

/** As `prefix`, and an address alone is a prefix of one address. */
export const prefixOrIp: Kind<Prefix> = textKind('an address or a prefix, as in 10.0.0.1 or 10.0.0.0/24', strictPrefix);

/** `unix:PATH`, `tcp:IP:PORT` or `ssl:IP:PORT`, as Open vSwitch writes them. */
export const endpoint: Kind<string> = textKind('unix:PATH, tcp:IP:PORT or ssl:IP:PORT', (text) => {
  const peer = parseEndpoint(text);
  if (peer.kind === 'unix') return text;
  if (peer.port === 0) throw new ValueError(`${shown(text)} has port 0, where nobody listens; give the peer's port`);
  // Open vSwitch resolves no names before it has its controller.
  ipFromText(peer.host);
  return text;
});

/** A bridge is an interface of its host, whose names Linux limits (IFNAMSIZ) and sysfs takes for directories. */
export const bridgeName: Kind<string> = textKind('a bridge name', (text) => {
  if (/^[^\s/\p{Cc}]{1,15}$/u.test(text) && text !== '.' && text !== '..') return text;
  throw new ValueError(`${shown(text)} is not a bridge name: 1 to 15 characters, neither space nor slash`);
});

/** Protocols by name, as Neutron's API takes them, with their IANA numbers. */
const PROTOCOLS: Readonly<Record<string, number>> = {
  ah: 51,
  dccp: 33,
  egp: 8,
  esp: 50,
  gre: 47,
  icmp: 1,
  icmpv6: 58,
  igmp: 2,
  ipip: 4,
  'ipv6-encap': 41,
  'ipv6-frag': 44,
  'ipv6-icmp': 58,
  'ipv6-nonxt': 59,
  'ipv6-opts': 60,
  'ipv6-route': 43,
  ospf: 89,
  pgm: 113,
  rsvp: 46,
  sctp: 132,
  tcp: 6,
  udp: 17,
  udplite: 136,
  vrrp: 112,
};

const PROTOCOL_SAYS = 'a protocol: tcp, udp, icmp, icmpv6, sctp or another IANA name, or a number from 0 to 255';

export const protocol: Kind<number> = {
  says: PROTOCOL_SAYS,
  schema: z.union([z.number(), z.string()], isNot(PROTOCOL_SAYS)).transform((value, context): number => {
    const name = String(value).toLowerCase();
    const number = Object.hasOwn(PROTOCOLS, name) ? PROTOCOLS[name] : /^\d{1,3}$/.test(name) ? Number(name) : undefined;
    if (number !== undefined && number <= 255) return number;
    const meant = nearest(name, Object.keys(PROTOCOLS));
    const hint = meant === undefined ? '' : `; did you mean "${meant}"?`;
    context.addIssue({ code: 'custom', message: `${shown(value)} is not ${PROTOCOL_SAYS}${hint}` });
    return z.NEVER;
  }),
};

/** What cannot be read becomes a Broken, which draft.ts takes out before anybody relies on the type. */
export function lenient<T>(schema: z.ZodType<T>): z.ZodType<T | undefined> {
  return schema.catch((context) => new Broken(context.error.issues) as never);
}

export function listOf<T>(item: Kind<T>, says: string): Kind<readonly (T | undefined)[]> {
  return { says, schema: z.array(lenient(item.schema), isNot(says)) };
}

/** One value stands for a list of one. */
export function oneOrMore<T>(item: Kind<T>): Kind<readonly (T | undefined)[]> {
  const says = `${item.says}, or a list of them`;
  const list = z.array(lenient(item.schema)).min(1, { error: `an empty list is not ${says}` });
  const schema = z.unknown().transform((value, context): readonly (T | undefined)[] => {
    const read = Array.isArray(value) ? list.safeParse(value) : item.schema.safeParse(value);
    if (read.success) return Array.isArray(read.data) ? read.data : [read.data as T];
    for (const { message } of read.error.issues) context.addIssue({ code: 'custom', message });
    return z.NEVER;
  });
  return { says, schema };
}

/** A mapping with keys of the user's choice. */
export function recordOf<T>(value: Kind<T>, says: string): Kind<Readonly<Record<string, T | undefined>>> {
  return { says, schema: z.record(z.string(), lenient(value.schema), isNot(says)) };
}

/** A key of a mapping. */
export interface Field<T> {
  readonly kind: Kind<unknown>;
  readonly schema: z.ZodType<T>;
  readonly isRequired: boolean;
  /** What an absent key means, for the documentation. */
  readonly defaultText?: string;
  readonly says: string;
}

export type Fields = Readonly<Record<string, Field<unknown>>>;

/** What is known of a mapping: any key may be absent, or have been broken. */
export type Draft<F extends Fields> = { readonly [K in keyof F]?: F[K] extends Field<infer T> ? T | undefined : never };

export function required<T>(kind: Kind<T>, says: string): Field<T> {
  const schema = z.nullish(kind.schema).transform((value, context): T => {
    if (value !== null && value !== undefined) return value;
    context.addIssue({ code: 'custom', message: `missing: give ${kind.says}` });
    return z.NEVER;
  });
  return { kind, schema, isRequired: true, says };
}

/** `null`, which tools write for what is not set, is as good as absent. */
export function optional<T>(kind: Kind<T>, says: string, defaultText?: string): Field<T | undefined> {
  const schema = z.nullish(kind.schema).transform((value) => value ?? undefined);
  return { kind, schema, isRequired: false, says, ...(defaultText !== undefined && { defaultText }) };
}

export function withDefault<T>(kind: Kind<T>, value: T, says: string, defaultText = String(value)): Field<T> {
  const schema = z.nullish(kind.schema).transform((given) => given ?? value);
  return { kind, schema, isRequired: false, says, defaultText };
}

/** A mapping whose keys all have defaults: an absent one is an empty one. */
export function withKeyDefaults<T>(kind: Kind<T>, says: string, defaultText: string): Field<T> {
  const schema = z.preprocess((given) => given ?? {}, kind.schema) as unknown as z.ZodType<T>;
  return { kind, schema, isRequired: false, says, defaultText };
}

/** Where `null` has a meaning of its own, "none", that differs from an absent key. */
export function optionalOrNone<T>(kind: Kind<T>, says: string, defaultText: string): Field<T | null | undefined> {
  return { kind, schema: z.nullish(kind.schema), isRequired: false, says, defaultText };
}

export interface MappingKind<F extends Fields> extends Kind<Draft<F>> {
  readonly fields: F;
}

/** A mapping with these keys and no others. `short`: a text in its place stands for a mapping with that one key. */
export function mapping<F extends Fields>(says: string, fields: F, short?: keyof F & string): MappingKind<F> {
  const known = Object.keys(fields);
  const shape = Object.fromEntries(Object.entries(fields).map(([name, field]) => [name, lenient(field.schema)]));
  const unknownKey = z.unknown().transform(() => new UnknownKey(known));
  const object = z.object(shape, isNot(says)).catchall(unknownKey);
  const schema =
    short === undefined
      ? object
      : z.preprocess((value) => (typeof value === 'string' ? { [short]: value } : value), object);
  return { says, fields, schema: schema as unknown as z.ZodType<Draft<F>> };
}
