import * as z from 'zod';
import { MAX_TOKEN_BYTES, refuseToken } from './bearer.ts';
import type { Payload } from './claims.ts';

/** Takes a compact JWS apart, strictly, before anything of it is believed. */

/** Header members that bring or point to a key, or change how the token is read (RFC 7515, section 4.1). */
const forbiddenHeaders = ['crit', 'jwk', 'jku', 'x5u', 'x5c', 'b64', 'zip', 'enc', 'cty'] as const;

const keyId = z.string().min(1).max(256);

/** Entra's header: RS256 alone, because its published keys do not say what they are for; a key named; `typ` JWT. */
export const entraHeader = z.looseObject({ alg: z.literal('RS256'), kid: keyId, typ: z.literal('JWT') });

/** Signature algorithms of OIDC issuers, all asymmetric; the published key says which of them is its own (RFC 7518). */
export const workloadAlgorithms = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
] as const;

/** An OIDC issuer's header; Kubernetes sends no `typ`. */
export const workloadHeader = z.looseObject({
  alg: z.enum(workloadAlgorithms),
  kid: keyId,
  typ: z.literal('JWT').optional(),
});

export interface TokenParts {
  header: Payload;
  payload: Payload;
}

/** Each part must be exactly what its bytes encode to, so that one token has one spelling (RFC 7515, section 2). */
function decodePart(part: string): Buffer {
  const bytes = Buffer.from(part, 'base64url');
  if (bytes.toString('base64url') !== part) throw refuseToken('non_canonical_encoding');
  return bytes;
}

function parseJson(bytes: Buffer, reason: string): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    throw refuseToken(reason);
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * The header and the claims of a token, neither verified yet.
 *
 * @throws BrokerError `invalid_token`, its `reason` saying which check failed
 */
export function readTokenParts(token: string): TokenParts {
  if (token.length > MAX_TOKEN_BYTES) throw refuseToken('token_too_long');
  const [headerPart = '', payloadPart = '', signaturePart = ''] = token.split('.');
  decodePart(signaturePart);
  const header = parseJson(decodePart(headerPart), 'header_not_json');
  const payload = parseJson(decodePart(payloadPart), 'payload_not_json');
  if (!isRecord(header) || !isRecord(payload)) throw refuseToken('not_an_object');
  for (const name of forbiddenHeaders) {
    if (Object.hasOwn(header, name)) throw refuseToken(`header_${name}`);
  }
  return { header, payload };
}

/** The `kid` of a header that is as this kind of issuer sends it. */
export function readKeyId(schema: typeof entraHeader | typeof workloadHeader, header: Payload): string {
  const parsed = schema.safeParse(header);
  if (parsed.success) return parsed.data.kid;
  throw refuseToken(`header_${parsed.error.issues[0]?.path.join('.') ?? 'shape'}`);
}
