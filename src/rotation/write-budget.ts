import { addSeconds, type Clock, secondsBetween } from '../clock.ts';
import { UpstreamError } from '../errors.ts';
import type { Applications } from './ports.ts';

/** Who may write to Graph next. One for all rotations of a process. */
export interface WriteBudget {
  /** Takes one write; or says from when on there is one. */
  take(): Date | undefined;
  /** Graph asks for a pause: nobody writes before. */
  pauseUntil(instant: Date): void;
}

export interface WriteBudgetOptions {
  clock: Clock;
  /** Most writes in any window. */
  writes: number;
  windowSeconds: number;
}

/**
 * Four fifths of what Graph allows one application in one tenant: 3,000 writes in 150 s (Microsoft Graph throttling
 * limits, identity and access). The rest is left to others under the same identity.
 */
export const GRAPH_WRITES = { writes: 2400, windowSeconds: 150 } as const;

/** Counts in a sliding window, so that no window of this length ever sees more. */
export function createWriteBudget({ clock, writes, windowSeconds }: WriteBudgetOptions): WriteBudget {
  const taken: Date[] = [];
  let pausedUntil: Date | undefined;
  return {
    take() {
      const now = clock();
      if (pausedUntil !== undefined && now < pausedUntil) return pausedUntil;
      // Not before the window has gone by entirely: Graph counts at its own arrival times.
      while (taken[0] !== undefined && secondsBetween(taken[0], now) > windowSeconds) taken.shift();
      const [oldest] = taken;
      if (taken.length >= writes && oldest !== undefined) return addSeconds(oldest, windowSeconds + 1);
      taken.push(now);
      return undefined;
    },
    pauseUntil(instant) {
      if (pausedUntil === undefined || pausedUntil < instant) pausedUntil = instant;
    },
  };
}

/** Where Graph names no time. */
const PAUSE_SECONDS = 10;

/**
 * The same port; when Graph throttles a write (429), all writes pause for as long as it says. Two writes at once to one
 * application are that application's affair alone.
 */
export function pausingWrites(applications: Applications, budget: WriteBudget, clock: Clock): Applications {
  const pausing = async <T>(call: () => Promise<T>): Promise<T> => {
    try {
      return await call();
    } catch (error) {
      if (error instanceof UpstreamError && error.status === 429) {
        budget.pauseUntil(addSeconds(clock(), error.retryAfterSeconds ?? PAUSE_SECONDS));
      }
      throw error;
    }
  };
  return {
    read: (objectId) => applications.read(objectId),
    addPassword: (objectId, wanted) => pausing(() => applications.addPassword(objectId, wanted)),
    removePassword: (objectId, keyId) => pausing(() => applications.removePassword(objectId, keyId)),
  };
}
