import { createHash } from 'node:crypto';
import type { JWTPayload } from 'jose';
import type { Random } from '../state/random.ts';
import { v1Issuer, v2Issuer } from './issuers.ts';

export type TokenVersion = '1.0' | '2.0';

/** What every access token is made from. */
export interface TokenBasis {
  version: TokenVersion;
  tenant: string;
  audience: string;
  /** The calling application. */
  appId: string;
  oid: string;
  /** How the application proved itself: "0" not at all (public client), "1" by secret, "2" by certificate or assertion. */
  acr: '0' | '1' | '2';
  /** App permissions or app roles; none: no claim. */
  roles?: readonly string[] | undefined;
  now: Date;
  /** Negative: a token that ended that long ago. */
  lifetimeSeconds: number;
}

/** How long before its end an already expired token began. */
const EXPIRED_TOKEN_LIFE_SECONDS = 3600;

/** Claims of a token that an application obtained for itself: `sub` equals `oid`, `idtyp` is `app`. */
export function appClaims(basis: TokenBasis, random: Random): JWTPayload {
  return { ...commonClaims(basis, random), idtyp: 'app', sub: basis.oid };
}

/**
 * Claims of a token that an application obtained for a signed-in person: `scp` instead of app permissions, and a `sub` that
 * differs from `oid` and from API to API.
 *
 * @param scp Delegated permissions, separated by spaces.
 */
export function userClaims(basis: TokenBasis, scp: string, random: Random): JWTPayload {
  const name = `user-${basis.oid.slice(-4)}`;
  const upn = `${name}@contoso.onmicrosoft.com`;
  return {
    ...commonClaims(basis, random),
    ...(basis.version === '1.0'
      ? { acr: '1', amr: ['pwd', 'mfa'], ipaddr: '203.0.113.7', unique_name: upn, upn }
      : { preferred_username: upn, sid: random.id() }),
    name,
    scp,
    sub: createHash('sha256').update(`${basis.audience} ${basis.oid}`).digest('base64url'),
  };
}

function commonClaims(basis: TokenBasis, random: Random): JWTPayload {
  const { version, tenant, acr, appId, lifetimeSeconds } = basis;
  const nowSeconds = Math.floor(basis.now.getTime() / 1000);
  const exp = nowSeconds + lifetimeSeconds;
  const iat = lifetimeSeconds > 0 ? nowSeconds : exp - EXPIRED_TOKEN_LIFE_SECONDS;
  return {
    aud: basis.audience,
    iss: version === '1.0' ? v1Issuer(tenant) : v2Issuer(tenant),
    iat,
    nbf: iat,
    exp,
    aio: random.bytes(36).toString('base64'),
    ...(version === '1.0' ? { appid: appId, appidacr: acr, idp: v1Issuer(tenant) } : { azp: appId, azpacr: acr }),
    oid: basis.oid,
    rh: `1.${random.bytes(30).toString('base64url')}.`,
    ...(basis.roles && basis.roles.length > 0 ? { roles: [...basis.roles] } : {}),
    tid: tenant,
    uti: random.bytes(16).toString('base64url'),
    ver: version,
  };
}
