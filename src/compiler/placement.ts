/** What owners hand to the engine: the flows of entities, and where they belong. Serves owners.ts and router-owners.ts. */
import type { Entity, Rule } from '../pipeline/language.ts';
import type { DesiredFlow } from '../pipeline/origin.ts';
import type { Placement } from './engine.ts';
import type { HostProfile } from './world.ts';

export const NOTHING: readonly Placement[] = [];

/** The flows of one entity by some rules, in order. */
export function flows<E extends Entity>(profile: HostProfile, entity: E, ...rules: readonly Rule<E>[]): DesiredFlow[] {
  return rules.flatMap((rule) => profile.templates.render(rule, entity, profile.features));
}

export function onInt(host: string, profile: HostProfile, desired: readonly DesiredFlow[]): readonly Placement[] {
  return desired.length === 0 ? NOTHING : [{ host, bridge: profile.integrationBridge, flows: desired }];
}

export function onTun(host: string, profile: HostProfile, desired: readonly DesiredFlow[]): readonly Placement[] {
  return desired.length === 0 ? NOTHING : [{ host, bridge: profile.tunnelBridge, flows: desired }];
}
