import type { Tour } from './tour.ts';

/** One thing that the tour shows. */
export interface Step {
  name: string;
  /** Returns what it saw, without any secret; throws an `Error` that says what it saw instead. */
  run(tour: Tour): Promise<string>;
}

/** Whatever the steps wait for, the tour is over by then. */
const TOUR_MS = 170_000;

/** Runs the steps one after the other, one line for each. Later steps build on earlier ones, so the first failure ends the tour. */
export async function runTour(steps: readonly Step[], tour: Tour, print: (line: string) => void): Promise<boolean> {
  const width = Math.max(...steps.map(({ name }) => name.length));
  const { promise: overdue, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(`the tour took longer than ${TOUR_MS / 1000} s`)), TOUR_MS);
  try {
    for (const { name, run } of steps) {
      try {
        print(`ok    ${name.padEnd(width)}  ${await Promise.race([run(tour), overdue])}`);
      } catch (error) {
        print(`FAIL  ${name.padEnd(width)}  ${error instanceof Error ? error.message : error}`);
        return false;
      }
    }
  } finally {
    clearTimeout(timer);
  }
  print(`The tour is over: ${steps.length} of ${steps.length} steps saw what they should.`);
  return true;
}
