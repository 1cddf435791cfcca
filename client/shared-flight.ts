import type { GetTokenOptions } from '@azure/core-auth';

/** The abort signal of the Azure SDKs: that of the platform, or one that looks like it. */
export type AbortSignalLike = NonNullable<GetTokenOptions['abortSignal']>;

const abortError = () => new DOMException('The request for a token was aborted by its caller.', 'AbortError');

/** Throws as an aborted `fetch` does. */
export function throwIfAborted(signal: AbortSignalLike | undefined): void {
  if (signal?.aborted) throw abortError();
}

interface Flight<T> {
  result: Promise<T>;
  waiting: number;
  abort(): void;
}

/**
 * Lets concurrent callers of one key share one run. A caller that aborts leaves at once and takes nothing from the
 * others; the run itself is aborted when nobody waits for it any more. A finished run, good or bad, is forgotten.
 */
export function createSharedFlights<T>() {
  const flights = new Map<string, Flight<T>>();

  const start = (key: string, run: (signal: AbortSignal) => Promise<T>): Flight<T> => {
    const controller = new AbortController();
    const forget = () => {
      if (flights.get(key) === flight) flights.delete(key);
    };
    const flight: Flight<T> = {
      result: run(controller.signal).finally(forget),
      waiting: 0,
      abort() {
        forget();
        controller.abort();
      },
    };
    // Whoever waited may have left: then nobody is told of the failure, and nobody needs to be.
    flight.result.catch(() => undefined);
    flights.set(key, flight);
    return flight;
  };

  return async (
    key: string,
    signal: AbortSignalLike | undefined,
    run: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> => {
    throwIfAborted(signal);
    const flight = flights.get(key) ?? start(key, run);
    flight.waiting += 1;
    const { promise: left, reject } = Promise.withResolvers<never>();
    const leave = () => {
      reject(abortError());
      flight.waiting -= 1;
      if (flight.waiting === 0) flight.abort();
    };
    signal?.addEventListener('abort', leave);
    try {
      return await Promise.race([flight.result, left]);
    } finally {
      signal?.removeEventListener('abort', leave);
    }
  };
}
