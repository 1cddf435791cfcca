import { type Checked, own, type PolicyProblem } from './policy-problem.ts';
import type { Allowed, EntraIssuer, Grant, Identity, PolicyDocument } from './policy-schema.ts';

/** Rules about grants for users, and about the identities that act for them. */

/** An audience that names an application by its id, as `<appId>` or `api://<appId>`; other forms say nothing about it. */
const audienceOfApplication = /^(?:api:\/\/)?([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/i;

function entraIssuer(policy: PolicyDocument, name: string): EntraIssuer | undefined {
  const issuer = own(policy.issuers, name);
  return issuer !== undefined && 'entraTenant' in issuer ? issuer : undefined;
}

/** Entra takes a user's token on behalf of them only from the application that it is addressed to. */
function isAddressedTo({ audience }: EntraIssuer, clientId: string): boolean {
  const named = audience.map((one) => audienceOfApplication.exec(one)?.[1]?.toLowerCase());
  return named.includes(clientId) || named.includes(undefined);
}

function* checkActingFor(
  policy: PolicyDocument,
  { caller }: Grant,
  [name, { tenantId, clientId }]: [string, NonNullable<Identity['onBehalfOf']>],
  path: PropertyKey[],
): Generator<PolicyProblem> {
  if (caller.class !== 'user') {
    yield { path, message: `the identity ${name} acts for users: a grant for class ${caller.class} needs another one` };
    return;
  }
  const issuer = entraIssuer(policy, caller.issuer);
  if (issuer === undefined) return;
  if (issuer.entraTenant !== tenantId) {
    yield {
      path,
      message: `can never work: the identity ${name} is in another tenant than the users of ${caller.issuer}`,
    };
  } else if (!isAddressedTo(issuer, clientId)) {
    yield {
      path,
      message: `can never work: the tokens of ${caller.issuer} are for another application than that of the identity ${name}; give it the clientId that the audience names`,
    };
  }
}

function actorOf(policy: PolicyDocument, entry: Allowed): [string, NonNullable<Identity['onBehalfOf']>] | undefined {
  if (!('identity' in entry) || entry.identity === undefined) return undefined;
  const onBehalfOf = own(policy.identities, entry.identity)?.onBehalfOf;
  return onBehalfOf === undefined ? undefined : [entry.identity, onBehalfOf];
}

/** An entry whose identity is not there, or broken, is told elsewhere. */
function namesUnknown(policy: PolicyDocument, entry: Allowed): boolean {
  return 'workspace' in entry && own(policy.identities, entry.identity) === undefined;
}

function* checkEntry(
  policy: PolicyDocument,
  grant: Grant,
  entry: Allowed,
  path: PropertyKey[],
): Generator<PolicyProblem> {
  const actor = actorOf(policy, entry);
  if (actor !== undefined && !('workspace' in entry)) {
    yield {
      path: [...path, 'identity'],
      message: `the identity ${actor[0]} acts for users: endpoints’ tokens need one with tokens of its own`,
    };
  } else if (actor !== undefined) yield* checkActingFor(policy, grant, actor, [...path, 'identity']);
  const bypasses = grant.caller.class === 'user' && actor === undefined && !namesUnknown(policy, entry);
  if (bypasses && !grant.bypassesConditionalAccess) {
    yield {
      path,
      message:
        'would serve users past their Conditional Access: name an onBehalfOf identity, or say bypassesConditionalAccess: true in the grant if that is meant',
    };
  }
}

/**
 * Users are served by `onBehalfOf`, so that their Conditional Access holds, or by a grant that says that it bypasses it;
 * and an identity that acts for users serves nobody and nothing else.
 */
export function* checkUsers({ policy }: Checked): Generator<PolicyProblem> {
  for (const [name, identity] of Object.entries(policy.identities)) {
    if (identity.onBehalfOf !== undefined && identity.use !== 'issue') {
      yield { path: ['identities', name, 'use'], message: 'must be issue: tokens of users are for those users alone' };
    }
  }
  for (const [name, grant] of Object.entries(policy.grants)) {
    for (const [index, entry] of grant.allow.entries()) {
      yield* checkEntry(policy, grant, entry, ['grants', name, 'allow', index]);
    }
    if (grant.caller.class !== 'user' && grant.bypassesConditionalAccess) {
      yield { path: ['grants', name, 'bypassesConditionalAccess'], message: 'has a meaning for class user only' };
    }
  }
}
