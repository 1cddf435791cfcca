import { addSeconds, type Clock } from '../../src/clock.ts';

export interface MovableClock {
  clock: Clock;
  /** Moves the time ahead; fractions of a second are fine. */
  advance(seconds: number): void;
  /** The instant that is so many seconds from now. */
  in(seconds: number): Date;
}

/** A clock that stands still until it is moved. */
export function createMovableClock(start = new Date('2026-11-22T10:00:00.000Z')): MovableClock {
  let now = start;
  return {
    clock: () => now,
    advance(seconds) {
      now = addSeconds(now, seconds);
    },
    in: (seconds) => addSeconds(now, seconds),
  };
}
