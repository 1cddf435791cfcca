import { LRUCache } from 'lru-cache';
import { type Clock, secondsBetween } from '../clock.ts';
import { BrokerError } from '../errors.ts';
import type { VerifyCaller } from './verify.ts';

export interface RateLimitOptions {
  /** A caller may use them at once, and gets them back evenly over a minute. */
  requestsPerMinute: number;
  clock: Clock;
}

/** Counts one request of a caller. @throws BrokerError `rate_limited` with the seconds until the next one is free */
export type CountRequest = (caller: { issuer: string; subject: string }) => void;

interface Bucket {
  /** Requests that are free. */
  free: number;
  at: Date;
}

/** A caller who was forgotten begins anew: only somebody with very many identities can bring that about. */
const MAX_CALLERS = 10_000;

/** A token bucket for each caller (issuer and subject), in this instance alone. */
export function createRateLimit({ requestsPerMinute, clock }: RateLimitOptions): CountRequest {
  const buckets = new LRUCache<string, Bucket>({ max: MAX_CALLERS });
  const perSecond = requestsPerMinute / 60;
  return ({ issuer, subject }) => {
    const now = clock();
    // An issuer's name has no blank in it, so no two pairs make one key.
    const key = `${issuer} ${subject}`;
    const { free: before, at } = buckets.get(key) ?? { free: requestsPerMinute, at: now };
    // A clock that was set back gives nothing and takes nothing.
    const gained = Math.max(0, secondsBetween(at, now)) * perSecond;
    const free = Math.min(requestsPerMinute, before + gained);
    if (free < 1) {
      buckets.set(key, { free, at: now });
      throw new BrokerError('rate_limited', {
        reason: 'caller_rate',
        retryAfterSeconds: Math.max(1, Math.ceil((1 - free) / perSecond)),
      });
    }
    buckets.set(key, { free: free - 1, at: now });
  };
}

/** Makes a verifier that counts each verified request: a stranger cannot use up what belongs to a caller. */
export function withRateLimit(verify: VerifyCaller, count: CountRequest): VerifyCaller {
  return async (token) => {
    const caller = await verify(token);
    count(caller);
    return caller;
  };
}
