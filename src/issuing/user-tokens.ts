import { LRUCache } from 'lru-cache';
import type { Caller } from '../callers/caller.ts';
import type { UserAssertion } from '../callers/user-assertion.ts';
import { addSeconds, type Clock } from '../clock.ts';
import { BrokerError } from '../errors.ts';
import { createSingleFlight } from '../freshness/single-flight.ts';
import { type AppToken, MIN_LEFT_SECONDS, type ObtainedToken, withRefreshBy } from './app-tokens.ts';
import type { LookAgain } from './second-look.ts';

/**
 * Asks Entra for a token in the name of a user, through an `onBehalfOf` identity, for exactly this scope. Implemented
 * beside the other Azure calls; fails with UpstreamError.
 */
export type ObtainForUser = (identity: string, scope: string, assertion: UserAssertion) => Promise<ObtainedToken>;

/** A token of the calling user's own access; see `createUserTokens`. */
export type GetUserToken = (identity: string, scope: string, caller: Caller) => Promise<AppToken>;

export interface UserTokensOptions {
  /** The names of the `onBehalfOf` identities. Any other name is refused. */
  identities: readonly string[];
  obtain: ObtainForUser;
  lookAgain: LookAgain;
  clock: Clock;
}

interface Held {
  token: AppToken;
  /** It answers nobody from here on: the user's own token has ended, or this one is about to. */
  until: Date;
}

const MAX_TOKENS = 1000;

/**
 * Keeps tokens obtained in users' names, in memory only. One answers nothing but the very assertion that it was obtained
 * with (by its SHA-256), the same identity and the same scope; it is not renewed ahead of time, and is dropped when it or
 * the user's own token ends. A user with a new token of their own, after a step-up for example, gets a new one.
 */
export function createUserTokens({ identities, obtain, lookAgain, clock }: UserTokensOptions): GetUserToken {
  const allowed = new Set(identities);
  const held = new LRUCache<string, Held>({ max: MAX_TOKENS });
  const oneRequest = createSingleFlight<AppToken>();

  const dropEnded = (now: Date): void => {
    for (const [key, { until }] of held.entries()) if (!(now < until)) held.delete(key);
  };

  return async (identity, scope, caller) => {
    const { assertion } = caller;
    if (!allowed.has(identity)) {
      throw new BrokerError('internal_error', { reason: `identity ${identity} does not act for users` });
    }
    if (caller.class !== 'user' || assertion === undefined) {
      throw new BrokerError('internal_error', { reason: `identity ${identity} acts for users only` });
    }
    const key = `${identity} ${scope} ${assertion.hash}`;
    const kept = held.get(key);
    if (kept !== undefined && clock() < kept.until) return kept.token;
    return oneRequest(key, async () => {
      const obtained = await obtain(identity, scope, assertion);
      lookAgain(identity, scope, obtained.accessToken, caller);
      const now = clock();
      const token = withRefreshBy(obtained, now);
      dropEnded(now);
      const ends = [addSeconds(token.expiresOn, -MIN_LEFT_SECONDS), caller.expiresOn];
      held.set(key, { token, until: new Date(Math.min(...ends.map((end) => end.getTime()))) });
      return token;
    });
  };
}
