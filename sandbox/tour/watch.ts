import { setTimeout as sleep } from 'node:timers/promises';

/** Looks at something again and again beside the steps. */
export interface Watch {
  /** @throws the first thing that went wrong, if anything did */
  check(): void;
  /** Ends the watch. @returns how many looks there were, @throws as `check` */
  stop(): Promise<number>;
}

/** Looks every `everyMs`, until it is stopped or a look throws. */
export function startWatch(name: string, everyMs: number, look: () => Promise<void>): Watch {
  let looks = 0;
  let stopped = false;
  let failure: Error | undefined;
  const run = async () => {
    while (!stopped && failure === undefined) {
      try {
        await look();
        looks++;
      } catch (error) {
        failure = new Error(`${name}, look ${looks + 1}: ${error instanceof Error ? error.message : error}`);
      }
      await sleep(everyMs);
    }
  };
  const running = run();
  const check = () => {
    if (failure !== undefined) throw failure;
  };
  return {
    check,
    async stop() {
      stopped = true;
      await running;
      check();
      return looks;
    },
  };
}

interface UntilOptions {
  withinSeconds: number;
  everyMs: number;
  /** What was waited for, as in `did not happen within 10 s: the old secret is refused`; asked when the time is over. */
  what: () => string;
  watches?: readonly Watch[];
}

/** Tries until something other than undefined comes; what a watch saw go wrong ends it, too. */
export async function until<T>(options: UntilOptions, tryOnce: () => Promise<T | undefined>): Promise<T> {
  const { withinSeconds, everyMs, what, watches = [] } = options;
  const deadline = Date.now() + withinSeconds * 1000;
  for (;;) {
    for (const watch of watches) watch.check();
    const found = await tryOnce();
    if (found !== undefined) return found;
    if (Date.now() > deadline) throw new Error(`did not happen within ${withinSeconds} s: ${what()}`);
    await sleep(everyMs);
  }
}
