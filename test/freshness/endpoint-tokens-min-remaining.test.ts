import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { secondsBetween } from '../../src/clock.ts';
import { upstream } from '../support/builders.ts';
import { createDeferred, rejectionOf, settle } from '../support/ports.ts';
import { endpoint, from, setUp } from './endpoint-tokens-in-memory.ts';

/** Tokens live 3600 s: a quarter of their life is 900 s; they are to be refreshed after 1800 s anyway. */
const QUARTER = 900;

describe('a caller who wants more life than the token in hand has left', () => {
  it('brings the next one forward, once a quarter of the token’s life has passed', async () => {
    const { tokens, machineLearning, time } = setUp();
    await tokens.current(from, endpoint);
    time.advance(QUARTER);
    expect(await tokens.current(from, endpoint, 2701)).toEqual({ token: machineLearning.issued[1], stale: false });
    expect(await tokens.current(from, endpoint)).toEqual({ token: machineLearning.issued[1], stale: false });
  });

  it('does not within that quarter: it is served what there is', async () => {
    const { tokens, machineLearning, store, time } = setUp();
    const { token } = await tokens.current(from, endpoint, 7200);
    time.advance(QUARTER - 0.001);
    expect(await tokens.current(from, endpoint, 3600)).toEqual({ token, stale: false });
    expect(machineLearning.calls).toHaveLength(1);
    expect(store.calls).toEqual(['read', 'write']);
  });

  it('does not where the token in hand has enough left', async () => {
    const { tokens, machineLearning, time } = setUp();
    const { token } = await tokens.current(from, endpoint);
    time.advance(QUARTER);
    expect(await tokens.current(from, endpoint, 2700)).toEqual({ token, stale: false });
    expect(machineLearning.calls).toHaveLength(1);
  });

  it('P5: shares one upstream call with 99 others and with the timer', async () => {
    const { tokens, machineLearning, time } = setUp();
    await tokens.current(from, endpoint);
    time.advance(1600);
    const gate = createDeferred();
    machineLearning.before = () => gate.promise;
    const served = Promise.all([
      tokens.refreshIfDue(from, endpoint),
      ...Array.from({ length: 100 }, (_, index) => tokens.current(from, endpoint, 2100 + index)),
    ]);
    await settle();
    gate.resolve();
    await served;
    expect(machineLearning.calls).toHaveLength(2);
  });

  it('P5: finds what another instance brought forward, and what it obtained counts there too', async () => {
    const { tokens, start, machineLearning, time } = setUp();
    const other = start();
    await tokens.current(from, endpoint);
    await other.current(from, endpoint);
    time.advance(QUARTER);
    const { token } = await tokens.current(from, endpoint, 3600);
    expect(await other.current(from, endpoint, 3600)).toEqual({ token, stale: false });
    time.advance(QUARTER - 1);
    expect(await other.current(from, endpoint, 3600)).toEqual({ token, stale: false });
    expect(await start().current(from, endpoint, 3600)).toEqual({ token, stale: false });
    expect(machineLearning.calls).toHaveLength(2);
  });

  it.each([
    ['unavailable', undefined],
    ['throttled', 60],
  ] as const)(
    'is served the token in hand while Azure ML is %s, and asks again a quarter later only',
    async (kind, told) => {
      const { tokens, machineLearning, time } = setUp();
      const { token } = await tokens.current(from, endpoint);
      machineLearning.fault = upstream(kind, { retryAfterSeconds: told });
      time.advance(QUARTER / 2 + 450);
      for (let minute = 0; minute < 14; minute++) {
        expect(await tokens.current(from, endpoint, 3600)).toEqual({ token, stale: false });
        time.advance(60);
      }
      expect(machineLearning.calls).toHaveLength(2);
    },
  );

  it('hears a refusal, so that an endpoint that was deleted or changed is looked at again', async () => {
    const { tokens, machineLearning, time } = setUp();
    await tokens.current(from, endpoint);
    time.advance(QUARTER);
    machineLearning.fault = upstream('not_found');
    expect(await rejectionOf(tokens.current(from, endpoint, 3600))).toBe(machineLearning.fault);
  });

  it('costs at most one more call per quarter where Azure ML answers with the same token again', async () => {
    const { tokens, machineLearning, time } = setUp();
    const { token: first } = await tokens.current(from, endpoint);
    const end = first.expiresOn;
    machineLearning.refreshAfterSeconds = 3000;
    const before = machineLearning.calls.length;
    for (let elapsed = 0; elapsed < 2990; elapsed += 10) {
      time.advance(10);
      machineLearning.tokenSeconds = secondsBetween(time.clock(), end);
      await tokens.current(from, endpoint, 3600);
    }
    expect(machineLearning.calls.length - before).toBeLessThanOrEqual(3);
  });

  it('over any course of wishes and faults costs at most one call per quarter beyond the timely ones, for all callers', async () => {
    const course = fc.array(
      fc.record({
        waitSeconds: fc.integer({ min: 0, max: 700 }),
        wishes: fc.array(fc.integer({ min: 0, max: 8000 }), { minLength: 1, maxLength: 4 }),
        fails: fc.boolean(),
      }),
      { minLength: 1, maxLength: 40 },
    );
    await fc.assert(
      fc.asyncProperty(course, async (steps) => {
        const { tokens, machineLearning, time } = setUp();
        await tokens.current(from, endpoint);
        let lastCall = time.clock();
        for (const { waitSeconds, wishes, fails } of steps) {
          time.advance(waitSeconds);
          machineLearning.fault = fails ? upstream('unavailable') : undefined;
          const held = machineLearning.issued.at(-1);
          const timely = held === undefined || time.clock() >= held.refreshBy;
          const before = machineLearning.calls.length;
          await Promise.allSettled(wishes.map((wish) => tokens.current(from, endpoint, wish)));
          const calls = machineLearning.calls.length - before;
          expect(calls).toBeLessThanOrEqual(1);
          if (calls === 1 && !timely) expect(secondsBetween(lastCall, time.clock())).toBeGreaterThanOrEqual(QUARTER);
          if (calls === 1) lastCall = time.clock();
        }
      }),
      { numRuns: 200 },
    );
  });
});
