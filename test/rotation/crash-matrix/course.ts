import { addSeconds, secondsBetween } from '../../../src/clock.ts';
import { createRandom, mixSeed, type Random } from '../in-memory/random.ts';
import { checkAdded, checkRemoved } from './consumers.ts';
import type { Evidence, Fault, Scenario } from './scenarios.ts';
import { START, type StartedWorld, startWorld } from './start-world.ts';

export interface Violation {
  reason: string;
  at: Date;
}

/** One run as it goes: its world, and what everybody who takes part in it must know of the others. */
export interface Course extends StartedWorld {
  readonly scenario: Scenario;
  readonly fault: Fault;
  /** The number of the call after which the rotator is stopped; undefined: it never is. */
  readonly point: number | undefined;
  readonly random: Random;
  readonly evidence: Evidence;
  /** What happened, for a person: one line a call that changes something. */
  readonly story: string[];
  /** Calls so far, of all rotators. */
  calls: number;
  /** The call at the point; undefined while it has not come. */
  pointCall: string | undefined;
  /** No timer fires before. */
  pausedUntil: Date;
  violation: Violation | undefined;
  /** Notes the first reason that is given. */
  violate(reason: string | undefined): void;
  tell(text: string): void;
}

export const noEvidence = (): Evidence => ({
  crashes: 0,
  lostAnswers: 0,
  staleReads: 0,
  lateRefusals: 0,
  throttled: 0,
  interleaved: 0,
  conflicts: 0,
  frozen: 0,
  lateTexts: 0,
  lostRecords: 0,
  removedByHand: 0,
});

/** A run at its first moment. All that is random in it comes from the seed and its name. */
export function createCourse(scenario: Scenario, fault: Fault, point: number | undefined, seed: number): Course {
  const random = createRandom(mixSeed(seed, scenario.name, fault.name, point ?? 'whole'));
  const started = startWorld(scenario, fault, random, {
    onAdded: () => course.violate(checkAdded(course)),
    onRemoved: (password) => course.violate(checkRemoved(course, password)),
  });
  const { clock } = started.world.time;
  const course: Course = {
    ...started,
    scenario,
    fault,
    point,
    random,
    evidence: noEvidence(),
    story: [],
    calls: 0,
    pointCall: undefined,
    pausedUntil: START,
    violation: undefined,
    violate(reason) {
      if (reason !== undefined) course.violation ??= { reason, at: clock() };
    },
    tell: (text) => void course.story.push(`${secondsBetween(START, clock()).toFixed(1).padStart(8)} s  ${text}`),
  };
  return course;
}

/** The last thing that a person does in the scenario. */
export const lastEventAt = ({ scenario }: { scenario: Scenario }): Date =>
  addSeconds(START, Math.max(0, ...scenario.events.map(({ afterSeconds }) => afterSeconds)));
