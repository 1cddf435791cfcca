import * as z from 'zod';
import { refuseToken } from './bearer.ts';

/** What all caller tokens have in common: the shapes of their claims, and the check of their times. */

/** How far an issuer's clock and ours may differ, on `nbf`, `iat` and `exp` alike. */
export const SKEW_SECONDS = 300;

/** Seconds since 1970 that a Date can hold: what lies beyond would compare as neither earlier nor later. */
export const numericDate = z.int().min(0).max(253_402_300_799);

/** Claims that only ID tokens carry; an ID token says who signed in, it does not open an API. */
const idTokenClaims = ['nonce', 'at_hash', 'c_hash'] as const;

export type Payload = Readonly<Record<string, unknown>>;

export function refuseIdToken(payload: Payload): void {
  for (const name of idTokenClaims) {
    if (Object.hasOwn(payload, name)) throw refuseToken('id_token');
  }
}

/** Reads claims by a schema; the refusal names the first claim that is not as it should be. */
export function parseClaims<T extends z.ZodType>(schema: T, payload: Payload): z.output<T> {
  const parsed = schema.safeParse(payload);
  if (parsed.success) return parsed.data;
  throw refuseToken(`claim_${parsed.error.issues[0]?.path.join('.') || 'shape'}`);
}

/** Refuses a token that has ended or whose time has not come (RFC 7519, sections 4.1.4 to 4.1.6). */
export function checkTimes(
  { exp, nbf, iat }: { exp: number; nbf?: number | undefined; iat?: number | undefined },
  now: Date,
): void {
  const nowSeconds = now.getTime() / 1000;
  const latest = nowSeconds + SKEW_SECONDS;
  if (!(nowSeconds < exp + SKEW_SECONDS)) throw refuseToken('expired');
  if (nbf !== undefined && !(nbf <= latest)) throw refuseToken('not_yet_valid');
  if (iat !== undefined && !(iat <= latest)) throw refuseToken('issued_in_the_future');
}
