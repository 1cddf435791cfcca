import type { Caller } from '../callers/caller.ts';
import type { Allowed, PolicyDocument } from '../config/policy-schema.ts';
import { matchesCaller } from './match-caller.ts';
import { compilePattern } from './pattern.ts';
import type { Target } from './target.ts';

/** The grant that allows a target, and through what. */
export interface Permit {
  /** The grant's name in the policy. */
  grant: string;
  maxLifetimeSeconds: number;
  /** The issue identity that the entry names; workspace tokens always have one. */
  identity: string | undefined;
}

export type Decision =
  | { allowed: true; permit: Permit }
  | { allowed: false; code: 'not_granted' | 'caller_denied'; reason: string };

export interface Grants {
  /**
   * The first grant, in the order of the policy, that allows this caller this target; or why none does. With
   * `throughIdentity` only entries that name an identity count: endpoints in aad_token mode need one.
   */
  decide(caller: Caller, target: Target, throughIdentity?: 'throughIdentity'): Decision;
  /** True when a `deny` entry cuts the caller off. */
  denies(caller: Caller): boolean;
  /** Endpoints of this workspace that any grant in force can reach: the ones worth keeping fresh. */
  reaches(workspace: string, endpoint: string): boolean;
  /** True when some grant in force lets this caller have tokens or keys of endpoints in the workspace. */
  reachesEndpoints(caller: Caller, workspace: string): boolean;
  /** Workspaces of which some grant in force can reach endpoints. */
  workspacesWithEndpoints: readonly string[];
}

interface Entry {
  kind: Target['kind'];
  workspace: string;
  allows(target: Target): boolean;
  identity: string | undefined;
}

function compileEntry(allowed: Allowed): Entry {
  if ('workspace' in allowed) {
    const { workspace, audience, identity } = allowed;
    return {
      kind: 'workspaceToken',
      workspace,
      identity,
      allows: (target) =>
        target.kind === 'workspaceToken' &&
        target.workspace === workspace &&
        target.audience === audience &&
        (target.identity === undefined || target.identity === identity),
    };
  }
  const [kind, pattern, identity] =
    'endpointToken' in allowed
      ? (['endpointToken', allowed.endpointToken, allowed.identity] as const)
      : (['endpointKey', allowed.endpointKey, undefined] as const);
  const slash = pattern.indexOf('/');
  const workspace = pattern.slice(0, slash);
  const matches = compilePattern(pattern.slice(slash + 1));
  return {
    kind,
    workspace,
    identity,
    allows: (target) => target.kind === kind && target.workspace === workspace && matches(target.endpoint),
  };
}

/**
 * Compiles a checked policy once; matching then does no I/O and no parsing. Deny is the default: a target that does
 * not exist and one that nobody granted are the same here.
 */
export function compileGrants(policy: Pick<PolicyDocument, 'grants' | 'deny'>): Grants {
  const grants = Object.entries(policy.grants).map(([name, grant]) => ({
    name,
    caller: grant.caller,
    suspended: grant.suspended,
    maxLifetimeSeconds: grant.maxLifetime,
    entries: grant.allow.map(compileEntry),
  }));
  const inForce = grants.filter(({ suspended }) => !suspended).flatMap(({ entries }) => entries);
  const endpointEntries = inForce.filter(({ kind }) => kind !== 'workspaceToken');
  const denies = (caller: Caller) => policy.deny.some((matcher) => matchesCaller(matcher, caller));

  return {
    denies,
    decide(caller, target, throughIdentity) {
      if (denies(caller)) return { allowed: false, code: 'caller_denied', reason: 'denied' };
      let reason = 'no_grant_for_caller';
      for (const { name, caller: matcher, suspended, maxLifetimeSeconds, entries } of grants) {
        if (!matchesCaller(matcher, caller)) continue;
        const entry = entries.find(
          ({ allows, identity }) => allows(target) && (throughIdentity === undefined || identity !== undefined),
        );
        if (entry !== undefined && !suspended) {
          return { allowed: true, permit: { grant: name, maxLifetimeSeconds, identity: entry.identity } };
        }
        if (reason !== 'grant_suspended') reason = entry === undefined ? 'no_grant_for_target' : 'grant_suspended';
      }
      return { allowed: false, code: 'not_granted', reason };
    },
    reaches: (workspace, endpoint) =>
      endpointEntries.some(
        ({ allows }) =>
          allows({ kind: 'endpointToken', workspace, endpoint }) ||
          allows({ kind: 'endpointKey', workspace, endpoint }),
      ),
    reachesEndpoints: (caller, workspace) =>
      grants.some(
        ({ suspended, caller: matcher, entries }) =>
          !suspended &&
          entries.some((entry) => entry.kind !== 'workspaceToken' && entry.workspace === workspace) &&
          matchesCaller(matcher, caller),
      ),
    workspacesWithEndpoints: [...new Set(endpointEntries.map(({ workspace }) => workspace))],
  };
}
