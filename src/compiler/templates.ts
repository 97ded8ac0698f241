/**
 * Rows of rules by the thousand. The rows of two entities that differ only in numbers that their rule copies (Rule.holes) have
 * one shape: a template each, recorded from the rule's own output (openflow/template.ts), and the numbers are all that is kept
 * of a flow. Serves owners.ts, which renders by it, and flow-table.ts, which keeps the flows.
 *
 * Rules stay what they are. A flow becomes a value when somebody looks at it, by calling its rule with its numbers.
 */
import { originHash } from '../flow/cookie.ts';
import type { Flow } from '../flow/flow.ts';
import { invariant } from '../lib/errors.ts';
import { LIMITS } from '../lib/limits.ts';
import {
  type EncodedFlow,
  type FlowTemplate,
  type RecordBytes,
  recordBytes,
  recordTemplates,
  type TemplateValue,
} from '../openflow/template.ts';
import type { Features } from '../pipeline/features.ts';
import type { Entity, Holes, Rule } from '../pipeline/language.ts';
import type { DesiredFlow, Origin } from '../pipeline/origin.ts';
import type { SharedNames } from './shared.ts';

/** A rule of whatever entity. */
type AnyRule = Rule<never>;

/** Entities of one shape that are rendered as values before it is recorded, which costs about as much. */
const USES_BEFORE_RECORDING = 64;

/** One row of a shape: the n-th flow that the rule makes of such entities. */
export class TemplateRow {
  readonly shape: Shape;
  readonly index: number;
  readonly template: FlowTemplate;
  readonly #record: RecordBytes;

  constructor(shape: Shape, index: number, template: FlowTemplate) {
    this.shape = shape;
    this.index = index;
    this.template = template;
    this.#record = recordBytes(template.recordSize);
  }

  /** The flow as bytes: right until another flow of this row is encoded. */
  encode(cookieLow: number, values: readonly TemplateValue[]): EncodedFlow {
    this.template.putRecord(this.#record.bytes, 0, cookieLow, values);
    return this.template.fill(this.#record, 0);
  }
}

/** What a row needs to become a flow. */
export interface RowNumbers {
  /** Of all variables of the shape; those that the row does not say may be anything. */
  readonly values: readonly TemplateValue[];
  readonly cookieLow: number;
  /** Hold the name of the flow's object, so many times. Gives its number. */
  holdName(names: SharedNames, times: number): number;
}

/** A flow that is kept as its numbers. */
export class TemplatedFlow implements DesiredFlow, RowNumbers {
  readonly row: TemplateRow;
  readonly values: readonly TemplateValue[];
  readonly object: string;
  readonly cookieLow: number;

  constructor(row: TemplateRow, values: readonly TemplateValue[], object: string, cookieLow: number) {
    this.row = row;
    this.values = values;
    this.object = object;
    this.cookieLow = cookieLow;
  }

  get flow(): Flow {
    return this.row.shape.flowAt(this.row.index, this.values, this.object);
  }

  get origin(): Origin {
    return { rule: this.row.shape.rule.ruleName, object: this.object };
  }

  holdName(names: SharedNames, times: number): number {
    return names.hold(this.object, times);
  }

  /** As bytes: right until another flow of the same row is encoded. */
  encoded(): EncodedFlow {
    return this.row.encode(this.cookieLow, this.values);
  }
}

/** What parts of entities have in common, but for the numbers that are copied. */
interface Structure {
  readonly parts: readonly unknown[];
  readonly bits: readonly number[];
}

/** Some properties of many entities of one rule, taken apart once. */
export class EntityPart {
  readonly #properties: Partial<Entity>;
  readonly structure: Structure;
  readonly values: TemplateValue[];
  readonly cookieLow: number;
  #nameId = -1;
  /** The property that changes, and its place among the values. */
  #changes: string | undefined;
  #place = 0;
  #isChanged = false;

  /** For Templates.part. */
  constructor(rule: AnyRule, properties: Partial<Entity>, structure: Structure, values: TemplateValue[]) {
    const { object } = properties;
    this.#properties = properties;
    this.structure = structure;
    this.values = values;
    this.cookieLow = object === undefined ? 0 : originHash(rule.ruleName, object);
  }

  get properties(): Partial<Entity> {
    if (!this.#isChanged) return this.#properties;
    return Object.fromEntries(Object.keys(this.#properties).map((property, place) => [property, this.values[place]]));
  }

  /** With another number for a property, for the next render. All properties must be numbers that the rule copies. */
  having(property: string, value: number): this {
    if (property !== this.#changes) {
      const properties = Object.keys(this.#properties);
      invariant(properties.length === this.values.length, 'Each property is a number.', { property });
      this.#changes = property;
      this.#place = properties.indexOf(property);
    }
    this.#isChanged = true;
    this.values[this.#place] = value;
    return this;
  }

  holdName(names: SharedNames, times: number): number {
    this.#nameId = names.holdAgain(this.#properties.object ?? '', this.#nameId, times);
    return this.#nameId;
  }
}

/** All rows of one entity, none of them made a value: right until the next entity is rendered. */
export class RenderedRows implements RowNumbers {
  rows: readonly TemplateRow[] = [];
  readonly values: TemplateValue[] = [];
  #common: EntityPart | undefined;

  get cookieLow(): number {
    return this.#common?.cookieLow ?? 0;
  }

  holdName(names: SharedNames, times: number): number {
    invariant(this.#common !== undefined, 'What was rendered has a name.');
    return this.#common.holdName(names, times);
  }

  /** For Templates. */
  set(rows: readonly TemplateRow[], common: EntityPart, local: EntityPart): this {
    this.rows = rows;
    this.#common = common;
    let next = 0;
    for (const value of common.values) this.values[next++] = value;
    for (const value of local.values) this.values[next++] = value;
    return this;
  }
}

/** What an entity becomes. */
export type Rendered = readonly DesiredFlow[] | RenderedRows;

/** Entities of a rule that differ in nothing but the numbers that it copies, and the rows that it makes of them. */
class Shape {
  readonly rule: AnyRule;
  readonly features: Features;
  /** What these entities have in common. */
  readonly structure: readonly unknown[];
  #example: Entity | undefined;
  #uses = 0;
  #rows: readonly TemplateRow[] | undefined;

  constructor(rule: AnyRule, features: Features, structure: readonly unknown[]) {
    this.rule = rule;
    this.features = features;
    this.structure = [...structure];
  }

  /** The rows, once they are recorded. */
  get recorded(): readonly TemplateRow[] | undefined {
    return this.#rows;
  }

  /**
   * The rows, for one more entity. undefined: to record them does not pay yet, or they are not of one shape after all, or
   * cannot be written.
   */
  use(entity: Entity, bits: readonly number[]): readonly TemplateRow[] | undefined {
    this.#uses += 1;
    if (this.#uses === USES_BEFORE_RECORDING) {
      this.#example = structuredClone(entity);
      this.#rows = this.#record(entity.object, bits);
    }
    return this.#rows;
  }

  flowAt(index: number, values: readonly TemplateValue[], object: string): Flow {
    const flow = this.#flows(values, object)[index];
    invariant(flow !== undefined, 'Entities of one shape make as many rows.', { rule: this.rule.ruleName });
    return flow;
  }

  #record(object: string, bits: readonly number[]): readonly TemplateRow[] | undefined {
    const templates = recordTemplates({ bits, flowsOf: (values) => this.#flows(values, object) });
    return templates?.map((template, index) => new TemplateRow(this, index, template));
  }

  #flows(values: readonly TemplateValue[], object: string): readonly Flow[] {
    invariant(this.#example !== undefined, 'Only what was recorded is made a value again.');
    const entity = { ...withValues(this.#example, this.rule.holes ?? {}, values), object };
    return this.rule(entity as never, this.features).map(({ flow }) => flow);
  }
}

/** An entity taken apart: its numbers that are copied, and the rest. */
interface EntityParts {
  readonly structure: unknown[];
  readonly values: TemplateValue[];
  readonly bits: number[];
}

/** The templates of every rule that was rendered so far. */
export class Templates {
  readonly #shapes = new Map<AnyRule, Map<string, Shape[]>>();
  readonly #featureKeys = new WeakMap<Features, string>();
  readonly #parts: EntityParts = { structure: [], values: [], bits: [] };
  /** Of the last render: the next is mostly of the same rule on the same host. */
  #lastRule: AnyRule | undefined;
  #lastFeatures: Features | undefined;
  #lastKnown: Shape[] = [];
  readonly #structures = new Map<AnyRule, Structure[]>();
  readonly #rendered = new RenderedRows();
  readonly #lastParts: { known?: Shape[]; common?: Structure; local?: Structure; shape?: Shape | undefined } = {};

  /** What the rule makes of the entity, as flows that are kept as numbers where that can be. */
  render<E extends Entity>(rule: Rule<E>, entity: E, features: Features): readonly DesiredFlow[] {
    const { holes } = rule;
    if (holes === undefined) return rule(entity, features);
    const parts = this.#parts;
    takeApart(entity, holes, parts);
    const rows = this.#shapeOf(rule, features)?.use(entity, parts.bits);
    if (rows === undefined) return rule(entity, features);
    const { object } = entity;
    const cookieLow = originHash(rule.ruleName, object);
    const values = parts.values.slice();
    const flows: DesiredFlow[] = [];
    for (const row of rows) flows.push(new TemplatedFlow(row, values, object, cookieLow));
    return flows;
  }

  /** For renderParts: some properties of entities of a rule, which it is told again and again. */
  part<E extends Entity>(rule: Rule<E>, properties: Partial<E>): EntityPart {
    const { structure, values, bits } = this.#parts;
    takeApart(properties, rule.holes ?? {}, this.#parts);
    return new EntityPart(rule, properties, this.#structureOf(rule, structure, bits), values.slice());
  }

  /** Likewise, of an entity in two parts: what is the same on every host, its name among it, and what is not. */
  renderParts<E extends Entity>(rule: Rule<E>, common: EntityPart, local: EntityPart, features: Features): Rendered {
    const shape = this.#shapeOfParts(rule, common.structure, local.structure, features);
    const recorded = shape?.recorded;
    if (recorded !== undefined) return this.#rendered.set(recorded, common, local);
    const entity = { ...common.properties, ...local.properties } as E;
    const rows = shape?.use(entity, [...common.structure.bits, ...local.structure.bits]);
    return rows === undefined ? rule(entity, features) : this.#rendered.set(rows, common, local);
  }

  #structureOf(rule: AnyRule, parts: readonly unknown[], bits: readonly number[]): Structure {
    let known = this.#structures.get(rule);
    if (known === undefined) {
      known = [];
      this.#structures.set(rule, known);
    }
    for (const structure of known) if (sameStructure(structure.parts, parts)) return structure;
    const structure = { parts: [...parts], bits: [...bits] };
    if (known.length < LIMITS.shapesPerRule) known.push(structure);
    return structure;
  }

  #shapeOfParts(rule: AnyRule, common: Structure, local: Structure, features: Features): Shape | undefined {
    const known = this.#known(rule, features);
    const last = this.#lastParts;
    if (last.known === known && last.common === common && last.local === local) return last.shape;
    this.#parts.structure.splice(0, Number.POSITIVE_INFINITY, ...common.parts, ...local.parts);
    Object.assign(last, { known, common, local, shape: this.#shapeOf(rule, features) });
    return last.shape;
  }

  #shapeOf(rule: AnyRule, features: Features): Shape | undefined {
    const known = this.#known(rule, features);
    for (const shape of known) if (sameStructure(shape.structure, this.#parts.structure)) return shape;
    // Sites with more shapes than that have little to gain from them.
    if (known.length >= LIMITS.shapesPerRule) return undefined;
    const shape = new Shape(rule, features, this.#parts.structure);
    known.push(shape);
    return shape;
  }

  #known(rule: AnyRule, features: Features): Shape[] {
    if (rule === this.#lastRule && features === this.#lastFeatures) return this.#lastKnown;
    this.#lastRule = rule;
    this.#lastFeatures = features;
    this.#lastKnown = this.#findKnown(rule, features);
    return this.#lastKnown;
  }

  #findKnown(rule: AnyRule, features: Features): Shape[] {
    let key = this.#featureKeys.get(features);
    if (key === undefined) {
      key = JSON.stringify(Object.entries(features).sort());
      this.#featureKeys.set(features, key);
    }
    let byFeatures = this.#shapes.get(rule);
    if (byFeatures === undefined) {
      byFeatures = new Map();
      this.#shapes.set(rule, byFeatures);
    }
    let known = byFeatures.get(key);
    if (known === undefined) {
      known = [];
      byFeatures.set(key, known);
    }
    return known;
  }
}

function sameStructure(left: readonly unknown[], right: readonly unknown[]): boolean {
  if (left.length !== right.length) return false;
  for (let index = 0; index < left.length; index++) if (left[index] !== right[index]) return false;
  return true;
}

/** Stand for a number that is copied, in a structure. */
const NUMBER_HOLE = Symbol('number');
const BIGINT_HOLE = Symbol('bigint');

function takeApart(entity: Partial<Entity>, holes: Holes, parts: EntityParts): void {
  parts.structure.length = 0;
  parts.values.length = 0;
  parts.bits.length = 0;
  for (const key in entity) {
    if (key !== 'object') takePart(key, entity[key as keyof Entity], holes, parts);
  }
}

function takePart(key: string, part: unknown, holes: Holes, parts: EntityParts): void {
  parts.structure.push(key);
  const bits = holes[key];
  if (bits !== undefined && (typeof part === 'number' || typeof part === 'bigint')) {
    parts.structure.push(typeof part === 'number' ? NUMBER_HOLE : BIGINT_HOLE);
    parts.values.push(part);
    parts.bits.push(bits !== 'address' ? bits : typeof part === 'number' ? 32 : 128);
  } else if (Array.isArray(part)) {
    parts.structure.push(part.length);
    for (const element of part) takePart(key, element, holes, parts);
  } else if (typeof part === 'object' && part !== null) {
    for (const inner in part) takePart(inner, part[inner as keyof typeof part], holes, parts);
  } else {
    parts.structure.push(part);
  }
}

/** The entity with other numbers, in the order in which takeApart found them. */
function withValues(entity: Entity, holes: Holes, values: readonly TemplateValue[]): Entity {
  let next = 0;
  const rebuilt = (key: string, part: unknown): unknown => {
    if (holes[key] !== undefined && (typeof part === 'number' || typeof part === 'bigint')) {
      const value = values[next];
      next += 1;
      return value ?? (typeof part === 'number' ? 0 : 0n);
    }
    if (Array.isArray(part)) return part.map((element) => rebuilt(key, element));
    if (typeof part !== 'object' || part === null) return part;
    return Object.fromEntries(Object.entries(part).map(([inner, value]) => [inner, rebuilt(inner, value)]));
  };
  const parts = Object.entries(entity).map(([key, part]) => [key, key === 'object' ? part : rebuilt(key, part)]);
  return Object.fromEntries(parts);
}
