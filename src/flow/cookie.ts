/**
 * The cookie of every flow that heddle installs, and who may remove it. Serves pipeline/ (which stamps flows), switch/ (which
 * tells drift from learned flows) and `heddle explain` (which goes from a dumped flow back to its origin).
 *
 *     63            48 47    40 39    32 31                              0
 *     +---------------+--------+--------+--------------------------------+
 *     | marker 0x4844 |  kind  | layout |  hash of the origin            |
 *     +---------------+--------+--------+--------------------------------+
 *           "HD"       1 rendered   version of   FNV-1a 32 of rule and object
 *                      2 learned    this drawing
 *                      3 controller's own packets
 *
 * Nothing in it is random or counts restarts: an unchanged restart finds its own flows, cookies included, and sends nothing.
 */

export const COOKIE_KINDS = { rendered: 1, learned: 2, controller: 3 } as const;

export type CookieKind = keyof typeof COOKIE_KINDS;

const MARKER = 0x4844;
const LAYOUT = 1;

const KIND_BY_NUMBER: ReadonlyMap<number, CookieKind> = new Map(
  (Object.keys(COOKIE_KINDS) as CookieKind[]).map((kind) => [COOKIE_KINDS[kind], kind]),
);

/** All bits that say "heddle's, of this layout": a cookie mask for a stats request or a delete. */
export const COOKIE_OURS = {
  value: (BigInt(MARKER) << 48n) | (BigInt(LAYOUT) << 32n),
  mask: 0xffff_00ff_0000_0000n,
} as const;

/** What a cookie of ours says. */
export interface CookieParts {
  readonly kind: CookieKind;
  /** 32 bits, unsigned: `originHash` of the rule and the object. */
  readonly origin: number;
}

/** FNV-1a, 32 bits, over the UTF-16 code units of rule and object, which a zero unit separates. */
export function originHash(rule: string, object: string): number {
  return fnv1a(object, fnv1a('\0', fnv1a(rule, 0x811c9dc5))) >>> 0;
}

function fnv1a(text: string, seed: number): number {
  let hash = seed;
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index);
    hash = Math.imul(hash ^ (unit & 0xff), 0x01000193);
    hash = Math.imul(hash ^ (unit >>> 8), 0x01000193);
  }
  return hash;
}

/** The 64-bit cookie of a flow of `kind` that `rule` made for `object`. */
export function cookieOf(kind: CookieKind, rule: string, object: string): bigint {
  const high = BigInt(MARKER * 0x10000 + COOKIE_KINDS[kind] * 0x100 + LAYOUT);
  return (high << 32n) | BigInt(originHash(rule, object));
}

/** The parts of a cookie of ours; undefined for a foreign cookie or one of another layout. */
export function cookieParts(cookie: bigint): CookieParts | undefined {
  const high = Number(cookie >> 32n);
  if (Math.floor(high / 0x10000) !== MARKER || (high & 0xff) !== LAYOUT) return undefined;
  const kind = KIND_BY_NUMBER.get((high >>> 8) & 0xff);
  return kind === undefined ? undefined : { kind, origin: Number(cookie & 0xffffffffn) };
}
