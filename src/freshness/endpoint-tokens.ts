import { LRUCache } from 'lru-cache';
import { addSeconds, type Clock, secondsBetween } from '../clock.ts';
import { BrokerError, UpstreamError } from '../errors.ts';
import { type Log, nameError } from '../log.ts';
import type { FetchedWorkspace } from './fetched-workspaces.ts';
import type { Endpoint, EndpointToken, MachineLearning, StoredToken, TokenStore } from './ports.ts';
import { checkEndpointToken } from './second-look.ts';
import { createSingleFlight } from './single-flight.ts';

export interface ServedToken {
  token: EndpointToken;
  /** True: past its refreshBy, because Azure ML is out of reach; still valid. */
  stale: boolean;
}

export interface EndpointTokensOptions {
  machineLearning: MachineLearning;
  store: TokenStore;
  clock: Clock;
  log: Log;
  /** The next token is obtained at most this long before refreshBy. */
  refreshAheadSeconds: number;
}

export interface EndpointTokens {
  /**
   * A token before its refreshBy; or, while Azure ML is out of reach, one that is still valid, marked stale. Where it has
   * less than `minRemainingSeconds` left, the next one is obtained ahead of time, at most once per quarter of the
   * token’s life; what is served may still have less.
   */
  current(from: FetchedWorkspace, endpoint: Endpoint, minRemainingSeconds?: number): Promise<ServedToken>;
  /** Obtains the next token if it is time; true when a new one was obtained. */
  refreshIfDue(from: FetchedWorkspace, endpoint: Endpoint): Promise<boolean>;
  /** Drops what is held for an endpoint that is gone, or that no longer takes such tokens. */
  forget(from: FetchedWorkspace, endpoint: Endpoint): Promise<void>;
}

const MAX_TOKENS = 10_000;

interface Fetched {
  token: EndpointToken;
  /** Settles when the store has the token, or has failed to take it. Callers need not wait for it, the timer does. */
  stored: Promise<void>;
}

interface Pause {
  until: Date;
  error: UpstreamError;
}

/** After Azure ML could not be reached, an endpoint's token in hand serves this long before the next try. */
const PAUSE_SECONDS = 5;

/**
 * When the timer should obtain the next token: `refreshAheadSeconds` before refreshBy, but never before three quarters
 * of the way there, so that short-lived tokens are not fetched at every tick.
 */
export function refreshDueAt(token: EndpointToken, refreshAheadSeconds: number): Date {
  const quarter = secondsBetween(token.obtainedAt, token.refreshBy) / 4;
  return addSeconds(token.refreshBy, -Math.min(refreshAheadSeconds, Math.max(quarter, 0)));
}

/** A quarter of the token’s life, which began when it was obtained. */
const quarterSecondsOf = ({ obtainedAt, expiresOn }: EndpointToken): number =>
  secondsBetween(obtainedAt, expiresOn) / 4;

const fresh = (token: EndpointToken, now: Date): boolean => now < token.refreshBy && now < token.expiresOn;

/**
 * A refreshBy that has passed on arrival (our clock is ahead, or Azure repeats itself) would make every caller ask again;
 * the middle of what is left stands in for it.
 */
function withUsableRefreshBy(token: EndpointToken, now: Date): EndpointToken {
  const left = secondsBetween(now, token.expiresOn);
  if (left <= 0) throw new BrokerError('unexpected_upstream_answer', { reason: 'endpoint_token_already_expired' });
  return token.refreshBy > now ? token : { ...token, refreshBy: addSeconds(now, left / 2) };
}

/** The same end means the same token again: its life began when it came first. */
function withItsBeginning(token: EndpointToken, before: EndpointToken | undefined): EndpointToken {
  const same = before !== undefined && before.expiresOn.getTime() === token.expiresOn.getTime();
  return same ? { ...token, obtainedAt: before.obtainedAt } : token;
}

/** Of two tokens, the one to be refreshed later; a missing one never wins. */
function later(a: EndpointToken | undefined, b: EndpointToken | undefined): EndpointToken | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return b.refreshBy > a.refreshBy ? b : a;
}

/**
 * Keeps endpoint tokens: in memory, then in the shared store, then from Azure ML, in that order and one request at a
 * time for each endpoint. A token belongs to one incarnation of an endpoint (ARM id and creation) and one identity.
 */
export function createEndpointTokens(options: EndpointTokensOptions): EndpointTokens {
  const { machineLearning, store, clock, log, refreshAheadSeconds } = options;
  const memory = new LRUCache<string, EndpointToken>({ max: MAX_TOKENS });
  const pauses = new LRUCache<string, Pause>({ max: MAX_TOKENS });
  /** When a caller’s wish for more life may next bring a refresh forward, where one did already. */
  const nextWishes = new LRUCache<string, Date>({ max: MAX_TOKENS });
  const oneLookUp = createSingleFlight<ServedToken>();
  const oneWish = createSingleFlight<ServedToken>();
  const oneFetch = createSingleFlight<Fetched>();

  const keyOf = (from: FetchedWorkspace, { id, createdAt }: Endpoint) => `${id}|${createdAt}|${from.identity}`;
  const paused = (from: FetchedWorkspace, endpoint: Endpoint): boolean => {
    const pause = pauses.get(keyOf(from, endpoint));
    return pause !== undefined && clock() < pause.until;
  };

  /** While Azure ML said not to come back yet, asking again would only lengthen it. */
  const refuseWhileToldToWait = (from: FetchedWorkspace, endpoint: Endpoint): void => {
    const pause = pauses.get(keyOf(from, endpoint));
    if (pause?.error.retryAfterSeconds === undefined || clock() >= pause.until) return;
    const { service, kind, status, upstreamCode } = pause.error;
    const retryAfterSeconds = Math.ceil(secondsBetween(clock(), pause.until));
    throw new UpstreamError({ service, kind, status, upstreamCode, retryAfterSeconds });
  };

  const readStored = async (from: FetchedWorkspace, endpoint: Endpoint): Promise<EndpointToken | undefined> => {
    try {
      const stored = await store.read(endpoint.id, from.identity);
      return stored?.endpoint.createdAt === endpoint.createdAt ? stored.token : undefined;
    } catch (error) {
      log.warn('token_store_read_failed', { endpoint: endpoint.id, error: nameError(error) });
      return undefined;
    }
  };

  const writeStored = async (stored: StoredToken): Promise<void> => {
    try {
      await store.write(stored);
    } catch (error) {
      log.warn('token_store_write_failed', { endpoint: stored.endpoint.id, error: nameError(error) });
    }
  };

  const fetchNew = (from: FetchedWorkspace, endpoint: Endpoint): Promise<Fetched> =>
    oneFetch(keyOf(from, endpoint), async () => {
      const key = keyOf(from, endpoint);
      try {
        const answer = await machineLearning.getToken(from.workspace, endpoint.name);
        checkEndpointToken(answer.accessToken, endpoint.name);
        const token = withItsBeginning(withUsableRefreshBy(answer, clock()), memory.get(key));
        memory.set(key, token);
        pauses.delete(key);
        log.info('endpoint_token_obtained', {
          endpoint: endpoint.id,
          refreshBy: token.refreshBy.toISOString(),
          expiresOn: token.expiresOn.toISOString(),
        });
        return { token, stored: writeStored({ endpoint, identity: from.identity, token }) };
      } catch (error) {
        if (error instanceof UpstreamError && error.outOfReach) {
          const seconds = Math.max(PAUSE_SECONDS, error.retryAfterSeconds ?? 0);
          pauses.set(key, { until: addSeconds(clock(), seconds), error });
        }
        throw error;
      }
    });

  /** The newest of memory and store; the store is asked because another instance may have refreshed. */
  const newestHeld = async (from: FetchedWorkspace, endpoint: Endpoint): Promise<EndpointToken | undefined> => {
    const key = keyOf(from, endpoint);
    const stored = await readStored(from, endpoint);
    // Memory is read after the store: a fetch may have ended meanwhile, and an older row must not hide its token.
    const held = memory.get(key);
    const newest = later(held, stored);
    if (newest !== undefined && newest !== held) memory.set(key, newest);
    return newest;
  };

  const stillValid = (token: EndpointToken | undefined): ServedToken | undefined =>
    token !== undefined && clock() < token.expiresOn ? { token, stale: !fresh(token, clock()) } : undefined;

  const lookUp = (from: FetchedWorkspace, endpoint: Endpoint): Promise<ServedToken> =>
    oneLookUp(keyOf(from, endpoint), async () => {
      const held = await newestHeld(from, endpoint);
      if (held !== undefined && fresh(held, clock())) return { token: held, stale: false };
      const waiting = paused(from, endpoint) ? stillValid(held) : undefined;
      if (waiting !== undefined) return waiting;
      refuseWhileToldToWait(from, endpoint);
      try {
        return { token: (await fetchNew(from, endpoint)).token, stale: false };
      } catch (error) {
        const fallback = error instanceof UpstreamError && error.outOfReach ? stillValid(held) : undefined;
        if (fallback === undefined) throw error;
        log.warn('endpoint_token_stale', { endpoint: endpoint.id, error: nameError(error) });
        return fallback;
      }
    });

  const serve = async (from: FetchedWorkspace, endpoint: Endpoint): Promise<ServedToken> => {
    const held = memory.get(keyOf(from, endpoint));
    if (held !== undefined && fresh(held, clock())) return { token: held, stale: false };
    return lookUp(from, endpoint);
  };

  /** `obtainedAt` goes with the token into the store, so a quarter counts across instances. */
  const mayBringForward = (key: string, token: EndpointToken): boolean => {
    const now = clock();
    const next = nextWishes.get(key);
    return now >= addSeconds(token.obtainedAt, quarterSecondsOf(token)) && (next === undefined || now >= next);
  };

  /** The next token ahead of time; the one in hand where another instance was faster, or Azure ML is out of reach. */
  const bringForward = (from: FetchedWorkspace, endpoint: Endpoint, served: ServedToken): Promise<ServedToken> =>
    oneWish(keyOf(from, endpoint), async () => {
      const key = keyOf(from, endpoint);
      const newest = (await newestHeld(from, endpoint)) ?? served.token;
      if (!mayBringForward(key, newest) || paused(from, endpoint)) return stillValid(newest) ?? served;
      nextWishes.set(key, addSeconds(clock(), quarterSecondsOf(newest)));
      try {
        return { token: (await fetchNew(from, endpoint)).token, stale: false };
      } catch (error) {
        if (!(error instanceof UpstreamError && error.outOfReach)) throw error;
        log.warn('endpoint_token_not_brought_forward', { endpoint: endpoint.id, error: error.message });
        return served;
      }
    });

  return {
    async current(from, endpoint, minRemainingSeconds = 0) {
      const served = await serve(from, endpoint);
      const left = secondsBetween(clock(), served.token.expiresOn);
      if (left >= minRemainingSeconds || !mayBringForward(keyOf(from, endpoint), served.token)) return served;
      return bringForward(from, endpoint, served);
    },
    async refreshIfDue(from, endpoint) {
      const due = (token: EndpointToken | undefined) =>
        token === undefined || clock() >= refreshDueAt(token, refreshAheadSeconds);
      if (paused(from, endpoint) || !due(memory.get(keyOf(from, endpoint)))) return false;
      if (!due(await newestHeld(from, endpoint))) return false;
      await (await fetchNew(from, endpoint)).stored;
      return true;
    },
    async forget(from, endpoint) {
      memory.delete(keyOf(from, endpoint));
      try {
        await store.remove(endpoint.id, from.identity);
      } catch (error) {
        log.warn('token_store_remove_failed', { endpoint: endpoint.id, error: nameError(error) });
      }
    },
  };
}
