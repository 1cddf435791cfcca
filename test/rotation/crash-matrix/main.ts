import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';
import { findRemovals } from '../../../src/rotation/removable.ts';
import { type RunOptions, type RunResult, run } from './run.ts';
import { faults, scenarios } from './scenarios.ts';

/**
 * `npm run crash-matrix`: stops a rotation after every awaited call, under every fault, and lets consumers sign in at
 * every moment. `--seed N` repeats a matrix, `--self-check` weakens the removal rule and must find violations,
 * `--only TEXT` runs the runs whose name (`scenario | fault | call N`) holds the text and tells their story.
 */

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    only: { type: 'string' },
    'self-check': { type: 'boolean', default: false },
  },
});

const seed = values.seed === undefined ? randomInt(2 ** 31) : Number(values.seed);
if (!Number.isSafeInteger(seed)) throw new Error('--seed takes a whole number: the one that an earlier run printed.');

/** Without the pending check: as if there were no pending secret to look at. */
const weakened: typeof findRemovals = (facts, limits) =>
  findRemovals({ ...facts, pending: { kind: 'not_found' } }, limits);
const rule = values['self-check'] ? { removalRule: weakened } : {};

const MOST_SHOWN = 20;
let runs = 0;
let found = 0;
const kinds = new Map<string, number>();

const nameOf = ({ scenario, fault, point }: RunOptions) =>
  `${scenario.name} | ${fault.name} | ${point === undefined ? 'whole' : `call ${point}`}`;

async function tryOne(options: RunOptions): Promise<RunResult | undefined> {
  const name = nameOf(options);
  if (values.only !== undefined && !name.includes(values.only)) return undefined;
  const result = await run(options);
  runs += 1;
  const { violation, pointCall, story } = result;
  const missed = options.point !== undefined && pointCall === undefined && violation === undefined;
  const reason = missed ? 'the crash point was never reached' : violation?.reason;
  if (values.only !== undefined) console.log(`${name}\n${story.join('\n')}`);
  if (reason === undefined) return result;
  found += 1;
  const kind = `${options.fault.name}: ${reason.replace(/\d+(\.\d+)?/g, '#')}`;
  kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
  if (found <= MOST_SHOWN) {
    const at = violation?.at ?? result.endedAt;
    console.log(`violation: ${name} (${pointCall ?? 'not stopped'}): ${reason}; at ${at.toISOString()}, seed ${seed}`);
  }
  return result;
}

console.log(`seed ${seed}`);
let points = 0;
let more = 0;
for (const scenario of scenarios) {
  if (process.env.S !== undefined && scenario.name !== process.env.S) continue;
  const first = await run({ scenario, fault: { ...(faults[0] ?? fail()) }, point: undefined, seed, ...rule });
  points += first.calls;
  for (const fault of faults) {
    const whole = await run({ scenario, fault, point: undefined, seed, ...rule });
    await tryOne({ scenario, fault, point: undefined, seed, ...rule });
    // The longer runs of some faults have points of their own.
    const last = Math.max(first.calls, whole.calls);
    more += last - first.calls;
    for (let point = 1; point <= last; point++) await tryOne({ scenario, fault, point, seed, ...rule });
  }
  console.log(`${scenario.name}: ${first.calls} calls, ${runs} runs so far, ${found} violations`);
}

function fail(): never {
  throw new Error('there are no faults');
}

for (const [kind, times] of kinds) console.log(`${times} times ${kind}`);
console.log(`${runs} runs; ${more} further points in the longer runs of faults`);
console.log(`${points} crash points × ${faults.length} faults: ${found} violations`);
process.exitCode = values['self-check'] === found > 0 ? 0 : 1;
