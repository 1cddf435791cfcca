import { createHash } from 'node:crypto';
import { compactVerify, errors as joseErrors } from 'jose';
import { LRUCache } from 'lru-cache';
import { addSeconds, type Clock } from '../clock.ts';
import type { Issuer } from '../config/policy-schema.ts';
import { refuseToken } from './bearer.ts';
import type { Caller } from './caller.ts';
import { type EntraClaims, entraClaims, entraHeader, forbiddenHeaders, idTokenClaims } from './claims.ts';
import type { KeyRing, PublishedKeys } from './published-keys.ts';

/** How far Entra's clock and ours may differ, on `nbf`, `iat` and `exp` alike. */
export const SKEW_SECONDS = 300;

/** A verified token is remembered for at most this long. */
const REMEMBERED_SECONDS = 300;
const MAX_REMEMBERED = 10_000;

export interface VerifierOptions {
  /** The issuers that the policy trusts, by name. */
  issuers: Readonly<Record<string, Issuer>>;
  issuerV1: (tenantId: string) => string;
  issuerV2: (tenantId: string) => string;
  keyRing: KeyRing;
  clock: Clock;
}

/** A caller token in, a verified caller out; see `createVerifier`. */
export type VerifyCaller = (token: string) => Promise<Caller>;

interface Trusted {
  name: string;
  tenantId: string;
  version: '1.0' | '2.0';
  audience: readonly string[];
}

interface Remembered {
  caller: Caller;
  /** The published set that the token was verified with: when it changes, the token is verified again. */
  keys: PublishedKeys;
  tenantId: string;
  keyId: string;
  until: Date;
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

function readParts(token: string): { keyId: string; payload: Record<string, unknown> } {
  const [headerPart = '', payloadPart = '', signaturePart = ''] = token.split('.');
  decodePart(signaturePart);
  const header = parseJson(decodePart(headerPart), 'header_not_json');
  const payload = parseJson(decodePart(payloadPart), 'payload_not_json');
  if (!isRecord(header) || !isRecord(payload)) throw refuseToken('not_an_object');
  for (const name of forbiddenHeaders) {
    if (Object.hasOwn(header, name)) throw refuseToken(`header_${name}`);
  }
  const parsed = entraHeader.safeParse(header);
  if (!parsed.success) throw refuseToken(`header_${parsed.error.issues[0]?.path.join('.') ?? 'shape'}`);
  return { keyId: parsed.data.kid, payload };
}

/**
 * Tells `user` from `app` as Microsoft's claims reference does: `scp` is there only for a user; an app-only token has
 * `idtyp: app`, or `sub` equal to `oid`. Whatever fits neither is refused.
 */
function classOf(claims: EntraClaims): Caller['class'] {
  if (claims.scp !== undefined) {
    if (claims.idtyp === 'app') throw refuseToken('class_contradicts_itself');
    return 'user';
  }
  if (claims.idtyp === 'app' || (claims.idtyp === undefined && claims.sub.toLowerCase() === claims.oid)) return 'app';
  throw refuseToken('neither_user_nor_app');
}

function checkTimes(claims: EntraClaims, now: Date): void {
  const at = (seconds: number) => new Date(seconds * 1000);
  const latest = addSeconds(now, SKEW_SECONDS);
  if (!(now < addSeconds(at(claims.exp), SKEW_SECONDS))) throw refuseToken('expired');
  if (!(at(claims.nbf) <= latest)) throw refuseToken('not_yet_valid');
  if (!(at(claims.iat) <= latest)) throw refuseToken('issued_in_the_future');
}

function checkClaims(payload: Record<string, unknown>, trusted: Trusted, now: Date): Caller {
  for (const name of idTokenClaims) {
    if (Object.hasOwn(payload, name)) throw refuseToken('id_token');
  }
  const parsed = entraClaims.safeParse(payload);
  if (!parsed.success) throw refuseToken(`claim_${parsed.error.issues[0]?.path.join('.') || 'shape'}`);
  const claims = parsed.data;
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

/**
 * Makes the check of caller tokens: Entra v1 and v2 access tokens of the tenants that the policy trusts.
 *
 * Cheap refusals come first (encoding, header, issuer), then the signature (jose, RS256 alone, with the keys that the
 * tenant publishes), and only then the claims, so that no unsigned claim decides anything but whose keys to ask for.
 * A verified token is remembered by its hash for at most 5 minutes, never past its life, and forgotten when the
 * published keys change.
 *
 * @throws BrokerError `invalid_token`, its `reason` saying which check failed; UpstreamError when the tenant's keys
 * cannot be had.
 */
export function createVerifier(options: VerifierOptions): VerifyCaller {
  const { keyRing, clock } = options;
  const trustedByIssuer = new Map<string, Trusted>();
  for (const [name, { entraTenant: tenantId, audience }] of Object.entries(options.issuers)) {
    trustedByIssuer.set(options.issuerV1(tenantId), { name, tenantId, audience, version: '1.0' });
    trustedByIssuer.set(options.issuerV2(tenantId), { name, tenantId, audience, version: '2.0' });
  }
  const remembered = new LRUCache<string, Remembered>({ max: MAX_REMEMBERED });

  const recall = async (hash: string): Promise<Caller | undefined> => {
    const entry = remembered.get(hash);
    if (entry === undefined) return undefined;
    const now = clock();
    const alive = now < entry.until && now < addSeconds(entry.caller.expiresOn, SKEW_SECONDS);
    if (alive && (await keyRing(entry.tenantId, entry.keyId)) === entry.keys) return entry.caller;
    remembered.delete(hash);
    return undefined;
  };

  const verifySignature = async (token: string, keys: PublishedKeys): Promise<void> => {
    try {
      await compactVerify(token, keys.keySet, { algorithms: ['RS256'] });
    } catch (error) {
      if (error instanceof joseErrors.JWKSNoMatchingKey) throw refuseToken('unknown_key');
      if (error instanceof joseErrors.JWSSignatureVerificationFailed) throw refuseToken('signature');
      throw refuseToken('not_verifiable');
    }
  };

  return async (token) => {
    const hash = createHash('sha256').update(token).digest('base64');
    const known = await recall(hash);
    if (known !== undefined) return known;

    const { keyId, payload } = readParts(token);
    const trusted = typeof payload.iss === 'string' ? trustedByIssuer.get(payload.iss) : undefined;
    if (trusted === undefined) throw refuseToken('issuer');
    const keys = await keyRing(trusted.tenantId, keyId);
    if (!keys.keyIds.has(keyId)) throw refuseToken('unknown_key');
    await verifySignature(token, keys);
    const caller = checkClaims(payload, trusted, clock());
    remembered.set(hash, {
      caller,
      keys,
      tenantId: trusted.tenantId,
      keyId,
      until: addSeconds(clock(), REMEMBERED_SECONDS),
    });
    return caller;
  };
}
