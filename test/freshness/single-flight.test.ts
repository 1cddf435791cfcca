import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createSingleFlight } from '../../src/freshness/single-flight.ts';
import { createDeferred, rejectionOf } from '../support/ports.ts';

describe('createSingleFlight', () => {
  it('lets all concurrent callers of a key share one run', async () => {
    const oneAtATime = createSingleFlight<object>();
    const gate = createDeferred();
    let runs = 0;
    const run = async () => {
      runs += 1;
      await gate.promise;
      return { run: runs };
    };
    const callers = Array.from({ length: 20 }, () => oneAtATime('key', run));
    gate.resolve();
    const [first, ...others] = await Promise.all(callers);
    expect(runs).toBe(1);
    for (const other of others) expect(other).toBe(first);
  });

  it('runs anew once the shared run has ended', async () => {
    const oneAtATime = createSingleFlight<number>();
    let runs = 0;
    const run = async () => ++runs;
    expect(await oneAtATime('key', run)).toBe(1);
    expect(await oneAtATime('key', run)).toBe(2);
  });

  it('keeps keys apart', async () => {
    const oneAtATime = createSingleFlight<string>();
    const results = await Promise.all(['a', 'b'].map((key) => oneAtATime(key, async () => `result of ${key}`)));
    expect(results).toEqual(['result of a', 'result of b']);
  });

  it('tells every caller of a failed run, and then forgets the failure', async () => {
    const oneAtATime = createSingleFlight<string>();
    const gate = createDeferred();
    const failing = async () => {
      await gate.promise;
      throw new Error('no');
    };
    const callers = [oneAtATime('key', failing), oneAtATime('key', failing)].map(rejectionOf);
    gate.resolve();
    const [first, second] = await Promise.all(callers);
    expect(first).toBeInstanceOf(Error);
    expect(second).toBe(first);
    expect(await oneAtATime('key', async () => 'better')).toBe('better');
  });

  it('never has two runs of one key at the same time, whatever the order in which things end', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.scheduler(),
        fc.array(fc.record({ key: fc.constantFrom('a', 'b'), fails: fc.boolean() }), { minLength: 1, maxLength: 12 }),
        async (scheduler, requests) => {
          const oneAtATime = createSingleFlight<string>();
          const running = new Map<string, number>();
          let most = 0;
          const ask = async ({ key, fails }: { key: string; fails: boolean }) => {
            await scheduler.schedule(Promise.resolve(), 'ask');
            return oneAtATime(key, async () => {
              const now = (running.get(key) ?? 0) + 1;
              running.set(key, now);
              most = Math.max(most, now);
              await scheduler.schedule(Promise.resolve(), 'work');
              running.set(key, now - 1);
              if (fails) throw new Error(key);
              return key;
            });
          };
          const asked = Promise.allSettled(requests.map(ask));
          await scheduler.waitFor(asked);
          for (const [index, outcome] of (await asked).entries()) {
            const key = requests[index]?.key;
            expect(outcome.status === 'fulfilled' ? outcome.value : outcome.reason.message).toBe(key);
          }
          expect(most).toBe(1);
        },
      ),
      { numRuns: 60 },
    );
  });
});
