import { type Checked, own, type PolicyProblem } from './policy-problem.ts';
import type { Issuer, Matcher } from './policy-schema.ts';

/** Rules for matchers: the issuer exists, and some token can fit all that is said. */

/** Claims of Entra that their holder or an administrator can change; another issuer may mean something else by them. */
const nameClaims = ['email', 'upn', 'preferred_username', 'unique_name', 'name', 'family_name', 'given_name'];

/** What only Entra's tokens have. */
const entraOnly = ['oid', 'appId', 'roles'] as const;

const isPattern = (value: unknown): boolean => typeof value === 'string' && value.includes('*');

/** True where a claim demanded by name cannot be in a token that fits everything else that the matcher says. */
function contradicts(matcher: Matcher, issuer: Issuer | undefined, claim: string, value: unknown): boolean {
  const differs = (other: string | undefined) =>
    other !== undefined && String(value).toLowerCase() !== other.toLowerCase();
  if (claim === 'sub') {
    return (
      !isPattern(value) && matcher.subject !== undefined && !isPattern(matcher.subject) && matcher.subject !== value
    );
  }
  if (matcher.class === 'workload') {
    return (
      claim === 'iss' && issuer !== undefined && 'issuer' in issuer && !isPattern(value) && value !== issuer.issuer
    );
  }
  if (claim === 'tid') return differs(issuer !== undefined && 'entraTenant' in issuer ? issuer.entraTenant : undefined);
  if (claim === 'oid') return differs(matcher.oid);
  if (claim === 'appid' || claim === 'azp') return differs(matcher.appId);
  if (claim === 'idtyp') return (value === 'app') !== (matcher.class === 'app');
  return claim === 'scp' && matcher.class === 'app';
}

/** Callers of an Entra tenant are apps and users, those of any other issuer workloads. */
function* checkClass(matcher: Matcher, issuer: Issuer | undefined, path: PropertyKey[]): Generator<PolicyProblem> {
  if (issuer !== undefined && 'issuer' in issuer !== (matcher.class === 'workload')) {
    const message =
      'issuer' in issuer
        ? `can never match: callers of the OIDC issuer ${matcher.issuer} are of class workload`
        : `can never match: callers of the Entra tenant ${matcher.issuer} are of class app or user`;
    yield { path: [...path, 'class'], message };
    return;
  }
  if (matcher.class === 'user' && matcher.appId !== undefined) {
    yield { path: [...path, 'appId'], message: 'can never match: appId matches class app only' };
  }
  if (matcher.class !== 'workload') return;
  for (const key of entraOnly) {
    if (matcher[key] === undefined) continue;
    yield {
      path: [...path, key],
      message: `can never match: only Entra’s tokens have ${key}; match workloads on subject or claims`,
    };
  }
}

function* checkClaims(matcher: Matcher, issuer: Issuer | undefined, path: PropertyKey[]): Generator<PolicyProblem> {
  const exactOnly = 'is matched exactly: * stands for any characters in class workload only';
  const isEntra = matcher.class !== 'workload';
  if (isEntra && isPattern(matcher.subject)) yield { path: [...path, 'subject'], message: exactOnly };
  for (const [claim, value] of Object.entries(matcher.claims ?? {})) {
    const where = [...path, 'claims', claim];
    if (isEntra && nameClaims.includes(claim.toLowerCase())) {
      yield {
        path: where,
        message: 'is a name that its holder or an administrator can change: match on oid or subject',
      };
    }
    if (isEntra && isPattern(value)) yield { path: where, message: exactOnly };
    if (contradicts(matcher, issuer, claim, value)) {
      yield { path: where, message: 'can never match: the rest of the matcher says otherwise' };
    }
  }
}

/** A matcher anywhere. */
export function* checkMatcher(
  { policy, declared }: Checked,
  matcher: Matcher,
  path: PropertyKey[],
): Generator<PolicyProblem> {
  if (!declared.issuers.has(matcher.issuer)) {
    yield { path: [...path, 'issuer'], message: `there is no issuer named ${matcher.issuer}` };
  }
  const issuer = own(policy.issuers, matcher.issuer);
  yield* checkClass(matcher, issuer, path);
  yield* checkClaims(matcher, issuer, path);
}

/**
 * A matcher that allows something. Whoever runs a job on a shared issuer (everybody, on GitHub) gets a token for any
 * audience that they ask for, so the issuer alone says nothing.
 */
export function* checkAllowingMatcher(
  checked: Checked,
  matcher: Matcher,
  path: PropertyKey[],
): Generator<PolicyProblem> {
  yield* checkMatcher(checked, matcher, path);
  const issuer = own(checked.policy.issuers, matcher.issuer);
  const saysWho = matcher.subject !== undefined || Object.keys(matcher.claims ?? {}).length > 0;
  if (issuer !== undefined && 'issuer' in issuer && matcher.class === 'workload' && !saysWho) {
    yield { path, message: 'would let in every workload of the issuer: name a subject or claims' };
  }
}
