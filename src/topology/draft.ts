/**
 * A parsed document held against the schema: what is well-formed comes out as a draft, the rest is reported and left out of it,
 * so that one bad value hides nothing else. Serves load.ts.
 */
import { invariant } from '../lib/errors.ts';
import { Broken, shown, UnknownKey } from './kinds.ts';
import type { Report } from './report.ts';
import { type TopologyDraft, topology } from './schema.ts';
import type { Path, Source } from './source.ts';
import { nearest } from './suggest.ts';

/** Undefined: the document is no mapping at all. */
export function draftOf(source: Source, report: Report): TopologyDraft | undefined {
  const { value } = source;
  if (value === null || value === undefined) {
    report.broken([], 'the document is empty; a site of nothing is written {}');
    return undefined;
  }
  if (typeof value !== 'object' || Array.isArray(value)) {
    report.broken([], `${shown(value)} is not ${topology.says}`);
    return undefined;
  }
  const parsed = topology.schema.safeParse(value);
  invariant(parsed.success, 'every field of the schema is lenient', { error: parsed.error?.message });
  sweep(parsed.data, [], report);
  return parsed.data;
}

/** Take the broken values and unknown keys out of a draft, and report them. */
function sweep(draft: object, path: (string | number)[], report: Report): void {
  if (Array.isArray(draft)) {
    draft.forEach((item: unknown, index) => {
      path.push(index);
      draft[index] = sweepValue(item, path, report);
      path.pop();
    });
    return;
  }
  const entries = Object.entries(draft);
  // First, because an unknown key may tell why another is missing.
  for (const [key, value] of entries) {
    if (value instanceof UnknownKey) reportUnknownKey(key, value, draft, path, report);
  }
  for (const [key, value] of entries) {
    if (value instanceof UnknownKey || typeof value !== 'object' || value === null) continue;
    path.push(key);
    if (!(value instanceof Broken && report.isDoubtful(path))) {
      Reflect.set(draft, key, sweepValue(value, path, report));
    } else Reflect.deleteProperty(draft, key);
    path.pop();
  }
}

function sweepValue(value: unknown, path: (string | number)[], report: Report): unknown {
  if (value instanceof Broken) {
    for (const issue of value.issues) report.broken([...path, ...issue.path.map(stepOf)], issue.message);
    return undefined;
  }
  if (typeof value === 'object' && value !== null) sweep(value, path, report);
  return value;
}

function stepOf(step: PropertyKey): string | number {
  return typeof step === 'number' ? step : String(step);
}

function reportUnknownKey(key: string, value: UnknownKey, draft: object, path: Path, report: Report): void {
  Reflect.deleteProperty(draft, key);
  const meant = nearest(key, value.known);
  const hint = meant === undefined ? `known here: ${value.known.join(', ')}` : `did you mean "${meant}"?`;
  // A known key that is there as well is what it is; only an absent one can have been meant.
  const present: unknown = meant === undefined ? undefined : Reflect.get(draft, meant);
  const isAbsent = present === undefined || present instanceof Broken;
  report.unknownKey([...path, key], `unknown key ${shown(key)}; ${hint}`, isAbsent ? meant : undefined);
}
