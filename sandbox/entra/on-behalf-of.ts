import { errors, type JWTPayload, jwtVerify } from 'jose';
import * as z from 'zod';
import { TENANT_ID } from '../seed.ts';
import type { Application } from '../state/directory.ts';
import type { EntraError } from './entra-error.ts';
import { v1Issuer, v2Issuer } from './issuers.ts';
import type { EntraKeys } from './keys.ts';
import { refusals } from './refusals.ts';

/** Delegated permission in every token that is obtained in the name of a user. */
export const DELEGATED_SCOPE = 'user_impersonation';

const OIDC_SCOPES = ['openid', 'profile', 'offline_access', 'email'];

export type UserReading = { user: { oid: string } } | { error: EntraError };

const userClaims = z.object({ oid: z.guid(), tid: z.literal(TENANT_ID), scp: z.string().min(1) });

/**
 * Judges the user's token that an application presents as assertion: signed by this Entra, in time, addressed to that very
 * application, and of a person (an app-only token cannot be used).
 */
export async function readUserAssertion(
  application: Application,
  assertion: string,
  { keys, now }: { keys: EntraKeys; now: Date },
): Promise<UserReading> {
  let claims: JWTPayload;
  try {
    const { payload } = await jwtVerify(assertion, keys.verificationKey, {
      algorithms: ['RS256'],
      issuer: [v1Issuer(TENANT_ID), v2Issuer(TENANT_ID)],
      requiredClaims: ['exp'],
      currentDate: now,
    });
    claims = payload;
  } catch (error) {
    return {
      error: error instanceof errors.JWTExpired ? refusals.expiredUserAssertion() : refusals.badUserAssertion(),
    };
  }
  const own = [application.appId, ...application.identifierUris];
  if (typeof claims.aud !== 'string' || !own.includes(claims.aud)) return { error: refusals.userAssertionForAnother() };
  const user = userClaims.safeParse(claims);
  return user.success ? { user: { oid: user.data.oid } } : { error: refusals.notAUser(application.appId) };
}

/** The one resource among the scopes of an on-behalf-of request: `https://…/.default openid profile offline_access`. */
export function withoutOidcScopes(scope: string): string {
  return scope
    .split(' ')
    .filter((one) => !OIDC_SCOPES.includes(one))
    .join(' ');
}

/** What such an answer has beyond an access token: the user's ID token and who the user is, for the client's cache. */
export async function userExtras(
  user: { oid: string },
  basis: { application: Application; scope: string; now: Date; lifetimeSeconds: number; keys: EntraKeys; id: string },
) {
  const iat = Math.floor(basis.now.getTime() / 1000);
  const idToken = await basis.keys.sign(
    {
      aud: basis.application.appId,
      iss: v2Issuer(TENANT_ID),
      ...{ iat, nbf: iat, exp: iat + basis.lifetimeSeconds },
      ...{ oid: user.oid, sub: user.oid, tid: TENANT_ID, ver: '2.0' },
    },
    '2.0',
  );
  return {
    scope: basis.scope,
    refresh_token: `1.${basis.id}`,
    id_token: idToken,
    client_info: Buffer.from(JSON.stringify({ uid: user.oid, utid: TENANT_ID })).toString('base64url'),
  };
}
