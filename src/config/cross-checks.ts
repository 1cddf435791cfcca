import { checkAllowingMatcher, checkMatcher } from './caller-checks.ts';
import { checkIssuers, type IssuerLimits } from './issuer-checks.ts';
import { type Checked, type Declared, own, type PolicyProblem } from './policy-problem.ts';
import type { Allowed, Grant, Identity, PolicyDocument } from './policy-schema.ts';
import { checkUsers } from './user-checks.ts';

/** Rules over the whole policy: what it names must exist, and what it grants must be possible. */

/** Managed-identity tokens and endpoint tokens live a day; a shorter limit would refuse every one of them. */
const DAY_SECONDS = 86_400;

/** `prod/fraud-*` → its workspace's name. */
export function workspaceOfPattern(pattern: string): string {
  return pattern.slice(0, pattern.indexOf('/'));
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
  // Tokens of any other identity, for endpoints in aad_token mode, live shorter.
  const through = entry.identity === undefined ? undefined : own(policy.identities, entry.identity);
  if (grant.maxLifetime < DAY_SECONDS && (through === undefined || through.managedIdentity !== undefined)) {
    yield { path: [...path, 'endpointToken'], message: 'can never meet maxLifetime: endpoint tokens live 24 h' };
  }
}

function* checkGrant(checked: Checked, name: string, grant: Grant): Generator<PolicyProblem> {
  const path = ['grants', name];
  yield* checkAllowingMatcher(checked, grant.caller, [...path, 'caller']);
  for (const [index, entry] of grant.allow.entries())
    yield* checkAllowed(checked, grant, entry, [...path, 'allow', index]);
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

/** A test that names what the policy does not have would hold, or fail, for the wrong reason. */
function* checkExpectations({ policy, declared }: Checked): Generator<PolicyProblem> {
  for (const [index, { caller, target, allow }] of policy.expect.entries()) {
    const path = ['expect', index];
    if (!declared.issuers.has(caller.issuer)) {
      yield { path: [...path, 'caller', 'issuer'], message: `there is no issuer named ${caller.issuer}` };
    }
    if (!declared.workspaces.has(target.workspace)) {
      yield { path: [...path, 'target'], message: `there is no workspace named ${target.workspace}` };
    }
    if (typeof allow === 'string' && !declared.grants.has(allow)) {
      yield { path: [...path, 'allow'], message: `there is no grant named ${allow}` };
    }
  }
}

/** Everything wrong with a policy whose shape is right; empty when it can be used. */
export function crossCheckPolicy(policy: PolicyDocument, declared: Declared, limits: IssuerLimits): PolicyProblem[] {
  const checked = { policy, declared };
  const problems: PolicyProblem[] = [...checkIssuers(policy, limits)];
  for (const [index, matcher] of policy.operators.entries()) {
    problems.push(...checkAllowingMatcher(checked, matcher, ['operators', index]));
  }
  for (const [name, workspace] of Object.entries(policy.workspaces)) {
    if (workspace.fetch !== undefined) {
      problems.push(...checkIdentityUse(checked, workspace.fetch, 'fetch', ['workspaces', name, 'fetch']));
    }
  }
  for (const [name, grant] of Object.entries(policy.grants)) problems.push(...checkGrant(checked, name, grant));
  for (const [index, matcher] of policy.deny.entries())
    problems.push(...checkMatcher(checked, matcher, ['deny', index]));
  problems.push(...checkSharing(checked), ...checkUsers(checked), ...checkExpectations(checked));
  return problems;
}
