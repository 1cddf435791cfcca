import { addSeconds, secondsBetween } from '../../../src/clock.ts';
import { proofComplete } from '../../../src/rotation/proof.ts';
import type { findRemovals } from '../../../src/rotation/removable.ts';
import { openRequest } from '../../../src/rotation/runs.ts';
import { pendingName } from '../../../src/rotation/take-step.ts';
import type { Turn } from './calls.ts';
import { checkSettled, hasRotated, ownPasswords, signInEverywhere } from './consumers.ts';
import { type Course, createCourse, lastEventAt, type Violation } from './course.ts';
import { planEvents } from './disturb.ts';
import { createStart } from './rotator.ts';
import type { Evidence, Fault, Scenario } from './scenarios.ts';
import { START } from './start-world.ts';

export interface RunOptions {
  scenario: Scenario;
  fault: Fault;
  /** The number of the call after which the rotator is stopped; undefined: it never is. */
  point: number | undefined;
  seed: number;
  removalRule: typeof findRemovals | undefined;
}

export interface RunResult {
  /** Calls until the end. */
  calls: number;
  /** The call at the point; undefined where the run ended before. */
  pointCall: string | undefined;
  violation: Violation | undefined;
  evidence: Evidence;
  /** What happened, for a person: one line a call that changes something. */
  story: readonly string[];
}

const MARGIN_SECONDS = 4;
const LONGEST_RUN_SECONDS = 24 * 3600;
const TICK_SECONDS = 60;

/** One rotation from its start to settled, stopped once at `point`. The same options give the same result. */
export async function run({ scenario, fault, point, seed, removalRule }: RunOptions): Promise<RunResult> {
  const course = createCourse(scenario, fault, point, seed);
  const { time } = course.world;
  const { moved, settled, ...judge } = createJudge(course);
  const start = createStart(course, { removalRule, ...judge });
  start({ name: 'A', heldUp: false, first: START });
  if (fault.secondRotator) {
    const { random } = course;
    // At the same instant, close behind, or anywhere in between.
    const offset = [0, random.between(0, 1), random.between(0, TICK_SECONDS)][random.below(3)] ?? 0;
    start({ name: 'B', heldUp: true, first: addSeconds(START, offset) });
  }
  planEvents(course);
  await time.run(moved, () => settled() || course.violation !== undefined);
  const { calls, pointCall, violation, evidence, story } = course;
  return { calls, pointCall, violation, evidence, story };
}

/** Lets consumers sign in whenever something has moved, and looks at what is left once all has waited that must. */
function createJudge(course: Course) {
  const { world, scenario, point } = course;
  const { vault, records } = world;
  const { clock } = world.time;
  const { rotation, limits } = scenario;
  let proved: { keyId: string; at: Date } | undefined;
  let settled = false;

  const watchProof = () => {
    const keyId = vault.versions(rotation.name).at(-1)?.told.keyId;
    const complete = proofComplete(records.peek(rotation.name).proof, 'current', keyId, limits);
    if (!complete || keyId === undefined) proved = undefined;
    else if (proved?.keyId !== keyId) proved = { keyId, at: clock() };
  };

  /** When everything that may still have to wait has waited; undefined while something is under way. */
  const dueAt = (): Date | undefined => {
    const current = vault.versions(rotation.name).at(-1);
    const { attempt, runs } = records.peek(rotation.name);
    if (current === undefined || proved === undefined || !hasRotated(course)) return undefined;
    // A rotator that was frozen has brought another password after all: that one comes next.
    if (vault.versions(pendingName(rotation.name)).at(-1)?.told.keyId !== current.told.keyId) return undefined;
    if (openRequest(runs) !== undefined || clock() <= lastEventAt(course)) return undefined;
    if (point !== undefined && course.pointCall === undefined) return undefined;
    const compromised = attempt?.why === 'compromised' && attempt.rotationId === current.told.rotationId;
    const times = [
      proved.at,
      addSeconds(current.writtenAt, compromised ? 0 : rotation.overlapSeconds),
      ...ownPasswords(course).map(({ startsOn }) => addSeconds(startsOn, limits.orphanGraceSeconds)),
    ];
    return addSeconds(new Date(Math.max(...times.map((instant) => instant.getTime()))), MARGIN_SECONDS);
  };

  return {
    dueAt,
    settled: () => settled,
    moved() {
      course.violate(signInEverywhere(course));
      watchProof();
      if (secondsBetween(START, clock()) > LONGEST_RUN_SECONDS) course.violate('it never settled');
    },
    /** The first look after the grace must leave nothing to do. */
    over({ from, dueAt, clean, looked }: Turn) {
      if (!clean || !looked || dueAt === undefined || from < dueAt) return;
      const reason = records.peek(rotation.name).status?.reason;
      const wrong = checkSettled(course);
      if (wrong !== undefined) course.violate(`${wrong} (the look said ${reason})`);
      else if (reason !== 'settled') course.violate(`the first look after the grace says ${reason}`);
      settled = true;
    },
  };
}
