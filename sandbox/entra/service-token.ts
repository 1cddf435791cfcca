import { errors, type JWTPayload, jwtVerify } from 'jose';
import * as z from 'zod';
import { TENANT_ID } from '../seed.ts';
import { v1Issuer, v2Issuer } from './issuers.ts';
import type { EntraKeys } from './keys.ts';

export interface ServiceCaller {
  /** The calling application (`appid`, in v2 tokens `azp`). */
  appid: string;
  oid: string;
  tid: string;
  /** All claims of the token, for services that look at `roles` or `scp`. */
  claims: JWTPayload;
}

export type ServiceTokenReading =
  | { ok: true; caller: ServiceCaller }
  | { ok: false; reason: 'missing' | 'malformed' | 'signature' | 'audience' | 'expired' };

const callerSchema = z
  .object({ appid: z.string().optional(), azp: z.string().optional(), oid: z.string(), tid: z.literal(TENANT_ID) })
  .transform(({ appid, azp, oid, tid }) => ({ appid: appid ?? azp ?? '', oid, tid }));

/**
 * Reads the bearer token that a service received: signed by the sandbox's Entra, of its tenant, for one of the audiences, in time.
 *
 * @param authorization The `Authorization` header as sent.
 * @param audiences Accepted values of `aud`, compared exactly.
 * @returns The caller, or the one reason why the token does not count. `signature` also stands for another issuer or tenant,
 *   `expired` also for a token whose time has not come.
 */
export async function readServiceToken(
  authorization: string | undefined,
  audiences: readonly string[],
  entra: Pick<EntraKeys, 'verificationKey'>,
  now: Date,
): Promise<ServiceTokenReading> {
  if (authorization === undefined || authorization === '') return { ok: false, reason: 'missing' };
  const token = authorization.match(/^Bearer ([\w-]+\.[\w-]+\.[\w-]+)$/i)?.[1];
  if (token === undefined) return { ok: false, reason: 'malformed' };
  try {
    const { payload } = await jwtVerify(token, entra.verificationKey, {
      algorithms: ['RS256'],
      audience: [...audiences],
      issuer: [v1Issuer(TENANT_ID), v2Issuer(TENANT_ID)],
      requiredClaims: ['exp', 'iat', 'nbf'],
      currentDate: now,
    });
    const caller = callerSchema.safeParse(payload);
    return caller.success
      ? { ok: true, caller: { ...caller.data, claims: payload } }
      : { ok: false, reason: 'malformed' };
  } catch (error) {
    return { ok: false, reason: reasonOf(error) };
  }
}

function reasonOf(error: unknown): 'malformed' | 'signature' | 'audience' | 'expired' {
  if (error instanceof errors.JWTExpired) return 'expired';
  if (error instanceof errors.JWTClaimValidationFailed) {
    if (error.claim === 'aud') return 'audience';
    if (error.claim === 'iss') return 'signature';
    return error.claim === 'nbf' && error.reason === 'check_failed' ? 'expired' : 'malformed';
  }
  if (error instanceof errors.JWSSignatureVerificationFailed || error instanceof errors.JWKSNoMatchingKey)
    return 'signature';
  return 'malformed';
}
