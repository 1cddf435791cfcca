import * as z from 'zod';
import { refuseToken } from './bearer.ts';
import type { EntraCaller } from './caller.ts';
import { checkTimes, numericDate, type Payload, parseClaims, refuseIdToken } from './claims.ts';

/**
 * The claims of an Entra access token that the broker reads (Microsoft reference: "Access token claims"). Everything
 * else stays in `claims` for exact matchers. `aud` is one text: Entra never sends a list.
 */

const guid = z.guid().transform((text) => text.toLowerCase());

const common = {
  aud: z.string(),
  tid: guid,
  oid: guid,
  sub: z.string().min(1).max(256),
  exp: numericDate,
  nbf: numericDate,
  iat: numericDate,
  scp: z.string().trim().min(1).optional(),
  roles: z.array(z.string()).default([]),
  idtyp: z.string().optional(),
  uti: z.string().max(256).optional(),
};

/** How the client proved itself: "0" not at all, "1" by a secret, "2" by a certificate or an assertion. */
const proof = z.string().optional();

const entraClaims = z.discriminatedUnion('ver', [
  z
    .looseObject({ ...common, ver: z.literal('1.0'), appid: guid, appidacr: proof })
    .transform(({ appid, appidacr, ...rest }) => ({ ...rest, client: appid, clientProof: appidacr })),
  z
    .looseObject({ ...common, ver: z.literal('2.0'), azp: guid, azpacr: proof })
    .transform(({ azp, azpacr, ...rest }) => ({ ...rest, client: azp, clientProof: azpacr })),
]);

type EntraClaims = z.output<typeof entraClaims>;

/**
 * Tells `user` from `app` as Microsoft's claims reference does: `scp` is there only for a user; an app-only token has
 * `idtyp: app`, or `sub` equal to `oid`. Neither `roles` nor their absence says anything: users have roles too, and apps
 * may have none. Whatever fits neither is refused, and so is an app that did not prove itself: a public client can speak
 * for a user only.
 */
function classOf(claims: EntraClaims): EntraCaller['class'] {
  if (claims.scp !== undefined) {
    if (claims.idtyp === 'app') throw refuseToken('class_contradicts_itself');
    return 'user';
  }
  const isApp = claims.idtyp === 'app' || (claims.idtyp === undefined && claims.sub.toLowerCase() === claims.oid);
  if (!isApp) throw refuseToken('neither_user_nor_app');
  if (claims.clientProof === '0') throw refuseToken('public_client_without_user');
  return 'app';
}

/** One `iss` of a tenant that the policy trusts. */
export interface TrustedTenant {
  /** The issuer's name in the policy. */
  name: string;
  tenantId: string;
  version: '1.0' | '2.0';
  audience: readonly string[];
}

/**
 * The caller whom signed claims of this tenant name.
 *
 * @throws BrokerError `invalid_token`, its `reason` saying which check failed
 */
export function readEntraCaller(payload: Payload, trusted: TrustedTenant, now: Date): EntraCaller {
  refuseIdToken(payload);
  const claims = parseClaims(entraClaims, payload);
  if (claims.ver !== trusted.version) throw refuseToken('version_does_not_fit_issuer');
  if (claims.tid !== trusted.tenantId) throw refuseToken('tenant_does_not_fit_issuer');
  if (!trusted.audience.includes(claims.aud)) throw refuseToken('audience');
  checkTimes(claims, now);
  return {
    issuer: trusted.name,
    class: classOf(claims),
    subject: claims.sub,
    tenantId: claims.tid,
    objectId: claims.oid,
    appId: claims.client,
    roles: claims.roles,
    tokenId: claims.uti,
    claims: payload,
    expiresOn: new Date(claims.exp * 1000),
  };
}
