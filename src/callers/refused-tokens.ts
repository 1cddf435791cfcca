import { createHash } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { addSeconds, type Clock } from '../clock.ts';
import { BrokerError } from '../errors.ts';
import { refuseToken } from './bearer.ts';
import type { VerifyCaller } from './verify.ts';

interface Refused {
  reason: string;
  until: Date;
}

/** A refused token is remembered this long: a client that repeats itself costs no signature check. */
const REMEMBERED_SECONDS = 60;
const MAX_REMEMBERED = 10_000;

/** What a moment may change: the issuer publishes another key, the token's time comes. */
const passing: readonly string[] = ['unknown_key', 'not_yet_valid', 'issued_in_the_future'];

/**
 * Makes a verifier that remembers, by its hash, which token was refused and why, for a minute; and forgets the oldest
 * first. It is made anew with each policy.
 *
 * Nothing limits how many different bad tokens may come: what such a limit could go by is the sender's own choice
 * (claims, addresses) or shared with good callers (keys, issuers). One signature check costs about as much as the rest
 * of its request.
 */
export function withRefusalsRemembered(verify: VerifyCaller, clock: Clock): VerifyCaller {
  const refused = new LRUCache<string, Refused>({ max: MAX_REMEMBERED });
  return async (token) => {
    const hash = createHash('sha256').update(token).digest('base64');
    const known = refused.get(hash);
    if (known !== undefined && clock() < known.until) throw refuseToken(known.reason);
    try {
      return await verify(token);
    } catch (error) {
      const reason = error instanceof BrokerError && error.code === 'invalid_token' ? error.reason : undefined;
      if (reason !== undefined && !passing.includes(reason)) {
        refused.set(hash, { reason, until: addSeconds(clock(), REMEMBERED_SECONDS) });
      }
      throw error;
    }
  };
}
