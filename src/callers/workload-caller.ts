import * as z from 'zod';
import { refuseToken } from './bearer.ts';
import type { WorkloadCaller } from './caller.ts';
import { checkTimes, numericDate, type Payload, parseClaims, refuseIdToken } from './claims.ts';

/**
 * The claims of a workload's token that the broker reads (RFC 7519, section 4.1; Kubernetes: "Service account token
 * structure"; GitHub: "OpenID Connect reference"). Everything else stays in `claims` for matchers. Kubernetes sends `aud`
 * as a list, GitHub as a text.
 */
const workloadClaims = z.looseObject({
  aud: z.union([z.string().transform((one) => [one]), z.array(z.string())]),
  sub: z.string().min(1).max(1024),
  exp: numericDate,
  nbf: numericDate.optional(),
  iat: numericDate.optional(),
  jti: z.string().max(256).optional(),
});

/** An OIDC issuer that the policy trusts. */
export interface TrustedOidcIssuer {
  /** Its name in the policy. */
  name: string;
  audience: string;
}

/**
 * The workload that signed claims of this issuer name. A token for several audiences is refused: each of the others
 * could pass it on to us.
 *
 * @throws BrokerError `invalid_token`, its `reason` saying which check failed
 */
export function readWorkloadCaller(payload: Payload, trusted: TrustedOidcIssuer, now: Date): WorkloadCaller {
  refuseIdToken(payload);
  const claims = parseClaims(workloadClaims, payload);
  if (claims.aud.length !== 1 || claims.aud[0] !== trusted.audience) throw refuseToken('audience');
  checkTimes(claims, now);
  return {
    issuer: trusted.name,
    class: 'workload',
    subject: claims.sub,
    roles: [],
    tokenId: claims.jti,
    claims: payload,
    expiresOn: new Date(claims.exp * 1000),
  };
}
