import { decodeJwt, errors, type JWTPayload } from 'jose';
import type { Caller } from '../callers/caller.ts';
import type { Identity } from '../config/policy-schema.ts';
import { BrokerError } from '../errors.ts';

export interface SecondLookOptions {
  identities: Readonly<Record<string, Identity>>;
  /** For each scope the forms that its `aud` may have, without a slash at the end. Of other scopes `aud` is not judged. */
  audiences: Readonly<Record<string, readonly string[]>>;
}

/** The user for whom a token was obtained. */
export type TokenUser = Pick<Caller, 'tenantId' | 'objectId'>;

/** Judges one Entra token, see `createSecondLook`; with a user, one that was obtained in that user's name. */
export type LookAgain = (identity: string, scope: string, accessToken: string, user?: TokenUser) => void;

function readClaims(accessToken: string): JWTPayload | undefined {
  try {
    return decodeJwt(accessToken);
  } catch (error) {
    if (error instanceof errors.JWTInvalid) return undefined;
    throw error;
  }
}

const sameId = (claim: unknown, id: string | undefined): boolean =>
  typeof claim === 'string' && id !== undefined && claim.toLowerCase() === id.toLowerCase();

function isAudience(claim: unknown, forms: readonly string[]): boolean {
  return typeof claim === 'string' && forms.includes(claim.replace(/\/$/, ''));
}

/** Which application an identity signs in as, and in which tenant, as far as the policy says. */
function applicationOf(identity: Identity): { clientId: string | undefined; tenantId: string | undefined } {
  const application = identity.servicePrincipal ?? identity.federated ?? identity.onBehalfOf;
  return application ?? { clientId: identity.managedIdentity?.clientId, tenantId: undefined };
}

/** What does not fit, in one word; undefined where all does. */
function findMismatch(
  claims: JWTPayload,
  expected: { forms: readonly string[] | undefined; clientId: string | undefined; tenantId: string | undefined },
  user: TokenUser | undefined,
): string | undefined {
  const { forms, clientId, tenantId } = expected;
  if (forms !== undefined && !isAudience(claims.aud, forms)) return 'audience';
  if (clientId !== undefined && !sameId(claims.appid ?? claims.azp, clientId)) return 'application';
  if (tenantId !== undefined && !sameId(claims.tid, tenantId)) return 'tenant';
  // A token with delegated permissions is somebody's own; an identity's never is.
  if (user === undefined) return claims.scp === undefined ? undefined : 'a_user';
  return sameId(claims.oid, user.objectId) && sameId(claims.tid, user.tenantId) ? undefined : 'another_user';
}

/**
 * P3's second look at what Entra returned, where it can be read as a JWT: for the resource that was asked for, of the
 * application that signed in, and of nobody but the user in whose name it was asked. A check against mix-ups, not
 * against forgery: the signature is for the resource to check. A token that cannot be read is judged by the answer alone.
 *
 * @throws BrokerError `unexpected_upstream_answer`
 */
export function createSecondLook({ identities, audiences }: SecondLookOptions): LookAgain {
  return (name, scope, accessToken, user) => {
    const claims = readClaims(accessToken);
    const identity = Object.hasOwn(identities, name) ? identities[name] : undefined;
    if (claims === undefined || identity === undefined) return;
    const forms = Object.hasOwn(audiences, scope) ? audiences[scope] : undefined;
    const mismatch = findMismatch(claims, { forms, ...applicationOf(identity) }, user);
    if (mismatch === undefined) return;
    throw new BrokerError('unexpected_upstream_answer', { reason: `token_is_for_another: ${mismatch}` });
  };
}
