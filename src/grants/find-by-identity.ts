import type { Caller } from '../callers/caller.ts';
import type { Identity, PolicyDocument } from '../config/policy-schema.ts';
import { matchesCaller } from './match-caller.ts';
import type { Target } from './target.ts';

/** An identity as clients of Entra name one: by its client id, and what its token is for. */
export interface NamedIdentity {
  /** Undefined: the client did not say. */
  tenantId: string | undefined;
  /** Lower case. */
  clientId: string;
  audience: 'aml' | 'arm';
  /** Undefined: any workspace. */
  workspace: string | undefined;
}

export type WorkspaceTarget = Extract<Target, { kind: 'workspaceToken' }>;

export type FoundTarget =
  | { found: true; target: WorkspaceTarget }
  | { found: false; code: 'not_granted' | 'caller_denied'; reason: string };

/** The one thing that a caller means by naming an identity; see `createFindByIdentity`. */
export type FindByIdentity = (caller: Caller, named: NamedIdentity) => FoundTarget;

/** Whether the identity is the one named. The policy does not say in which tenant managed identities are. */
function isNamed(identity: Identity, { tenantId, clientId }: NamedIdentity): boolean {
  const { managedIdentity, servicePrincipal, federated, onBehalfOf } = identity;
  if (managedIdentity !== undefined) return managedIdentity.clientId === clientId;
  const application = servicePrincipal ?? federated ?? onBehalfOf;
  return application?.clientId === clientId && (tenantId === undefined || application.tenantId === tenantId);
}

/**
 * Finds the grant behind (caller, identity, audience): there must be exactly one in force. With none there is nothing to
 * issue; with several, their limits may differ and nothing says which one is meant. One grant may name the identity
 * for several workspaces, which its entry then shares: the first stands for them, as the token is the same.
 *
 * An identity without a client id (system-assigned) cannot be named. Entries for endpoints do not count: a token that is
 * granted for an endpoint is asked for by naming the endpoint.
 */
export function createFindByIdentity({
  identities,
  grants,
  deny,
}: Pick<PolicyDocument, 'identities' | 'grants' | 'deny'>): FindByIdentity {
  return (caller, named) => {
    if (deny.some((matcher) => matchesCaller(matcher, caller))) {
      return { found: false, code: 'caller_denied', reason: 'denied' };
    }
    const names = new Set(Object.entries(identities).flatMap(([name, entry]) => (isNamed(entry, named) ? [name] : [])));
    const targets = Object.values(grants).flatMap(({ caller: matcher, suspended, allow }) => {
      if (suspended || !matchesCaller(matcher, caller)) return [];
      const entry = allow.find(
        (allowed) =>
          'workspace' in allowed &&
          names.has(allowed.identity) &&
          allowed.audience === named.audience &&
          (named.workspace === undefined || allowed.workspace === named.workspace),
      );
      if (entry === undefined || !('workspace' in entry)) return [];
      const { workspace, audience, identity } = entry;
      return [{ kind: 'workspaceToken', workspace, audience, identity } as const];
    });
    const [target, ...others] = targets;
    if (target === undefined) return { found: false, code: 'not_granted', reason: 'no_grant_for_identity' };
    if (others.length > 0) return { found: false, code: 'not_granted', reason: 'several_grants_for_identity' };
    return { found: true, target };
  };
}
