import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { secondsBetween } from '../../src/clock.ts';
import { runKeyWorld, type WorldEvent } from './key-world.ts';

const QUIET_FROM_SECONDS = 6 * 3600;

const at = fc.integer({ min: 0, max: QUIET_FROM_SECONDS });
const event: fc.Arbitrary<WorldEvent> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      atSeconds: at,
      do: fc.constant('request' as const),
      reason: fc.constantFrom('requested' as const, 'requested' as const, 'compromised' as const),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      atSeconds: at,
      do: fc.constant('crash' as const),
      rotator: fc.constantFrom(0 as const, 1 as const),
      afterCalls: fc.nat({ max: 12 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      atSeconds: at,
      do: fc.constant('lose_answers' as const),
      times: fc.integer({ min: 1, max: 6 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      atSeconds: at,
      do: fc.constant('outage' as const),
      of: fc.constantFrom('machine_learning' as const, 'records' as const),
      seconds: fc.constantFrom(20, 300, 4000),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      atSeconds: at,
      do: fc.constant('operations_take' as const),
      seconds: fc.constantFrom(0, 5, 25, 400, 5000),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      atSeconds: at,
      do: fc.constant('calls_are_late' as const),
      seconds: fc.constantFrom(0, 0, 12, 30),
    }),
  },
  { weight: 1, arbitrary: fc.record({ atSeconds: at, do: fc.constant('recreate' as const) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      atSeconds: at,
      do: fc.constant('terms' as const),
      index: fc.constantFrom(0 as const, 1 as const),
    }),
  },
);

describe('endpoint keys by turns', () => {
  it('R1, R2: whatever crashes, is late or is asked for, each key that was handed out works until its validUntil; in the end every run is done, and no compromised key works', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer(), fc.array(event, { maxLength: 25 }), async (seed, events) => {
        const { violations, record, now, handedOut } = await runKeyWorld(seed, events, QUIET_FROM_SECONDS);
        expect(violations).toEqual([]);
        expect(handedOut.length).toBeGreaterThan(50);
        expect(record.runs.filter(({ doneAt }) => doneAt === undefined)).toEqual([]);
        // The next turn may just have begun.
        expect(secondsBetween(record.regeneration?.begunAt ?? now, now)).toBeLessThan(120);
        const { since = new Date(0), rotateEverySeconds = 0 } = record.turn ?? {};
        expect(secondsBetween(since, now)).toBeLessThan(rotateEverySeconds + 600);
      }),
      { numRuns: 60 },
    );
  }, 120_000);
});
