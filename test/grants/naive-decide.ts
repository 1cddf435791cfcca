import type { Caller } from '../../src/callers/caller.ts';
import type { Grant, Matcher } from '../../src/config/policy-schema.ts';

/**
 * What the policy's words mean, written a second time in the plainest way and without the code that it judges: slow,
 * with regular expressions, one rule per line.
 */

export type Wanted =
  | { kind: 'workspaceToken'; workspace: string; audience: 'aml' | 'arm' }
  | { kind: 'endpointToken' | 'endpointKey'; workspace: string; endpoint: string };

export interface NaivePolicy {
  grants: Readonly<Record<string, Grant>>;
  deny: readonly Matcher[];
}

/** For workloads only, * in a text stands for any characters. */
function naiveFits(demanded: unknown, held: unknown, caller: Caller): boolean {
  if (caller.class !== 'workload' || typeof demanded !== 'string' || typeof held !== 'string') return demanded === held;
  const escaped = demanded.split('*').map((part) => part.replace(/[.+?^${}()|[\]\\/]/g, '\\$&'));
  return new RegExp(`^${escaped.join('[^]*')}$`).test(held);
}

export function naiveMatches(matcher: Matcher, caller: Caller): boolean {
  const fits = [
    matcher.issuer === caller.issuer,
    matcher.class === caller.class,
    matcher.oid === undefined || matcher.oid === caller.objectId,
    matcher.subject === undefined || naiveFits(matcher.subject, caller.subject, caller),
    matcher.appId === undefined || (caller.class === 'app' && matcher.appId === caller.appId),
    (matcher.roles ?? []).filter((role) => !caller.roles.includes(role)).length === 0,
  ];
  const held = new Map(Object.entries(caller.claims));
  for (const [name, value] of Object.entries(matcher.claims ?? {}))
    fits.push(held.has(name) && naiveFits(value, held.get(name), caller));
  return !fits.includes(false);
}

function naiveReaches(pattern: string, wanted: { workspace: string; endpoint: string }): boolean {
  const [workspace = '', name = ''] = pattern.split('/');
  const expression = new RegExp(`^${name.toLowerCase().split('*').join('.*')}$`);
  return workspace === wanted.workspace && expression.test(wanted.endpoint);
}

function naiveAllows(entry: Grant['allow'][number], wanted: Wanted): boolean {
  if (wanted.kind === 'workspaceToken') {
    return 'workspace' in entry && entry.workspace === wanted.workspace && entry.audience === wanted.audience;
  }
  if (wanted.kind === 'endpointToken') return 'endpointToken' in entry && naiveReaches(entry.endpointToken, wanted);
  return 'endpointKey' in entry && naiveReaches(entry.endpointKey, wanted);
}

export function naiveDecide({ grants, deny }: NaivePolicy, caller: Caller, wanted: Wanted): object {
  for (const matcher of deny) if (naiveMatches(matcher, caller)) return { outcome: 'caller_denied' };
  for (const [name, grant] of Object.entries(grants)) {
    if (grant.suspended || !naiveMatches(grant.caller, caller)) continue;
    for (const entry of grant.allow) {
      if (!naiveAllows(entry, wanted)) continue;
      const identity = 'identity' in entry ? entry.identity : undefined;
      return { outcome: 'allowed', name, maxLifetimeSeconds: grant.maxLifetime, identity };
    }
  }
  return { outcome: 'not_granted' };
}
