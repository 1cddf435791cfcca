import { addSeconds, secondsBetween } from '../../../src/clock.ts';
import { UpstreamError } from '../../../src/errors.ts';
import type { Log } from '../../../src/log.ts';
import { markOf } from '../../../src/rotation/facts.ts';
import type { Plan } from '../../../src/rotation/plan.ts';
import { proofComplete } from '../../../src/rotation/proof.ts';
import type { findRemovals } from '../../../src/rotation/removable.ts';
import { rotate } from '../../../src/rotation/rotate.ts';
import { openRequest } from '../../../src/rotation/runs.ts';
import { pendingName } from '../../../src/rotation/take-step.ts';
import { createWriteBudget, GRAPH_WRITES } from '../../../src/rotation/write-budget.ts';
import { createRandom, mixSeed } from '../in-memory/random.ts';
import { type AroundCalls, aroundCalls } from './around-calls.ts';
import { checkNumber, checkSettled, ownPasswords, signInEverywhere } from './consumers.ts';
import type { Fault, Scenario } from './scenarios.ts';
import { START, startWorld } from './start-world.ts';

export interface RunOptions {
  scenario: Scenario;
  fault: Fault;
  /** The number of the call after which the rotator is stopped; undefined: it never is. */
  point: number | undefined;
  seed: number;
  removalRule?: typeof findRemovals;
}

export interface Violation {
  reason: string;
  at: Date;
}

export interface RunResult {
  /** Calls until the end. */
  calls: number;
  /** The call at the point; undefined where the run ended before. */
  pointCall: string | undefined;
  violation: Violation | undefined;
  /** What happened, for a person: one line a call that changes something. */
  story: readonly string[];
  endedAt: Date;
}

/** One timer with its process. */
interface Rotator {
  name: string;
  heldUp: boolean;
  /** The look under way; a dead process leaves none. */
  look: { clean: boolean } | undefined;
}

const TICK_SECONDS = 60;
/** A look that takes longer ends by itself (`until` of rotate). */
const LOOK_SECONDS = 50;
const MARGIN_SECONDS = 4;
const LONG_THROTTLE_SECONDS = 25 * 60;
const LONG_PAUSE_SECONDS = 25 * 60;
const LONGEST_RUN_SECONDS = 8 * 3600;
const LONGEST_HOLD_SECONDS = 12;
const HOLD_CHANCE = 0.15;

const never = <T>(): Promise<T> => new Promise(() => {});

/** What a call came to, as a value. */
const settle = <T>(perform: () => Promise<T>): Promise<{ value: T; error?: undefined } | { error: unknown }> =>
  perform().then(
    (value) => ({ value }),
    (error: unknown) => ({ error }),
  );

const silent: Log = { info() {}, warn() {}, error() {} };

/** One rotation from due to settled, stopped once at `point`. Deterministic: the same options give the same result. */
export async function run(options: RunOptions): Promise<RunResult> {
  const { scenario, fault, point } = options;
  const { rotation, limits } = scenario;
  const random = createRandom(mixSeed(options.seed, scenario.name, fault.name, point ?? 'whole'));
  const story: string[] = [];
  let violation: Violation | undefined;
  let settled = false;
  let calls = 0;
  let ids = 0;
  let pointCall: string | undefined;
  let pausedUntil = START;
  let throttledCall = 6 + random.below(6);
  let throttledUntil: Date | undefined;
  let provedAt: Date | undefined;

  const { world, foreign } = startWorld(scenario, fault, random, {
    onAdded: () => violate(checkNumber(world, scenario)),
    onRemoved: ({ keyId, displayName }) => {
      if (displayName?.startsWith(markOf(rotation.name)) !== true) violate(`R3 removed a password of others: ${keyId}`);
    },
  });
  const { time, vault, records } = world;
  const { clock, sleep } = time;
  const budget = createWriteBudget({ clock, ...GRAPH_WRITES });
  const violate = (reason: string | undefined) => {
    if (reason !== undefined) violation ??= { reason, at: clock() };
  };
  const tell = (text: string) => story.push(`${secondsBetween(START, clock()).toFixed(1).padStart(8)} s  ${text}`);

  const findThrottle = (name: string): UpstreamError | undefined => {
    if (!fault.throttles) return undefined;
    const left = throttledUntil === undefined ? 0 : secondsBetween(clock(), throttledUntil);
    const long = name === 'signIn' && left > 0;
    // Not a fixed number: it could meet the same call of each look for ever.
    if (calls >= throttledCall) throttledCall = calls + 6 + random.below(6);
    else if (!long) return undefined;
    return new UpstreamError({ kind: 'throttled', service: name, status: 429, retryAfterSeconds: long ? left : 10 });
  };

  /** Where it is current already, a person would break a consumer, not the broker: then nothing happens. */
  const removePendingByHand = () => {
    pausedUntil = addSeconds(clock(), LONG_PAUSE_SECONDS);
    const keyId = vault.versions(pendingName(rotation.name)).at(-1)?.told.keyId;
    if (keyId === undefined || keyId === vault.versions(rotation.name).at(-1)?.told.keyId) return;
    world.graph.removeByHand(keyId);
    tell(`${keyId} is removed by hand`);
  };

  const stopAt = (rotator: Rotator, name: string) => {
    pointCall = name;
    pausedUntil = addSeconds(clock(), scenario.pauseSeconds);
    if (fault.losesRecord) records.lose(rotation.name);
    if (fault.removesPending) removePendingByHand();
    tell(`${rotator.name} ${fault.losesAnswer ? 'loses the answer of' : 'dies after'} ${name} (call ${point})`);
    if (!fault.losesAnswer) rotator.look = undefined;
  };

  const noteCall = (rotator: Rotator, look: { clean: boolean }, name: string, { error }: { error?: unknown }) => {
    if (name === 'applications.read' && world.graph.lastReadWasStale()) look.clean = false;
    if (name === `vault.write ${pendingName(rotation.name)}`) {
      throttledUntil ??= addSeconds(clock(), LONG_THROTTLE_SECONDS);
    }
    if (/read|look/.test(name)) return;
    tell(`${rotator.name} ${name}${error instanceof UpstreamError ? ` ${error.kind}` : ''}`);
  };

  const around =
    (rotator: Rotator, look: { clean: boolean }): AroundCalls =>
    async (name, perform, asFact) => {
      const held = rotator.heldUp && random.next() < HOLD_CHANCE ? random.between(0, LONGEST_HOLD_SECONDS) : 0;
      if (held > 1) look.clean = false;
      await sleep(held * 1000 + random.between(25, 100));
      calls += 1;
      const number = calls;
      const throttle = findThrottle(name);
      const outcome = throttle === undefined ? await settle(perform) : { error: throttle };
      noteCall(rotator, look, name, outcome);
      await sleep(random.between(25, 100));
      if (number === point) stopAt(rotator, name);
      if (number === point && !fault.losesAnswer) return never();
      const error = number === point ? new UpstreamError({ kind: 'unavailable', service: name }) : outcome.error;
      if (error === undefined && 'value' in outcome) return outcome.value;
      look.clean = false;
      if (error instanceof UpstreamError && asFact !== undefined) return asFact(error);
      throw error;
    };

  /** When everything that may still have to wait has waited; undefined while current is not proved. */
  const settlesAt = (): Date | undefined => {
    const current = vault.versions(rotation.name).at(-1);
    if (current === undefined || provedAt === undefined) return undefined;
    const times = [
      provedAt,
      addSeconds(current.writtenAt, rotation.overlapSeconds),
      ...ownPasswords(world, scenario).map(({ startsOn }) => addSeconds(startsOn, limits.orphanGraceSeconds)),
    ];
    return addSeconds(new Date(Math.max(...times.map((instant) => instant.getTime()))), MARGIN_SECONDS);
  };

  const afterLook = (look: { clean: boolean }, from: Date, dueAt: Date | undefined, { reason }: Plan) => {
    if (!look.clean || dueAt === undefined || from < dueAt) return;
    if (openRequest(records.peek(rotation.name).runs) !== undefined || vault.versions(rotation.name).length < 2) return;
    if (point !== undefined && pointCall === undefined) return;
    const wrong = checkSettled(world, scenario, foreign);
    if (wrong !== undefined) violate(`${wrong} (the look said ${reason})`);
    else if (reason !== 'settled') violate(`the first look after the grace says ${reason}`);
    settled = true;
  };

  const tick = async (rotator: Rotator) => {
    if (rotator.look !== undefined || clock() < pausedUntil) return;
    const look = { clean: true };
    rotator.look = look;
    const from = clock();
    const dueAt = settlesAt();
    try {
      const planned = await rotate(rotation, addSeconds(from, LOOK_SECONDS), {
        ports: aroundCalls(world.ports, around(rotator, look)),
        limits,
        budget,
        clock,
        newId: () => `r${++ids}`,
        log: silent,
        ...(options.removalRule === undefined ? {} : { removalRule: options.removalRule }),
      });
      afterLook(look, from, dueAt, planned);
    } catch (error) {
      if (!(error instanceof UpstreamError)) violate(`the loop threw ${String(error)}`);
    }
    rotator.look = undefined;
  };

  const startTimer = (rotator: Rotator, first: Date) => {
    const next = (instant: Date) =>
      time.at(instant, () => {
        void tick(rotator);
        next(addSeconds(instant, TICK_SECONDS));
      });
    next(first);
  };

  startTimer({ name: 'A', heldUp: false, look: undefined }, START);
  if (fault.secondRotator) {
    // At the same instant, close behind, or anywhere in between.
    const offset = [0, random.between(0, 1), random.between(0, TICK_SECONDS)][random.below(3)] ?? 0;
    startTimer({ name: 'B', heldUp: true, look: undefined }, addSeconds(START, offset));
  }
  const { requestAfterSeconds } = scenario;
  if (requestAfterSeconds !== undefined) {
    const at = addSeconds(START, requestAfterSeconds);
    const asked = {
      id: 'asked',
      reason: 'requested',
      requestedAt: at,
      rotationId: undefined,
      doneAt: undefined,
    } as const;
    time.at(at, () => records.change(rotation.name, { runs: [asked] }));
  }

  let watched = '';
  const moved = () => {
    violate(signInEverywhere(world, scenario));
    const { proof } = records.peek(rotation.name);
    const current = vault.versions(rotation.name).at(-1)?.told.keyId ?? '';
    const proved = proofComplete(proof, 'current', current, limits) ? current : '';
    if (proved !== watched) {
      watched = proved;
      provedAt = proved === '' ? undefined : clock();
    }
    if (secondsBetween(START, clock()) > LONGEST_RUN_SECONDS) violate('it never settled');
  };
  await time.run(moved, () => settled || violation !== undefined);
  return { calls, pointCall, violation, story, endedAt: clock() };
}
