import type { Clock } from '../../../src/clock.ts';

/** One clock for a whole world. Nothing waits for real: the clock jumps to the next thing that is planned. */
export interface VirtualTime {
  clock: Clock;
  /** Resolves when the clock has moved on by so many milliseconds. */
  sleep(ms: number): Promise<void>;
  /** Plans `job` for an instant; one in the past happens next. */
  at(instant: Date, job: () => void): void;
  /**
   * Moves from one planned thing to the next until `done` says so or nothing is planned. After each, everything that it
   * set off has come to rest (waits for the clock again) before `moved` is called.
   */
  run(moved: () => void, done: () => boolean): Promise<void>;
}

interface Planned {
  ms: number;
  job: () => void;
}

/** Resolves when no promise has anything left to do: Node takes the tick queue up once its microtasks are done. */
const quiet = (): Promise<void> => new Promise((resolve) => process.nextTick(resolve));

/** A world's clock, standing at `start`. Things planned for the same instant happen in the order of their planning. */
export function createVirtualTime(start: Date): VirtualTime {
  let nowMs = start.getTime();
  const queue: Planned[] = [];

  const plan = (ms: number, job: () => void) => {
    let place = queue.length;
    for (; place > 0; place--) {
      const before = queue[place - 1];
      // The soonest is last, where taking it costs nothing.
      if (before === undefined || before.ms > ms) break;
    }
    queue.splice(place, 0, { ms, job });
  };

  return {
    clock: () => new Date(nowMs),
    sleep: (ms) => new Promise((resolve) => plan(nowMs + ms, resolve)),
    at: (instant, job) => plan(instant.getTime(), job),
    async run(moved, done) {
      while (!done()) {
        const next = queue.pop();
        if (next === undefined) return;
        nowMs = Math.max(nowMs, next.ms);
        next.job();
        await quiet();
        moved();
      }
    },
  };
}
