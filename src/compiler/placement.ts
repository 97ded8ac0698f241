/** What owners hand to the engine: the flows of entities, and where they belong. Serves owners.ts and router-owners.ts. */
import type { Entity, Rule } from '../pipeline/language.ts';
import type { DesiredFlow } from '../pipeline/origin.ts';
import type { Placement } from './view.ts';
import type { HostProfile } from './world.ts';

export const NOTHING: readonly Placement[] = [];
export const NO_FLOWS: readonly DesiredFlow[] = [];

/** The flows of one entity by some rules, in order. */
export function flows<E extends Entity>(profile: HostProfile, entity: E, ...rules: readonly Rule<E>[]): DesiredFlow[] {
  const { templates, features } = profile;
  const desired: DesiredFlow[] = [];
  for (const rule of rules) for (const flow of templates.render(rule, entity, features)) desired.push(flow);
  return desired;
}

export function onInt(host: string, profile: HostProfile, desired: readonly DesiredFlow[]): readonly Placement[] {
  return desired.length === 0 ? NOTHING : [{ host, bridge: profile.integrationBridge, flows: desired }];
}

export function onTun(host: string, profile: HostProfile, desired: readonly DesiredFlow[]): readonly Placement[] {
  return desired.length === 0 ? NOTHING : [{ host, bridge: profile.tunnelBridge, flows: desired }];
}
