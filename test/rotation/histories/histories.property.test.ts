import fc from 'fast-check';
import { expect, it } from 'vitest';
import { histories } from './acts.ts';
import { live } from './live.ts';

/** `HISTORIES_SEED=n` repeats a run. */
const seed = process.env.HISTORIES_SEED === undefined ? Date.now() % 2 ** 31 : Number(process.env.HISTORIES_SEED);

it('R1 to R5 hold through random histories of hands, clock jumps and faults, and all is settled a quiet time later', async () => {
  console.info(`HISTORIES_SEED=${seed}`);
  await fc.assert(
    fc.asyncProperty(histories, fc.integer({ min: 0, max: 2 ** 31 - 1 }), async (history, worldSeed) => {
      expect(await live(history, worldSeed)).toEqual([]);
    }),
    { numRuns: 150, seed },
  );
}, 120_000);
