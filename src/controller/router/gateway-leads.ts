/**
 * Which of its gateway hosts a router prefers. Switches choose by themselves who serves, in the order that they are given: the
 * order is what this decides. A host that has failed comes last in it, so that its return changes nothing, unless the site wants
 * the best host to take over again (`ha_preempt`). Pure.
 */

/** A router with several gateway hosts, those in order of their priority. */
export interface LedRouter {
  readonly id: string;
  readonly candidates: readonly string[];
}

export interface LeadRequest {
  readonly routers: Iterable<LedRouter>;
  /** The host that each preferred so far, by router id. */
  readonly leads: ReadonlyMap<string, string>;
  /** Hosts that were seen alive, and are not any more. */
  readonly dead: ReadonlySet<string>;
  readonly preempts: boolean;
}

/** The host that each router prefers, where that is not its first candidate. */
export function chooseLeads({ routers, leads, dead, preempts }: LeadRequest): ReadonlyMap<string, string> {
  const chosen = new Map<string, string>();
  for (const { id, candidates } of routers) {
    const [first] = candidates;
    const lead = leads.get(id);
    const current = lead !== undefined && candidates.includes(lead) ? lead : first;
    const best = candidates.find((host) => !dead.has(host));
    const isKept = current !== undefined && !dead.has(current) && !preempts;
    const next = isKept ? current : (best ?? current);
    if (next !== undefined && next !== first) chosen.set(id, next);
  }
  return chosen;
}

/** What the tunnels of living hosts say of a host. */
export type Liveness = 'up' | 'down';

/** Hosts whose tunnels went down, of those that were up before; `seen` is kept up to date. */
export function deadHosts(liveness: ReadonlyMap<string, Liveness>, seen: Set<string>): ReadonlySet<string> {
  const dead = new Set<string>();
  for (const [host, state] of liveness) {
    if (state === 'up') seen.add(host);
    else if (seen.has(host)) dead.add(host);
  }
  return dead;
}
