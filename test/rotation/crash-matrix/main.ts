import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';
import { findRemovals } from '../../../src/rotation/removable.ts';
import { runSample } from './for-real/sample.ts';
import { runMatrix } from './matrix.ts';
import { faults } from './scenarios.ts';

/**
 * `npm run crash-matrix`: stops a rotation after every awaited call, under every fault, and lets consumers sign in at
 * every moment. Options: `--seed N` repeats a matrix; `--self-check` weakens the removal rule and must find violations;
 * `--only TEXT` tells the story of the runs whose name (`scenario | fault | call N`) holds the text; `--no-real` leaves
 * out the sample that runs for real.
 */

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    only: { type: 'string' },
    'self-check': { type: 'boolean', default: false },
    'no-real': { type: 'boolean', default: false },
  },
});

const seed = values.seed === undefined ? randomInt(2 ** 31) : Number(values.seed);
if (!Number.isSafeInteger(seed)) throw new Error('--seed takes a whole number: the one that an earlier run printed.');
const selfCheck = values['self-check'];

/** Without the pending check: as if there were no pending secret to look at. */
const weakened: typeof findRemovals = (facts, limits) =>
  findRemovals({ ...facts, pending: { kind: 'not_found' } }, limits);

const print = (line: string) => console.log(line);

print(`seed ${seed}`);
const removalRule = selfCheck ? weakened : undefined;
const { points, furtherPoints, runs, violations } = await runMatrix({ seed, only: values.only, removalRule, print });
print(`${runs} runs; ${furtherPoints} further points in the longer runs of faults`);
// The processes of the sample have the rule as it is; a story is told of the matrix only.
const real = !values['no-real'] && !selfCheck && values.only === undefined;
const sample = real ? await runSample(print) : { violations: 0 };
const all = violations + sample.violations;
if (selfCheck)
  print(all > 0 ? 'the weakened rule is found out' : 'the weakened rule is NOT found out: the matrix is blind');
print(`${points} crash points × ${faults.length} faults: ${all} violations`);
process.exitCode = selfCheck === all > 0 ? 0 : 1;
