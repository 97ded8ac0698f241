/**
 * The shape of a row of THE action table (actions.ts), and what its readers are handed.
 */
import type { Action, ActionType } from './action.ts';
import type { Match } from './flow.ts';
import { FlowTextError, type KeyValue } from './scan.ts';
import type { ParseOptions, TextOptions } from './values.ts';

/**
 * The instruction that an action is or belongs to (OpenFlow 1.3.5 §7.2.4), in the only order in which they may stand in a
 * flow. `apply` is every plain action.
 */
export const INSTRUCTIONS = ['meter', 'apply', 'clearActions', 'writeActions', 'writeMetadata', 'goto'] as const;
export type Instruction = (typeof INSTRUCTIONS)[number];

export interface FormatContext extends TextOptions {
  /** For actions inside of other actions. */
  readonly formatActions: (actions: readonly Action[], options: TextOptions) => string;
}

export interface ParseContext extends ParseOptions {
  readonly match: Match;
  /** The actions that stand before this one. */
  readonly before: readonly Action[];
  /** For actions inside of other actions. */
  readonly parseActions: (text: KeyValue['value'], context: ParseContext) => Action[];
}

/** Reads one action from its word and argument. Throws FlowTextError. */
export type ActionReader = (text: KeyValue, context: ParseContext) => Action | readonly Action[];

export type ActionOf<Type extends ActionType> = Extract<Action, { readonly type: Type }>;

export interface ActionRow<Type extends ActionType> {
  readonly instruction: Instruction;
  readonly format: (action: ActionOf<Type>, context: FormatContext) => string;
  /** By the words of ovs-ofctl that stand for this action, OpenFlow 1.0's too. */
  readonly read: { readonly [Word: string]: ActionReader };
}

/** A reader for a word that takes no argument. */
export function bare(action: Action | readonly Action[]): ActionReader {
  return (text) => {
    const isEmpty =
      text.delimiter === '' || (text.delimiter === '(' && text.value.text === '' && text.tail.text === '');
    if (!isEmpty) throw new FlowTextError(text.whole, `${text.key.text} takes no argument`);
    return action;
  };
}

/** Refuse anything after the closing parenthesis. */
export function endAtParenthesis(text: KeyValue, shape: string): void {
  if (text.delimiter !== '(' || text.tail.text !== '') throw new FlowTextError(text.whole, `should look like ${shape}`);
}
