import { addSeconds } from '../../../src/clock.ts';
import { UpstreamError } from '../../../src/errors.ts';
import type { Log } from '../../../src/log.ts';
import type { findRemovals } from '../../../src/rotation/removable.ts';
import { createRound } from '../../../src/rotation/round.ts';
import { createWriteBudget, GRAPH_WRITES, pausingWrites } from '../../../src/rotation/write-budget.ts';
import { aroundCalls } from './around-calls.ts';
import { createAround, type Turn } from './calls.ts';
import type { Course } from './course.ts';
import { portsOf } from './disturb.ts';

const TICK_SECONDS = 60;
/** A round that takes longer ends by itself. */
const ROUND_SECONDS = 50;
/** A rotation at rest is looked at again after this long. */
const LOOK_SECONDS = 300;

export interface Rotator {
  name: string;
  heldUp: boolean;
  /** Its first round. */
  first: Date;
}

export interface RotatorsOptions {
  removalRule: typeof findRemovals | undefined;
  /** Asked as a round begins. */
  dueAt: () => Date | undefined;
  /** Told of each round that came to its end. */
  over: (turn: Turn) => void;
}

/** Failures of Azure are what a rotator lives with; anything else is a fault of its own. */
const logOf = (course: Course): Log => {
  const check = (_event: string, { error }: { error?: unknown } = {}) => {
    if (typeof error === 'string' && /Error\b/.test(error)) course.violate(`the loop threw ${error}`);
  };
  return { info: check, warn: check, error: check };
};

/** Lets a rotator go: a timer whose rounds are the real ones. */
export function createStart(course: Course, { removalRule, dueAt, over }: RotatorsOptions): (rotator: Rotator) => void {
  const { scenario, world } = course;
  const { clock, at } = world.time;
  const { rotation, limits } = scenario;
  const log = logOf(course);
  /** The rounds under way; a dead process leaves none. */
  const turns = new Map<string, Turn>();
  const around = createAround(course, turns);
  let ids = 0;

  const takeTurn = async (turn: Turn) => {
    turns.set(turn.rotator, turn);
    const budget = createWriteBudget({ clock, ...GRAPH_WRITES });
    const ports = aroundCalls(portsOf(course), around(turn));
    const round = createRound({
      rotations: [rotation],
      ports: { ...ports, applications: pausingWrites(ports.applications, budget, clock) },
      limits,
      budget,
      clock,
      newId: () => `r${++ids}`,
      log,
      lookSeconds: LOOK_SECONDS,
      atOnce: 1,
      ...(removalRule === undefined ? {} : { removalRule }),
    });
    try {
      await round(addSeconds(turn.from, ROUND_SECONDS));
      over(turn);
    } catch (error) {
      if (!(error instanceof UpstreamError)) course.violate(`the round threw ${String(error)}`);
    }
    if (turns.get(turn.rotator) === turn) turns.delete(turn.rotator);
  };

  return ({ name, heldUp, first }) => {
    const next = (instant: Date) =>
      at(instant, () => {
        next(addSeconds(instant, TICK_SECONDS));
        // As the host does: a tick that comes while a round is under way is left out.
        if (turns.has(name) || clock() < course.pausedUntil) return;
        const turn = { rotator: name, heldUp, from: clock(), dueAt: dueAt(), clean: true, looked: false };
        void takeTurn({ ...turn, overtaken: false });
      });
    next(first);
  };
}
