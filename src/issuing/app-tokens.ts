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

/** A current token of an identity; see `createAppTokens`. */
export type GetAppToken = (identity: string, scope: string) => Promise<AppToken>;

const MAX_TOKENS = 1000;

/** A token with less than this left is not handed out, so that a caller can still use it. */
const MIN_LEFT_SECONDS = 30;

/** After a failed renewal ahead of time, the token in hand serves this long before the next try. */
const PAUSE_SECONDS = 30;

/**
 * Caches app tokens by (identity, exact scope), renews them from their refreshBy on, one request in flight. When a
 * renewal ahead of time fails, the token in hand serves on. `fetch` and `issue` identities get a cache each, so that
 * neither can be used for the other's work.
 */
export function createAppTokens({ identities, obtain, clock, log }: AppTokensOptions): GetAppToken {
  const allowed = new Set(identities);
  const held = new LRUCache<string, AppToken>({ max: MAX_TOKENS });
  const oneRequest = createSingleFlight<AppToken>();

  const withRefreshBy = ({ accessToken, expiresOn, refreshBy }: ObtainedToken): AppToken => {
    const now = clock();
    const left = secondsBetween(now, expiresOn);
    if (left <= 0) throw new BrokerError('unexpected_upstream_answer', { reason: 'app_token_already_expired' });
    // A platform cache may answer with the same old token; the middle of what is left keeps refreshBy ahead of now.
    const usable = refreshBy !== undefined && refreshBy > now && refreshBy < expiresOn;
    return { accessToken, expiresOn, refreshBy: usable ? refreshBy : addSeconds(now, left / 2) };
  };

  const renew = (key: string, identity: string, scope: string, current: AppToken | undefined): Promise<AppToken> =>
    oneRequest(key, async () => {
      try {
        const token = withRefreshBy(await obtain(identity, scope));
        held.set(key, token);
        return token;
      } catch (error) {
        if (current === undefined) throw error;
        log.warn('app_token_not_renewed', { identity, error: nameError(error) });
        const left = secondsBetween(clock(), current.expiresOn) - MIN_LEFT_SECONDS;
        if (left <= 0) throw error;
        const kept = { ...current, refreshBy: addSeconds(clock(), Math.min(PAUSE_SECONDS, left)) };
        held.set(key, kept);
        return kept;
      }
    });

  return async (identity, scope) => {
    if (!allowed.has(identity)) {
      throw new BrokerError('internal_error', { reason: `identity ${identity} is not for this use` });
    }
    const key = `${identity} ${scope}`;
    const token = held.get(key);
    const now = clock();
    const usable = token !== undefined && addSeconds(now, MIN_LEFT_SECONDS) < token.expiresOn ? token : undefined;
    return usable !== undefined && now < usable.refreshBy ? usable : renew(key, identity, scope, usable);
  };
}
