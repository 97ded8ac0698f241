/**
 * The pipeline language. A bridge is declared as a table of tables: number, miss, and where each may go next. A rule is a pure
 * function from one entity to flows; each flow carries its origin. Serves the files beside this one, which are the pipeline,
 * and compiler/, which calls their rules.
 *
 * What the types hold: a goto that the table does not declare, a table that the bridge does not have or that the rule does not
 * give a case for, and a field that does not exist do not compile.
 */
import type { Action, LearnSpec, Nat } from '../flow/action.ts';
import { cookieOf } from '../flow/cookie.ts';
import { invariant } from '../lib/errors.ts';
import { normal, type PlainAction } from './actions.ts';
import type { Feature, Features } from './features.ts';
import { type FlowMatch, plainMatch } from './match.ts';
import type { DesiredFlow } from './origin.ts';

/** One table of a bridge. `Name` are the names of all tables of the bridge. */
export interface TableDeclaration<Name extends string> {
  /** 0 to 254. */
  readonly id: number;
  /** What the table decides, in a sentence. For docs/PIPELINE.md. */
  readonly decides: string;
  /** What becomes of a packet that no row matches; `none`: no row says, and Open vSwitch drops it. */
  readonly miss: 'drop' | 'normal' | 'none' | Name;
  /** Default 0. */
  readonly missPriority?: number;
  /** Tables that rows of this one may go to. Always later ones (OpenFlow 1.3.5 §5.1.1). */
  readonly to: readonly Name[];
  /** Tables that `learn` of this one may write to. */
  readonly learns?: readonly Name[];
  /** Tables that rows of this one may call with `visit`, earlier ones too. What is called never calls back. */
  readonly visits?: readonly Name[];
  /**
   * The table exists with this feature only. Without it the table is transparent: a goto to it leads to where its miss goes.
   */
  readonly when?: Feature;
  /** Where the rows of this table stand without its feature; absent: nowhere. */
  readonly without?: Name;
}

/** What a bridge's declaration must look like: tables that name each other. */
export type TableDeclarations<T> = { readonly [K in keyof T]: TableDeclaration<keyof T & string> };

/** What a rule is called with. */
export interface Entity {
  /** Kind and id of the topology object, for the origin: `port blue2`. */
  readonly object: string;
}

/** Goes on in another table of the same bridge. */
export interface Goto<Name extends string> {
  readonly type: 'gotoTable';
  readonly name: Name;
}

export const goto = <const Name extends string>(name: Name): Goto<Name> => ({ type: 'gotoTable', name });

/** Has the switch itself add a flow to a table, made from the packet at hand. */
export interface Learn<Name extends string> extends LearnOptions {
  readonly type: 'learnInto';
  readonly name: Name;
}

export interface LearnOptions {
  readonly priority: number;
  readonly hardTimeoutS: number;
  readonly specs: readonly LearnSpec[];
}

export const learn = <const Name extends string>(name: Name, options: LearnOptions): Learn<Name> => ({
  type: 'learnInto',
  name,
  ...options,
});

/** Has another table say what becomes of the packet, as goto does, and may lead back where goto may not. */
export interface Visit<Name extends string> {
  readonly type: 'visitTable';
  readonly name: Name;
}

export const visit = <const Name extends string>(name: Name): Visit<Name> => ({ type: 'visitTable', name });

/** Has conntrack look at the packet, and translate it, before it goes on in another table. */
export interface Track<Name extends string> extends TrackOptions {
  readonly type: 'trackInto';
  readonly name: Name;
}

/** As in the ct action. */
export interface TrackOptions {
  readonly zone: number;
  readonly commit?: true;
  readonly nat?: Nat;
}

export const track = <const Name extends string>(name: Name, options: TrackOptions): Track<Name> => ({
  type: 'trackInto',
  name,
  ...options,
});

type Step<To extends string, Learns extends string, Visits extends string> =
  | PlainAction
  | readonly PlainAction[]
  | Goto<To>
  | Track<To | Visits>
  | Learn<Learns>
  | Visit<Visits>;

/** One flow as a rule says it, table by name. */
export interface Line {
  readonly table: string;
  readonly priority: number;
  readonly match: FlowMatch;
  readonly steps: readonly Step<string, string, string>[];
}

type Learns<D> = D extends { readonly learns: readonly (infer Name extends string)[] } ? Name : never;
type Visits<D> = D extends { readonly visits: readonly (infer Name extends string)[] } ? Name : never;

/** `table.UCAST_TO_TUN(2, match, ...actions)`: one function for each table of the bridge. */
export type TableWriters<T extends TableDeclarations<T>> = {
  readonly [K in keyof T]: (
    priority: number,
    match: FlowMatch,
    ...steps: readonly Step<T[K]['to'][number], Learns<T[K]>, Visits<T[K]>>[]
  ) => Line;
};

export interface RuleOptions<Cases> {
  /** The rule makes flows with this feature only. */
  readonly when?: Feature;
  /** For each table that the rule writes to: which packets are meant, and what becomes of them. For docs/PIPELINE.md. */
  readonly cases: Cases;
  /** For rules with thousands of rows. */
  readonly holes?: Holes;
}

/**
 * Numbers of the entity that the rule copies into its rows and asks nothing of, by name, at whatever depth; and their bits,
 * `address`: 32 of a number, 128 of a bigint. Rows that differ in nothing else have one shape, and are kept as those numbers
 * (compiler/templates.ts). What is not named here may decide which rows there are.
 */
export type Holes = Readonly<Record<string, number | 'address'>>;

/** A rule: from one entity, on a host with these features, to flows of one bridge. Pure. */
export interface Rule<E extends Entity> {
  (entity: E, features: Features): readonly DesiredFlow[];
  readonly ruleName: string;
  readonly cases: Readonly<Record<string, string>>;
  readonly holes?: Holes;
}

/** A rule of whatever entity, as documentation and tests list them. */
export type AnyRule = Pick<Rule<never>, 'ruleName' | 'cases'>;

export interface Bridge<T extends TableDeclarations<T>> {
  readonly name: string;
  readonly tables: T;
  /** Declare a rule of this bridge. The name is unique in the bridge, and part of its flows' cookies. */
  readonly rules: <E extends Entity, const Cases extends { readonly [K in keyof T]?: string }>(
    name: string,
    options: RuleOptions<Cases>,
    body: (entity: E, table: Pick<TableWriters<T>, keyof Cases & keyof T>) => readonly Line[],
  ) => Rule<E>;
  /** The miss of every table that exists with these features. */
  readonly misses: (features: Features) => readonly DesiredFlow[];
  /** Every rule declared so far, in order. */
  readonly declaredRules: readonly AnyRule[];
}

/** Declare a bridge. */
export function bridge<const T extends TableDeclarations<T>>(name: string, tables: T): Bridge<T> {
  const declarations = new Map<string, TableDeclaration<string>>(Object.entries(tables));
  checkDeclarations(name, declarations);
  const declaredRules: AnyRule[] = [];
  const writers = Object.fromEntries(
    [...declarations.keys()].map((table) => [
      table,
      (priority: number, match: FlowMatch, ...steps: Line['steps']): Line => ({ table, priority, match, steps }),
    ]),
  ) as TableWriters<T>;
  const rules: Bridge<T>['rules'] = (ruleName, options, body) => {
    invariant(!declaredRules.some((rule) => rule.ruleName === ruleName), 'Two rules have one name.', {
      name,
      ruleName,
    });
    const make = (entity: Parameters<typeof body>[0], features: Features): readonly DesiredFlow[] => {
      if (options.when !== undefined && !features[options.when]) return [];
      return flowsOf(body(entity, writers), { declarations, rule: ruleName, object: entity.object, features });
    };
    const rule = Object.assign(make, {
      ruleName,
      cases: options.cases as Record<string, string>,
      ...(options.holes && { holes: options.holes }),
    });
    declaredRules.push(rule);
    return rule;
  };
  return { name, tables, rules, declaredRules, misses: (features) => missesOf(declarations, features) };
}

function checkDeclarations(name: string, declarations: ReadonlyMap<string, TableDeclaration<string>>): void {
  const ids = new Set<number>();
  for (const [table, declaration] of declarations) {
    invariant(!ids.has(declaration.id), 'Two tables have one number.', { name, table });
    ids.add(declaration.id);
    for (const target of declaration.to) {
      invariant((declarations.get(target)?.id ?? -1) > declaration.id, 'A goto leads forward.', {
        name,
        table,
        target,
      });
    }
    const { miss } = declaration;
    const isVerdict = miss === 'drop' || miss === 'normal' || miss === 'none';
    invariant(isVerdict || declaration.to.includes(miss), 'A miss goes where the table may go.', { name, table, miss });
  }
}

interface Resolution {
  readonly declarations: ReadonlyMap<string, TableDeclaration<string>>;
  readonly rule: string;
  readonly object: string;
  readonly features: Features;
}

function flowsOf(lines: readonly Line[], resolution: Resolution): readonly DesiredFlow[] {
  const { rule, object } = resolution;
  const cookie = cookieOf('rendered', rule, object);
  const origin = { rule, object };
  const flows: DesiredFlow[] = [];
  for (const line of lines) {
    const table = placeOf(line.table, resolution);
    if (table === undefined) continue;
    const actions = actionsOf(line.steps, resolution);
    flows.push({ flow: { table, priority: line.priority, match: plainMatch(line.match), actions, cookie }, origin });
  }
  return flows;
}

/** The number of the table in which rows of `name` stand, if anywhere. */
function placeOf(name: string, { declarations, features }: Resolution): number | undefined {
  const declaration = declarationOf(name, declarations);
  if (exists(declaration, features)) return declaration.id;
  return declaration.without === undefined ? undefined : declarationOf(declaration.without, declarations).id;
}

function actionsOf(steps: Line['steps'], resolution: Resolution): readonly Action[] {
  const actions: Action[] = [];
  for (const step of steps) {
    if (isGroup(step)) actions.push(...step);
    else if (step.type === 'gotoTable') actions.push({ type: 'goto', table: targetOf(step.name, resolution) });
    else if (step.type === 'visitTable') actions.push({ type: 'resubmit', table: targetOf(step.name, resolution) });
    else if (step.type === 'learnInto') actions.push(learnAction(step, resolution));
    else if (step.type === 'trackInto') actions.push(trackAction(step, resolution));
    else actions.push(step);
  }
  return actions;
}

function isGroup(step: Line['steps'][number]): step is readonly PlainAction[] {
  return Array.isArray(step);
}

/** The number of the table where a goto to `name` leads: past tables that do not exist with these features. */
function targetOf(name: string, resolution: Resolution): number {
  const declaration = declarationOf(name, resolution.declarations);
  if (exists(declaration, resolution.features)) return declaration.id;
  return targetOf(declaration.miss, resolution);
}

function trackAction({ name, zone, commit, nat }: Track<string>, resolution: Resolution): Action {
  const table = targetOf(name, resolution);
  return { type: 'ct', table, zone, ...(commit && { commit }), ...(nat && { nat }) };
}

function learnAction(step: Learn<string>, resolution: Resolution): Action {
  const { priority, hardTimeoutS, specs } = step;
  const cookie = cookieOf('learned', resolution.rule, resolution.object);
  return { type: 'learn', table: targetOf(step.name, resolution), hardTimeoutS, priority, cookie, specs };
}

function missesOf(
  declarations: ReadonlyMap<string, TableDeclaration<string>>,
  features: Features,
): readonly DesiredFlow[] {
  const misses: DesiredFlow[] = [];
  for (const [name, declaration] of declarations) {
    if (declaration.miss === 'none' || !exists(declaration, features)) continue;
    const line = {
      table: name,
      priority: declaration.missPriority ?? 0,
      match: {},
      steps: missSteps(declaration.miss),
    };
    misses.push(...flowsOf([line], { declarations, rule: MISS_RULE, object: `table ${name}`, features }));
  }
  return misses;
}

/** The rule that misses are said to come from. */
export const MISS_RULE = 'miss';

function missSteps(miss: string): Line['steps'] {
  if (miss === 'drop') return [];
  return miss === 'normal' ? [normal] : [goto(miss)];
}

function exists(declaration: TableDeclaration<string>, features: Features): boolean {
  return declaration.when === undefined || features[declaration.when];
}

function declarationOf(
  name: string,
  declarations: ReadonlyMap<string, TableDeclaration<string>>,
): TableDeclaration<string> {
  const declaration = declarations.get(name);
  invariant(declaration !== undefined, 'A table that the bridge does not have.', { name });
  return declaration;
}
