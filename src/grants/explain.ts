import type { Caller } from '../callers/caller.ts';
import type { Grant, Matcher, PolicyDocument } from '../config/policy-schema.ts';
import { compileGrants, type Decision } from './compile.ts';
import { matchesCaller } from './match-caller.ts';
import { nameTarget, type Target } from './target.ts';

/** What one grant says of a question. */
export interface GrantVerdict {
  grant: string;
  /** `matches`, or the first thing that does not. */
  verdict: string;
}

/** What the policy says of a caller and a target, and why. */
export type Explanation =
  | {
      allowed: true;
      grant: string;
      identity: string | null;
      maxLifetimeSeconds: number;
      reason: 'granted';
      detail: string;
    }
  | { allowed: false; code: 'not_granted' | 'caller_denied'; reason: string; detail: string; grants: GrantVerdict[] };

export type Explain = (caller: Caller, target: Target) => Explanation;

/** A matcher's demands one by one, each with what it needs beside it to be a matcher; in the order in which they are told. */
function* demandsOf({
  issuer,
  class: kind,
  roles = [],
  claims = {},
  ...ids
}: Matcher): Generator<[string, unknown, Matcher]> {
  const base = { issuer, class: kind };
  for (const [member, wanted] of Object.entries(ids)) {
    if (wanted !== undefined) yield [member, wanted, { ...base, [member]: wanted }];
  }
  for (const role of roles) yield ['roles', role, { ...base, roles: [role] }];
  for (const [claim, wanted] of Object.entries(claims)) {
    yield [`claims.${claim}`, wanted, { ...base, claims: { [claim]: wanted } }];
  }
}

/** The first demand of a matcher that the caller does not meet; undefined where it matches. */
function firstMismatch(matcher: Matcher, caller: Caller): string | undefined {
  if (matchesCaller(matcher, caller)) return undefined;
  if (matcher.issuer !== caller.issuer) return `caller.issuer must be ${matcher.issuer}`;
  if (matcher.class !== caller.class) return `caller.class must be ${matcher.class}`;
  for (const [member, wanted, alone] of demandsOf(matcher)) {
    if (matchesCaller(alone, caller)) continue;
    return member === 'roles'
      ? `caller.roles must have ${wanted}`
      : `caller.${member} must be ${JSON.stringify(wanted)}`;
  }
  return 'caller does not match';
}

function verdictOf(name: string, grant: Grant, caller: Caller, target: Target): string {
  const mismatch = firstMismatch(grant.caller, caller);
  if (mismatch !== undefined) return mismatch;
  const alone = compileGrants({ grants: { [name]: { ...grant, suspended: false } }, deny: [] });
  if (!alone.decide(caller, target).allowed) return `no entry under allow is for ${nameTarget(target)}`;
  return grant.suspended ? 'suspended' : 'matches';
}

/** The grant that came nearest: suspended, then one for this caller, then the first of the policy. */
function nearest(verdicts: readonly GrantVerdict[]): GrantVerdict | undefined {
  return (
    verdicts.find(({ verdict }) => verdict === 'suspended') ??
    verdicts.find(({ verdict }) => verdict.startsWith('no entry')) ??
    verdicts[0]
  );
}

/**
 * Makes the explanation of a policy's decisions, for its authors: the decision is the one that a request would get,
 * and every reason is found with the same matching. Pure; whether an endpoint exists, and in which mode, is not asked.
 */
export function createExplain(policy: Pick<PolicyDocument, 'grants' | 'deny'>): Explain {
  const grants = compileGrants(policy);
  return (caller, target) => {
    const decision: Decision = grants.decide(caller, target);
    if (decision.allowed) {
      const { grant, identity = null, maxLifetimeSeconds } = decision.permit;
      const detail = `The grant ${grant} allows ${nameTarget(target)}.`;
      return { allowed: true, grant, identity, maxLifetimeSeconds, reason: 'granted', detail };
    }
    const { code, reason } = decision;
    const denial = policy.deny.findIndex((matcher) => matchesCaller(matcher, caller));
    if (denial !== -1) {
      return { allowed: false, code, reason, detail: `The entry deny.${denial} matches this caller.`, grants: [] };
    }
    const verdicts = Object.entries(policy.grants).map(([grant, entry]) => ({
      grant,
      verdict: verdictOf(grant, entry, caller, target),
    }));
    const found = nearest(verdicts);
    const why = found === undefined ? 'The policy has no grants.' : `The nearest is ${found.grant}: ${found.verdict}.`;
    return { allowed: false, code, reason, detail: `No grant allows ${nameTarget(target)}. ${why}`, grants: verdicts };
  };
}
