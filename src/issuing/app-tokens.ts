import { LRUCache } from 'lru-cache';
import { addSeconds, type Clock, secondsBetween } from '../clock.ts';
import { BrokerError } from '../errors.ts';
import { createSingleFlight } from '../freshness/single-flight.ts';
import { type Log, nameError } from '../log.ts';

/** An Entra token of one of the broker's identities. */
export interface AppToken {
  accessToken: string;
  /** When a new one should be asked for: what Azure says (`refresh_in`), else the middle of its life. */
  refreshBy: Date;
  expiresOn: Date;
  /** Past its own refreshBy, because the next one cannot be had now. */
  stale?: true;
}

/** What Entra (or the managed-identity endpoint) answered, before this cache gives it a refreshBy. */
export interface ObtainedToken {
  accessToken: string;
  expiresOn: Date;
  /** Absent where Azure gives none. */
  refreshBy: Date | undefined;
}

/**
 * Asks Azure for a token of an identity, by its name in the policy, for exactly this scope. Implemented beside the other
 * Azure calls; fails with UpstreamError.
 */
export type ObtainToken = (identity: string, scope: string) => Promise<ObtainedToken>;

export interface AppTokensOptions {
  /** The names that this cache may use: the identities of one `use`. Any other name is refused. */
  identities: readonly string[];
  obtain: ObtainToken;
  clock: Clock;
  log: Log;
}

/**
 * A current token of an identity; see `createAppTokens`. With `minRemainingSeconds` the next one is asked for ahead of
 * time where the one in hand has less left, at most once per quarter of its life; the answer may still have less.
 */
export type GetAppToken = (identity: string, scope: string, minRemainingSeconds?: number) => Promise<AppToken>;

/** A token in hand. */
interface Held {
  token: AppToken;
  /** A quarter of its life. */
  quarterSeconds: number;
  /** No caller’s wish brings the next one forward before this instant. */
  earliest: Date;
}

const MAX_TOKENS = 1000;

/** A token with less than this left is not handed out, so that a caller can still use it. */
export const MIN_LEFT_SECONDS = 30;

/** After a failed renewal ahead of time, the token in hand serves this long before the next try. */
const PAUSE_SECONDS = 30;

/**
 * Gives what Azure answered a time to ask for the next one.
 *
 * @throws BrokerError `unexpected_upstream_answer` for a token that has already expired
 */
export function withRefreshBy({ accessToken, expiresOn, refreshBy }: ObtainedToken, now: Date): AppToken {
  const left = secondsBetween(now, expiresOn);
  if (left <= 0) throw new BrokerError('unexpected_upstream_answer', { reason: 'app_token_already_expired' });
  // A platform cache may answer with the same old token; the middle of what is left keeps refreshBy ahead of now.
  const usable = refreshBy !== undefined && refreshBy > now && refreshBy < expiresOn;
  return { accessToken, expiresOn, refreshBy: usable ? refreshBy : addSeconds(now, left / 2) };
}

/**
 * Caches app tokens by (identity, exact scope), renews them from their refreshBy on, one request in flight. When a
 * renewal ahead of time fails, the token in hand serves on. `fetch` and `issue` identities get a cache each, so that
 * neither can be used for the other's work.
 */
export function createAppTokens({ identities, obtain, clock, log }: AppTokensOptions): GetAppToken {
  const allowed = new Set(identities);
  const held = new LRUCache<string, Held>({ max: MAX_TOKENS });
  const oneRequest = createSingleFlight<AppToken>();

  const hold = (key: string, token: AppToken): AppToken => {
    const now = clock();
    const before = held.get(key);
    // The same end means the same token again: its life began earlier.
    const isSame = before !== undefined && before.token.expiresOn.getTime() === token.expiresOn.getTime();
    const quarterSeconds = isSame ? before.quarterSeconds : secondsBetween(now, token.expiresOn) / 4;
    held.set(key, { token, quarterSeconds, earliest: addSeconds(now, quarterSeconds) });
    return token;
  };

  const renew = (key: string, identity: string, scope: string, current: AppToken | undefined): Promise<AppToken> =>
    oneRequest(key, async () => {
      try {
        return hold(key, withRefreshBy(await obtain(identity, scope), clock()));
      } catch (error) {
        if (current === undefined) throw error;
        log.warn('app_token_not_renewed', { identity, error: nameError(error) });
        const now = clock();
        const left = secondsBetween(now, current.expiresOn) - MIN_LEFT_SECONDS;
        if (left <= 0) throw error;
        if (now < current.refreshBy) return hold(key, current);
        return hold(key, { ...current, refreshBy: addSeconds(now, Math.min(PAUSE_SECONDS, left)), stale: true });
      }
    });

  return async (identity, scope, minRemainingSeconds = 0) => {
    if (!allowed.has(identity)) {
      throw new BrokerError('internal_error', { reason: `identity ${identity} is not for this use` });
    }
    const key = `${identity} ${scope}`;
    const { token, earliest } = held.get(key) ?? {};
    const now = clock();
    const usable = token !== undefined && addSeconds(now, MIN_LEFT_SECONDS) < token.expiresOn ? token : undefined;
    const isShort = usable !== undefined && secondsBetween(now, usable.expiresOn) < minRemainingSeconds;
    const early = isShort && earliest !== undefined && now >= earliest;
    return usable !== undefined && now < usable.refreshBy && !early ? usable : renew(key, identity, scope, usable);
  };
}
