import { checkEndpointEntry, workspaceOfPattern } from './cross-checks.ts';
import { durationText } from './duration.ts';
import type { Declared, PolicyProblem } from './policy-problem.ts';
import type { PolicyDocument, RotationEntry } from './policy-schema.ts';
import type { Settings } from './settings.ts';

/**
 * Rules for what is rotated: it must be possible in time, be nobody else's, and be nothing that the broker itself signs
 * in with. Two secrets of one application are fine: their passwords are told apart by the rotation's name.
 */

/** What the settings already use, so that no rotation may. */
export type Reserved = Pick<Settings, 'tokenCacheKey' | 'brokerIdentityClientId'>;

type SecretEntry = Exclude<RotationEntry, { endpointKeys: string }>;
type KeyEntry = Extract<RotationEntry, { endpointKeys: string }>;

/** Key Vault does not tell cases apart. */
const keyOf = (secretName: string): string => secretName.toLowerCase();
const pendingOf = (name: string): string => `${keyOf(name)}-pending`;

const isKeyEntry = (entry: RotationEntry): entry is KeyEntry => 'endpointKeys' in entry;
const isSecretEntry = (entry: RotationEntry): entry is SecretEntry => !isKeyEntry(entry);

/** The entries of one kind, with their names. */
function entriesOf<T extends RotationEntry>(policy: PolicyDocument, is: (entry: RotationEntry) => entry is T) {
  return Object.entries(policy.rotations).flatMap(([name, entry]) => (is(entry) ? [{ name, entry }] : []));
}

function* checkTimes(name: string, entry: RotationEntry): Generator<PolicyProblem> {
  const { rotateEvery, overlap } = entry;
  const path = ['rotations', name];
  if (overlap >= rotateEvery) {
    yield {
      path: [...path, 'overlap'],
      message: `must be shorter than rotateEvery: it is ${durationText(overlap)}, rotateEvery is ${durationText(rotateEvery)}`,
    };
  }
  // Otherwise the previous secret would end before its successor has been current for the overlap.
  if (isSecretEntry(entry) && entry.lifetime <= rotateEvery + overlap) {
    yield {
      path: [...path, 'lifetime'],
      message: `must be longer than rotateEvery and overlap together: it is ${durationText(entry.lifetime)}, they are ${durationText(rotateEvery + overlap)}`,
    };
  }
}

/** A secret's name and its `-pending` twin belong to one rotation and to nothing else. */
function* checkNames(policy: PolicyDocument, { tokenCacheKey }: Reserved): Generator<PolicyProblem> {
  const owners = new Map<string, string>();
  const names = Object.keys(policy.rotations);
  for (const name of names) {
    const path = ['rotations', name];
    const same = owners.get(keyOf(name));
    if (same !== undefined)
      yield { path, message: `is the same Key Vault secret as ${same}: letter case does not count` };
    else owners.set(keyOf(name), name);
  }
  const pending = new Map(names.map((name) => [pendingOf(name), name]));
  for (const name of names) {
    const path = ['rotations', name];
    const owner = pending.get(keyOf(name));
    if (owner !== undefined)
      yield { path, message: `is where the rotation ${owner} keeps its next secret: rename one` };
    if ([keyOf(name), pendingOf(name)].includes(keyOf(tokenCacheKey))) {
      yield { path, message: 'is, with or without -pending, the secret of the setting TOKEN_CACHE_KEY: rename one' };
    }
  }
  for (const [identity, { servicePrincipal }] of Object.entries(policy.identities)) {
    const owner = servicePrincipal && pending.get(keyOf(servicePrincipal.secret));
    if (owner === undefined || (servicePrincipal && owners.has(keyOf(servicePrincipal.secret)))) continue;
    yield {
      path: ['identities', identity, 'servicePrincipal', 'secret'],
      message: `is where the rotation ${owner} keeps its next secret: name ${owner}`,
    };
  }
}

const guids = /[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/g;

/**
 * Client ids that no rotation may name, each with the reason. The broker's own app is the one whose id its callers
 * address, in the v2 form (the id) or the v1 form (`api://<id>`); managed identities have no secret.
 */
function forbiddenClients(policy: PolicyDocument, { brokerIdentityClientId }: Reserved): Map<string, string> {
  const forbidden = new Map<string, string>();
  for (const [name, identity] of Object.entries(policy.identities)) {
    const clientId = identity.managedIdentity?.clientId;
    if (clientId !== undefined)
      forbidden.set(clientId, `is the managed identity ${name}, which has no secret to rotate`);
  }
  for (const [name, { audience }] of Object.entries(policy.issuers)) {
    for (const clientId of [audience].flat().flatMap((text) => text.toLowerCase().match(guids) ?? [])) {
      forbidden.set(
        clientId,
        `would be a rotation of the broker’s own app (the audience of issuers.${name}), which must have no secret: remove it`,
      );
    }
  }
  if (brokerIdentityClientId !== undefined) {
    forbidden.set(
      brokerIdentityClientId.toLowerCase(),
      'would be a rotation of the broker’s own identity (BROKER_IDENTITY_CLIENT_ID), a managed identity, which has no secret: remove it',
    );
  }
  return forbidden;
}

/** Client id and object id name one application, or one of them is wrong. */
function* checkApplications(policy: PolicyDocument, reserved: Reserved): Generator<PolicyProblem> {
  const forbidden = forbiddenClients(policy, reserved);
  const seen: { name: string; entry: SecretEntry }[] = [];
  for (const { name, entry } of entriesOf(policy, isSecretEntry)) {
    const path = ['rotations', name];
    const reason = forbidden.get(entry.clientId);
    if (reason !== undefined) yield { path: [...path, 'clientId'], message: reason };
    const other = seen.find(
      ({ entry: { clientId, application } }) => (clientId === entry.clientId) !== (application === entry.application),
    );
    if (other !== undefined) {
      const [agrees, differs] =
        other.entry.clientId === entry.clientId ? ['clientId', 'application'] : ['application', 'clientId'];
      yield {
        path: [...path, differs],
        message: `is another than that of the rotation ${other.name}, which has the same ${agrees}: one of them is wrong`,
      };
    }
    seen.push({ name, entry });
  }
}

/** An identity that signs in with a rotated secret must be the application whose secret it is. */
function* checkIdentities(policy: PolicyDocument): Generator<PolicyProblem> {
  const rotations = new Map(Object.entries(policy.rotations).map(([name, entry]) => [keyOf(name), { name, entry }]));
  for (const [identity, { servicePrincipal }] of Object.entries(policy.identities)) {
    const rotated = servicePrincipal && rotations.get(keyOf(servicePrincipal.secret));
    if (servicePrincipal === undefined || rotated === undefined) continue;
    const path = ['identities', identity, 'servicePrincipal'];
    const { name, entry } = rotated;
    if (isKeyEntry(entry)) {
      yield { path: [...path, 'secret'], message: `is the rotation ${name}, which is of an endpoint’s keys` };
      continue;
    }
    for (const key of ['tenantId', 'clientId'] as const) {
      if (servicePrincipal[key] === entry[key]) continue;
      yield { path: [...path, key], message: `is another than that of the rotation ${name}, whose secret this is` };
    }
  }
}

/** The endpoint exists as far as the policy can tell, and nothing else rotates its keys. */
function* checkEndpoints(policy: PolicyDocument, declared: Declared): Generator<PolicyProblem> {
  const seen = new Map<string, string>();
  for (const { name, entry } of entriesOf(policy, isKeyEntry)) {
    const path = ['rotations', name, 'endpointKeys'];
    yield* checkEndpointEntry({ policy, declared }, entry.endpointKeys, path);
    const [workspaceName, endpoint] = [
      workspaceOfPattern(entry.endpointKeys),
      entry.endpointKeys.slice(entry.endpointKeys.indexOf('/') + 1),
    ];
    const workspace = Object.hasOwn(policy.workspaces, workspaceName) ? policy.workspaces[workspaceName] : undefined;
    // One workspace may have two names in the policy.
    const azure = workspace && [workspace.subscription_id, workspace.resource_group, workspace.workspace_name];
    const id = [...(azure ?? [workspaceName]), endpoint].join('/').toLowerCase();
    const other = seen.get(id);
    if (other !== undefined) yield { path, message: `is the endpoint of the rotation ${other} already: remove one` };
    else seen.set(id, name);
  }
}

/** Everything wrong with the rotations of a policy whose shape is right. */
export function crossCheckRotations(policy: PolicyDocument, declared: Declared, reserved: Reserved): PolicyProblem[] {
  return [
    ...Object.entries(policy.rotations).flatMap(([name, entry]) => [...checkTimes(name, entry)]),
    ...checkNames(policy, reserved),
    ...checkApplications(policy, reserved),
    ...checkIdentities(policy),
    ...checkEndpoints(policy, declared),
  ];
}
