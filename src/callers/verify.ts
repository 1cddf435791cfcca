import { createHash } from 'node:crypto';
import { compactVerify, errors as joseErrors } from 'jose';
import { LRUCache } from 'lru-cache';
import { addSeconds, type Clock } from '../clock.ts';
import type { Issuer } from '../config/policy-schema.ts';
import { refuseToken } from './bearer.ts';
import type { Caller } from './caller.ts';
import { SKEW_SECONDS } from './claims.ts';
import type { KeyRing, KeySource, PublishedKeys } from './published-keys.ts';
import { readTokenParts } from './token-parts.ts';
import { createFindIssuer, type TenantIssuers, type TrustedIssuer } from './trusted-issuers.ts';

/** A verified token is remembered for at most this long. */
const REMEMBERED_SECONDS = 300;
const MAX_REMEMBERED = 10_000;

export interface VerifierOptions extends TenantIssuers {
  /** The issuers that the policy trusts, by name. */
  issuers: Readonly<Record<string, Issuer>>;
  keyRing: KeyRing;
  clock: Clock;
}

/** A caller token in, a verified caller out; see `createVerifier`. */
export type VerifyCaller = (token: string) => Promise<Caller>;

interface Remembered {
  caller: Caller;
  /** The published set that the token was verified with: when it changes, the token is verified again. */
  keys: PublishedKeys;
  keySource: KeySource;
  keyId: string;
  until: Date;
}

async function verifySignature(token: string, { algorithms }: TrustedIssuer, { keySet }: PublishedKeys): Promise<void> {
  try {
    await compactVerify(token, keySet, { algorithms: [...algorithms] });
  } catch (error) {
    if (error instanceof joseErrors.JWKSNoMatchingKey) throw refuseToken('unknown_key');
    if (error instanceof joseErrors.JWSSignatureVerificationFailed) throw refuseToken('signature');
    throw refuseToken('not_verifiable');
  }
}

/**
 * Makes the check of caller tokens: Entra v1 and v2 access tokens of the tenants that the policy trusts, and tokens of
 * its OIDC issuers.
 *
 * Cheap refusals come first (encoding, issuer, header), then the signature (jose, with the keys that this issuer
 * publishes, by the algorithm that is the key's own), and only then the claims, so that no unsigned claim decides
 * anything but whose keys to ask for. A verified token is remembered by its hash for at most 5 minutes, never past its
 * life, and forgotten when the published keys change.
 *
 * @throws BrokerError `invalid_token`, its `reason` saying which check failed; UpstreamError when the issuer's keys
 * cannot be had.
 */
export function createVerifier(options: VerifierOptions): VerifyCaller {
  const { keyRing, clock } = options;
  const findIssuer = createFindIssuer(options.issuers, options);
  const remembered = new LRUCache<string, Remembered>({ max: MAX_REMEMBERED });

  const recall = async (hash: string): Promise<Caller | undefined> => {
    const entry = remembered.get(hash);
    if (entry === undefined) return undefined;
    const now = clock();
    const alive = now < entry.until && now < addSeconds(entry.caller.expiresOn, SKEW_SECONDS);
    if (alive && (await keyRing(entry.keySource, entry.keyId)) === entry.keys) return entry.caller;
    remembered.delete(hash);
    return undefined;
  };

  return async (token) => {
    const hash = createHash('sha256').update(token).digest('base64');
    const known = await recall(hash);
    if (known !== undefined) return known;

    const { header, payload } = readTokenParts(token);
    const issuer = findIssuer(payload);
    const { keySource } = issuer;
    const keyId = issuer.readKeyId(header);
    const keys = await keyRing(keySource, keyId);
    if (!keys.keyIds.has(keyId)) throw refuseToken('unknown_key');
    await verifySignature(token, issuer, keys);
    const caller = issuer.readCaller(payload, clock());
    remembered.set(hash, { caller, keys, keySource, keyId, until: addSeconds(clock(), REMEMBERED_SECONDS) });
    return caller;
  };
}
