import { addSeconds, secondsBetween } from '../clock.ts';
import type { KeyName } from '../freshness/ports.ts';
import { type KeyFacts, otherKey, type Regeneration, type Turn } from './key-facts.ts';
import { PROMISE_MARGIN_SECONDS } from './key-promise.ts';
import type { Reason } from './reasons.ts';
import { openRequest } from './runs.ts';

export type KeyStep =
  | { do: 'nothing'; until: Date | undefined }
  /** Records which key is in use and on what terms; touches no key. */
  | { do: 'adopt' }
  | { do: 'regenerate'; key: KeyName; why: Regeneration['why'] }
  /** The regenerated key is the one in use from now on. */
  | { do: 'switch' }
  /** The other compromised key is renewed too. */
  | { do: 'finish' };

export interface KeyPlan {
  reason: Reason;
  step: KeyStep;
}

/**
 * A call of a rotator that was held up reaches Azure ML within this, or never: below it, a key may still change although
 * the call's answer was lost.
 */
const LATE_SECONDS = 60;
/** A regeneration that takes longer is stuck. */
const STUCK_SECONDS = 900;
/** A regeneration that Azure ML has taken, or that is stuck, is not asked for again sooner. */
const STUCK_AGAIN_SECONDS = 3600;
const FORBIDDEN_AGAIN_SECONDS = 600;
/** While a regeneration is under way. */
const RUNNING_LOOK_SECONDS = 10;
/** Where nothing else says when to look again. */
const LOOK_AGAIN_SECONDS = 60;
/** At rest, what somebody changes by hand is noticed after this. */
const REST_SECONDS = 600;

const wait = (reason: Reason, until: Date | undefined): KeyPlan => ({ reason, step: { do: 'nothing', until } });

/** Facts that end the look: somebody has to act, or what matters could not be read. */
function findObstacle({ now, endpoint, keys }: KeyFacts): KeyPlan | undefined {
  for (const fact of [endpoint, keys]) {
    if (fact?.kind === 'unreadable') {
      return wait('unreadable', addSeconds(now, fact.retryAfterSeconds ?? LOOK_AGAIN_SECONDS));
    }
    if (fact?.kind === 'forbidden') return wait('endpoint_forbidden', undefined);
    if (fact?.kind === 'not_found') return wait('endpoint_not_found', undefined);
  }
  if (endpoint.kind === 'found' && endpoint.value.authMode !== 'key') return wait('not_in_key_mode', undefined);
  return undefined;
}

/** The record was made on other terms, or for keys that are gone. */
function isOutdated(turn: Turn, { rotation, endpoint }: KeyFacts): boolean {
  return (
    endpoint.kind !== 'found' ||
    turn.endpoint.id !== endpoint.value.id ||
    turn.endpoint.createdAt !== endpoint.value.createdAt ||
    turn.rotateEverySeconds !== rotation.rotateEverySeconds ||
    turn.overlapSeconds !== rotation.overlapSeconds
  );
}

/** An operator's word is worth one more try: a run that is open has not been part of one. */
const isAsked = ({ record }: KeyFacts, { afterTurn }: Regeneration): boolean =>
  !afterTurn && openRequest(record.runs) !== undefined;

/** When Azure ML is asked again to regenerate a key that still has its old value. */
function nextTry(facts: KeyFacts, regeneration: Regeneration, isStuck: boolean): Date {
  const { triedAt, outcome } = regeneration;
  if (triedAt === undefined) return facts.now;
  if (isAsked(facts, regeneration)) return addSeconds(triedAt, LATE_SECONDS);
  if (outcome === 'forbidden') return addSeconds(triedAt, FORBIDDEN_AGAIN_SECONDS);
  // A second one while the first may be running would change the key twice.
  return addSeconds(triedAt, outcome === 'running' || isStuck ? STUCK_AGAIN_SECONDS : LATE_SECONDS);
}

/**
 * A key with another value may change once more, if a call for that is still on its way or at work: then it must not
 * become the one in use. Azure ML does one thing at a time to an endpoint, so a try that it refused as busy was alone
 * with what is over now.
 *
 * @returns from when on nothing more can come; undefined where only another try can tell
 */
function settledAt({ triedAt, outcome, inDoubt }: Regeneration, now: Date): Date | undefined {
  if (triedAt === undefined || outcome === 'ended' || outcome === 'busy' || outcome === 'forbidden') return now;
  const arrivedAt = addSeconds(triedAt, LATE_SECONDS);
  if (now < arrivedAt) return arrivedAt;
  return inDoubt ? undefined : now;
}

function planRegeneration(
  facts: KeyFacts,
  regeneration: Regeneration,
  hashes: Readonly<Record<KeyName, string>>,
): KeyPlan {
  const { now, record } = facts;
  const { key, why, afterTurn, begunAt, before, outcome } = regeneration;
  if (hashes[key] !== before) {
    const at = settledAt(regeneration, now);
    if (at === undefined) return { reason: 'key_regenerating', step: { do: 'regenerate', key, why } };
    if (now < at) return wait('key_regenerating', at);
    return { reason: 'key_regenerating', step: { do: afterTurn ? 'finish' : 'switch' } };
  }
  const isStuck = secondsBetween(begunAt, now) >= STUCK_SECONDS;
  const named = isStuck ? 'regeneration_stuck' : 'key_regenerating';
  const reason = outcome === 'forbidden' ? 'endpoint_forbidden' : named;
  const again = nextTry(facts, regeneration, isStuck);
  if (now < again) {
    return wait(reason, new Date(Math.min(again.getTime(), addSeconds(now, RUNNING_LOOK_SECONDS).getTime())));
  }
  const asked = isAsked(facts, regeneration) ? openRequest(record.runs) : undefined;
  return { reason, step: { do: 'regenerate', key, why: why === 'compromised' ? why : (asked ?? why) } };
}

const reasonOf = { due: 'key_turn_due', requested: 'requested', compromised: 'compromised' } as const;

/**
 * Names the first reason that applies to what one look showed of an endpoint's keys, and its one step. Pure. The key in
 * use is never touched; the other one is regenerated only when no caller was promised that it works (`compromised` is
 * the exception), and becomes the one in use when its value has changed.
 */
export function planKeys(facts: KeyFacts): KeyPlan {
  const obstacle = findObstacle(facts);
  if (obstacle !== undefined) return obstacle;
  const { now, record, keys } = facts;
  if (keys?.kind !== 'found') return wait('unreadable', addSeconds(now, LOOK_AGAIN_SECONDS));
  const { turn, regeneration } = record;
  if (turn === undefined || isOutdated(turn, facts)) return { reason: 'settled', step: { do: 'adopt' } };
  if (regeneration !== undefined) return planRegeneration(facts, regeneration, keys.value);

  const dueAt = addSeconds(turn.since, turn.rotateEverySeconds);
  const why = openRequest(record.runs) ?? (dueAt <= now ? 'due' : undefined);
  if (why === undefined) {
    return wait('settled', new Date(Math.min(dueAt.getTime(), now.getTime() + REST_SECONDS * 1000)));
  }
  const key = otherKey(turn.inUse);
  const promised = record.promisedUntil[key];
  if (why !== 'compromised' && promised !== undefined) {
    const freeAt = addSeconds(promised, PROMISE_MARGIN_SECONDS);
    if (now < freeAt) return wait('key_promised', freeAt);
  }
  return { reason: reasonOf[why], step: { do: 'regenerate', key, why } };
}
