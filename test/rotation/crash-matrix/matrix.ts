import type { findRemovals } from '../../../src/rotation/removable.ts';
import { noEvidence } from './course.ts';
import { type RunOptions, type RunResult, run } from './run.ts';
import { type Evidence, type Fault, faults, type Scenario, scenarios } from './scenarios.ts';

export interface MatrixOptions {
  seed: number;
  /** Only runs whose name (`scenario | fault | call N`) holds this text. */
  only: string | undefined;
  removalRule: typeof findRemovals | undefined;
  print: (line: string) => void;
}

export interface MatrixResult {
  /** Calls of the undisturbed runs: each is a point under every fault. */
  points: number;
  /** Points that only the longer runs of a fault have. */
  furtherPoints: number;
  runs: number;
  violations: number;
}

const MOST_SHOWN = 20;

const nameOf = ({ scenario, fault, point }: RunOptions) =>
  `${scenario.name} | ${fault.name} | ${point === undefined ? 'whole' : `call ${point}`}`;

/** Every scenario under every fault, stopped after every call; and once not stopped at all. */
export async function runMatrix({ seed, only, removalRule, print }: MatrixOptions): Promise<MatrixResult> {
  const result: MatrixResult = { points: 0, furtherPoints: 0, runs: 0, violations: 0 };
  const kinds = new Map<string, number>();

  const violate = (fault: Fault, reason: string, where: string) => {
    result.violations += 1;
    const kind = `${fault.name}: ${reason.replace(/\d+(\.\d+)?/g, '#')}`;
    kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
    if (result.violations <= MOST_SHOWN) print(`violation: ${where}: ${reason}; seed ${seed}`);
  };

  const tryOne = async (options: RunOptions): Promise<RunResult> => {
    const tried = await run(options);
    const { violation, pointCall, story } = tried;
    const name = nameOf(options);
    result.runs += 1;
    if (only !== undefined) print(`${name}\n${story.join('\n')}`);
    const missed = options.point !== undefined && pointCall === undefined;
    const where = `${name} (${pointCall ?? 'not stopped'})`;
    if (violation !== undefined) violate(options.fault, violation.reason, `${where} at ${violation.at.toISOString()}`);
    else if (missed) violate(options.fault, 'the crash point was never reached', where);
    return tried;
  };

  /** All points of one scenario under one fault. Gives how many there are beyond those of the undisturbed run. */
  const tryAll = async (scenario: Scenario, fault: Fault, calls: number): Promise<number> => {
    const options = { scenario, fault, seed, removalRule };
    const whole = await run({ ...options, point: undefined });
    const last = Math.max(calls, whole.calls);
    const found = noEvidence();
    let complete = true;
    for (const point of [undefined, ...Array.from({ length: last }, (_, index) => index + 1)]) {
      if (only !== undefined && !nameOf({ ...options, point }).includes(only)) complete = false;
      else add(found, (await tryOne({ ...options, point })).evidence);
    }
    const absent = complete
      ? fault.shows.filter((name) => found[name] === 0 && !(scenario.addsNone && name === 'lateRefusals'))
      : [];
    for (const name of absent)
      violate(fault, `the fault was not in force: no ${name}`, `${scenario.name} | ${fault.name}`);
    add(evidence.get(fault) ?? noEvidence(), found);
    return last - calls;
  };

  const evidence = new Map(faults.map((fault) => [fault, noEvidence()]));
  for (const scenario of scenarios) {
    const { calls } = await run({ scenario, fault: faults[0], point: undefined, seed, removalRule });
    result.points += calls;
    for (const fault of faults) result.furtherPoints += await tryAll(scenario, fault, calls);
    if (only === undefined) print(`${scenario.name}: ${calls} calls, ${result.runs} runs so far`);
  }
  for (const [{ name, shows }, found] of only === undefined ? evidence : []) {
    print(`in force: ${name}: ${shows.map((shown) => `${found[shown]} ${shown}`).join(', ')}`);
  }
  for (const [kind, times] of kinds) print(`${times} times ${kind}`);
  return result;
}

function add(sum: Evidence, more: Evidence): void {
  sum.crashes += more.crashes;
  sum.lostAnswers += more.lostAnswers;
  sum.staleReads += more.staleReads;
  sum.lateRefusals += more.lateRefusals;
  sum.throttled += more.throttled;
  sum.interleaved += more.interleaved;
  sum.conflicts += more.conflicts;
  sum.frozen += more.frozen;
  sum.lateTexts += more.lateTexts;
  sum.lostRecords += more.lostRecords;
  sum.removedByHand += more.removedByHand;
}
