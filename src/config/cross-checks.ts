import type { Allowed, Grant, Identity, Matcher, PolicyDocument } from './policy-schema.ts';

/** Rules over the whole policy: what it names must exist, and what it grants must be possible. */

export interface PolicyProblem {
  /** Where in the document, as keys and indexes. */
  path: readonly PropertyKey[];
  message: string;
}

/** The names that the policy declares, including entries that are themselves broken. */
export type Declared = Readonly<Record<'issuers' | 'identities' | 'workspaces', ReadonlySet<string>>>;

interface Checked {
  policy: PolicyDocument;
  declared: Declared;
}

/** Managed-identity tokens and endpoint tokens live a day; a shorter limit would refuse every one of them. */
const DAY_SECONDS = 86_400;

const own = <T>(record: Readonly<Record<string, T>>, key: string): T | undefined =>
  Object.hasOwn(record, key) ? record[key] : undefined;

/** `prod/fraud-*` → its workspace's name. */
export function workspaceOfPattern(pattern: string): string {
  return pattern.slice(0, pattern.indexOf('/'));
}

/** True where a claim demanded by name cannot be in a token that fits everything else that the matcher says. */
function contradicts(matcher: Matcher, tenant: string | undefined, claim: string, value: unknown): boolean {
  const differs = (other: string | undefined) =>
    other !== undefined && String(value).toLowerCase() !== other.toLowerCase();
  if (claim === 'tid') return differs(tenant);
  if (claim === 'oid') return differs(matcher.oid);
  if (claim === 'sub') return matcher.subject !== undefined && matcher.subject !== value;
  if (claim === 'appid' || claim === 'azp') return differs(matcher.appId);
  if (claim === 'idtyp') return (value === 'app') !== (matcher.class === 'app');
  return claim === 'scp' && matcher.class === 'app';
}

function* checkMatcher({ policy, declared }: Checked, matcher: Matcher, path: PropertyKey[]): Generator<PolicyProblem> {
  if (!declared.issuers.has(matcher.issuer)) {
    yield { path: [...path, 'issuer'], message: `there is no issuer named ${matcher.issuer}` };
  }
  if (matcher.class === 'user' && matcher.appId !== undefined) {
    yield { path: [...path, 'appId'], message: 'can never match: appId matches class app only' };
  }
  const tenant = own(policy.issuers, matcher.issuer)?.entraTenant;
  for (const [claim, value] of Object.entries(matcher.claims ?? {})) {
    if (contradicts(matcher, tenant, claim, value)) {
      yield { path: [...path, 'claims', claim], message: 'can never match: the rest of the matcher says otherwise' };
    }
  }
}

function* checkIdentityUse(
  { policy, declared }: Checked,
  name: string,
  use: Identity['use'],
  path: PropertyKey[],
): Generator<PolicyProblem> {
  const identity = own(policy.identities, name);
  if (!declared.identities.has(name)) yield { path, message: `there is no identity named ${name}` };
  else if (identity !== undefined && identity.use !== use) {
    yield { path, message: `the identity ${name} is for use: ${identity.use}; here one for use: ${use} is needed` };
  }
}

export function* checkEndpointEntry(
  { policy, declared }: Checked,
  pattern: string,
  path: PropertyKey[],
): Generator<PolicyProblem> {
  const name = workspaceOfPattern(pattern);
  const workspace = own(policy.workspaces, name);
  if (!declared.workspaces.has(name)) yield { path, message: `there is no workspace named ${name}` };
  else if (workspace !== undefined && workspace.fetch === undefined) {
    yield {
      path,
      message: `the workspace ${name} needs fetch: the identity that obtains its endpoints’ tokens and keys`,
    };
  }
}

function* checkAllowed(checked: Checked, grant: Grant, entry: Allowed, path: PropertyKey[]): Generator<PolicyProblem> {
  const { policy, declared } = checked;
  if ('workspace' in entry) {
    if (!declared.workspaces.has(entry.workspace)) {
      yield { path: [...path, 'workspace'], message: `there is no workspace named ${entry.workspace}` };
    }
    yield* checkIdentityUse(checked, entry.identity, 'issue', [...path, 'identity']);
    const identity = own(policy.identities, entry.identity);
    if (identity?.managedIdentity !== undefined && grant.maxLifetime < DAY_SECONDS) {
      yield {
        path: [...path, 'identity'],
        message: `can never meet maxLifetime: tokens of the managed identity ${entry.identity} live 24 h`,
      };
    }
    return;
  }
  if ('endpointKey' in entry) {
    yield* checkEndpointEntry(checked, entry.endpointKey, [...path, 'endpointKey']);
    return;
  }
  yield* checkEndpointEntry(checked, entry.endpointToken, [...path, 'endpointToken']);
  if (entry.identity !== undefined) yield* checkIdentityUse(checked, entry.identity, 'issue', [...path, 'identity']);
  if (grant.maxLifetime < DAY_SECONDS) {
    yield { path: [...path, 'endpointToken'], message: 'can never meet maxLifetime: endpoint tokens live 24 h' };
  }
}

function* checkGrant(checked: Checked, name: string, grant: Grant): Generator<PolicyProblem> {
  const path = ['grants', name];
  yield* checkMatcher(checked, grant.caller, [...path, 'caller']);
  for (const [index, entry] of grant.allow.entries())
    yield* checkAllowed(checked, grant, entry, [...path, 'allow', index]);
  if (grant.caller.class === 'user' && !grant.bypassesConditionalAccess) {
    yield {
      path: [...path, 'caller', 'class'],
      message:
        'the identities here would serve users past their Conditional Access; say bypassesConditionalAccess: true if that is meant',
    };
  }
  if (grant.caller.class !== 'user' && grant.bypassesConditionalAccess) {
    yield { path: [...path, 'bypassesConditionalAccess'], message: 'has a meaning for class user only' };
  }
}

/** An identity's tokens open all that the identity may; so it serves one workspace unless its entry says otherwise. */
function* checkSharing({ policy, declared }: Checked): Generator<PolicyProblem> {
  for (const [name, identity] of Object.entries(policy.identities)) {
    const path = ['identities', name];
    for (const [index, shared] of (identity.sharedBy ?? []).entries()) {
      if (!declared.workspaces.has(shared)) {
        yield { path: [...path, 'sharedBy', index], message: `there is no workspace named ${shared}` };
      }
    }
    if (identity.use !== 'issue') continue;
    const entries = Object.values(policy.grants).flatMap((grant) => grant.allow);
    const served = new Set(
      entries.flatMap((entry) => {
        if (!('identity' in entry) || entry.identity !== name) return [];
        return ['workspace' in entry ? entry.workspace : workspaceOfPattern(entry.endpointToken)];
      }),
    );
    const undeclared = [...served].filter((workspace) => !(identity.sharedBy ?? []).includes(workspace));
    if (served.size > 1 && undeclared.length > 0) {
      yield {
        path,
        message: `serves several workspaces (${[...served].sort().join(', ')}): give each its own identity, or say sharedBy: [${[...served].sort().join(', ')}]`,
      };
    }
  }
}

/** One tenant under two names would give one token two meanings. */
function* checkIssuers(policy: PolicyDocument): Generator<PolicyProblem> {
  const seen = new Map<string, string>();
  for (const [name, { entraTenant }] of Object.entries(policy.issuers)) {
    const first = seen.get(entraTenant);
    if (first !== undefined) yield { path: ['issuers', name], message: `names the same tenant as ${first}` };
    else seen.set(entraTenant, name);
  }
}

/** Everything wrong with a policy whose shape is right; empty when it can be used. */
export function crossCheckPolicy(policy: PolicyDocument, declared: Declared): PolicyProblem[] {
  const checked = { policy, declared };
  const problems: PolicyProblem[] = [...checkIssuers(policy)];
  for (const [index, matcher] of policy.operators.entries()) {
    problems.push(...checkMatcher(checked, matcher, ['operators', index]));
  }
  for (const [name, workspace] of Object.entries(policy.workspaces)) {
    if (workspace.fetch !== undefined) {
      problems.push(...checkIdentityUse(checked, workspace.fetch, 'fetch', ['workspaces', name, 'fetch']));
    }
  }
  for (const [name, grant] of Object.entries(policy.grants)) problems.push(...checkGrant(checked, name, grant));
  for (const [index, matcher] of policy.deny.entries())
    problems.push(...checkMatcher(checked, matcher, ['deny', index]));
  problems.push(...checkSharing(checked));
  return problems;
}
