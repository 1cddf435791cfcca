import { UpstreamError } from '../../../src/errors.ts';
import type { AroundCalls } from './around-calls.ts';
import type { Course } from './course.ts';
import { createThrottle, strike } from './disturb.ts';

/** A call is under way no longer than this: the adapters' own time-out, and a little. */
const LONGEST_HOLD_SECONDS = 12;
const HOLD_CHANCE = 0.15;
/** The host ends a function after ten minutes. */
const LONGEST_ROUND_SECONDS = 590;

/** One round of one timer, as the others see it. */
export interface Turn {
  rotator: string;
  /** Its calls arrive late, and now and then it freezes until the host would end it. */
  heldUp: boolean;
  from: Date;
  /** When everything would have waited that must, as it stood when the round began; undefined: not in sight yet. */
  dueAt: Date | undefined;
  /** Every call was answered in time, and with what was true at its moment. */
  clean: boolean;
  /** It has looked at the rotation, not only at the list of records. */
  looked: boolean;
  /** Another has written since its last call. */
  overtaken: boolean;
}

const never = <T>(): Promise<T> => new Promise(() => {});

/** What a call came to, as a value. */
const settle = <T>(perform: () => Promise<T>): Promise<{ value: T; error?: undefined } | { error: unknown }> =>
  perform().then(
    (value) => ({ value }),
    (error: unknown) => ({ error }),
  );

/** What comes after a write of the record must not come late; least of all, after a promotion, the write to the secret. */
function freezeChance(name: string): number {
  if (name.includes('promoted')) return 0.5;
  return reads.test(name) ? 0.01 : 0.06;
}

const reads = /\.(read|look|list|readValue)\b/;

/**
 * Counts the calls of all rotators, gives each some time, lets the fault have its way with it, and stops the rotator at
 * the point: after the call is done, before anybody learns of its answer.
 *
 * @param turns the rounds under way; that of a rotator that dies is taken out
 */
export function createAround(course: Course, turns: Map<string, Turn>): (turn: Turn) => AroundCalls {
  const { fault, point, random, evidence, world } = course;
  const { clock, sleep } = world.time;
  const throttle = createThrottle(course);

  const note = (turn: Turn, name: string, error: unknown) => {
    throttle.note(name);
    if (turn.overtaken) evidence.interleaved += 1;
    turn.overtaken = false;
    if (name === 'applications.read') {
      turn.looked = true;
      if (world.graph.lastReadWasStale()) {
        turn.clean = false;
        evidence.staleReads += 1;
      }
    }
    const kind = error instanceof UpstreamError ? error.kind : undefined;
    if (kind === 'conflict') evidence.conflicts += 1;
    if (reads.test(name)) return;
    for (const other of turns.values()) if (other !== turn && kind === undefined) other.overtaken = true;
    course.tell(`${turn.rotator} ${name}${kind === undefined ? '' : ` ${kind}`}`);
  };

  const stop = (turn: Turn, name: string) => {
    course.pointCall = name;
    strike(course);
    course.tell(`${turn.rotator} ${fault.losesAnswer ? 'loses the answer of' : 'dies after'} ${name} (call ${point})`);
    if (fault.losesAnswer) evidence.lostAnswers += 1;
    else evidence.crashes += 1;
    if (!fault.losesAnswer) turns.delete(turn.rotator);
  };

  /** Before the call arrives. */
  const hold = async (turn: Turn) => {
    const held = turn.heldUp && random.next() < HOLD_CHANCE ? random.between(0, LONGEST_HOLD_SECONDS) : 0;
    if (held > 1) turn.clean = false;
    await sleep(held * 1000 + random.between(25, 100));
  };

  /** After its answer was sent. */
  const freeze = async (turn: Turn, name: string) => {
    const left = turn.from.getTime() + LONGEST_ROUND_SECONDS * 1000 - clock().getTime();
    if (!turn.heldUp || left <= 0 || random.next() >= freezeChance(name)) return;
    turn.clean = false;
    evidence.frozen += 1;
    if (name === 'applications.addPassword') evidence.lateTexts += 1;
    await sleep(random.between(left / 3, left));
  };

  return (turn) => async (name, perform, asFact) => {
    await hold(turn);
    course.calls += 1;
    const number = course.calls;
    const throttled = throttle.find(name, number);
    const outcome = throttled === undefined ? await settle(perform) : { error: throttled };
    note(turn, name, outcome.error);
    await sleep(random.between(25, 100));
    if (number === point) stop(turn, name);
    if (number === point && !fault.losesAnswer) return never();
    await freeze(turn, name);
    const error = number === point ? new UpstreamError({ kind: 'unavailable', service: name }) : outcome.error;
    if (error === undefined && 'value' in outcome) return outcome.value;
    turn.clean = false;
    if (error instanceof UpstreamError && asFact !== undefined) return asFact(error);
    throw error;
  };
}
