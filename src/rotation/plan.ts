import { addSeconds, secondsBetween } from '../clock.ts';
import type { Application, Facts, Password, PlanLimits, Proof, SecretVersion, Why } from './facts.ts';
import { nextProofAt, proofComplete } from './proof.ts';
import { findRemoval } from './removable.ts';

/** States in which a person has to act; each has its way out in docs. */
export type Blocked =
  | 'not_owned'
  | 'application_not_found'
  | 'wrong_application'
  | 'vault_forbidden'
  | 'secret_disabled'
  | 'secret_deleted'
  | 'pending_disabled'
  | 'pending_deleted'
  | 'lifetime_refused';

/** The first reason that applies. */
export type Reason =
  | Blocked
  | 'unreadable'
  | 'overlap_over'
  | 'orphan'
  | 'pending_unproved'
  | 'pending_proved'
  | 'pending_unusable'
  | 'current_unproved'
  | 'attempt_begun'
  | 'answer_awaited'
  | 'text_lost'
  | 'settled'
  | Why;

export type Step =
  | { do: 'nothing'; until: Date | undefined }
  | { do: 'begin'; why: Why }
  | { do: 'add'; rotationId: string }
  | { do: 'prove'; of: 'pending' | 'current'; keyId: string; version: string }
  | { do: 'promote'; keyId: string; rotationId: string; version: string; expiresOn: Date | undefined }
  | { do: 'remove'; keyId: string };

export interface Plan {
  reason: Reason;
  step: Step;
}

/** After this long without a proof a pending password is given up, and the rotation begins anew. */
const GIVE_UP_SECONDS = 3600;
/** How long the answer of an addPassword may be under way before its text counts as lost. */
const ANSWER_SECONDS = 60;
/** Reads of Graph lag its writes; a password that is missing from a list may only be too new for it. */
const LAG_SECONDS = 300;
/** How old the last sign-in of a proof may be when its password becomes current. */
const FRESH_SECONDS = 60;
/** Where nothing else says when to look again. */
const LOOK_AGAIN_SECONDS = 60;

const wait = (reason: Reason, until: Date | undefined): Plan => ({ reason, step: { do: 'nothing', until } });

/** Facts that end the look: somebody has to act, or what matters could not be read. */
function findObstacle({ now, rotation, application, current, pending, record }: Facts): Plan | undefined {
  if (record.lifetimeRefused) return wait('lifetime_refused', undefined);
  for (const fact of [application, current, pending]) {
    if (fact.kind === 'unreadable') {
      return wait('unreadable', addSeconds(now, fact.retryAfterSeconds ?? LOOK_AGAIN_SECONDS));
    }
  }
  if (application.kind === 'forbidden') return wait('not_owned', undefined);
  if (application.kind !== 'found') return wait('application_not_found', undefined);
  if (application.value.appId.toLowerCase() !== rotation.clientId.toLowerCase()) {
    return wait('wrong_application', undefined);
  }
  if (current.kind === 'forbidden' || pending.kind === 'forbidden') return wait('vault_forbidden', undefined);
  if (current.kind === 'disabled') return wait('secret_disabled', undefined);
  if (current.kind === 'deleted') return wait('secret_deleted', undefined);
  if (pending.kind === 'disabled') return wait('pending_disabled', undefined);
  if (pending.kind === 'deleted') return wait('pending_deleted', undefined);
  return undefined;
}

const passwordOf = ({ passwords }: Application, keyId: string | undefined): Password | undefined =>
  passwords.find((password) => password.keyId === keyId);

/** A pending password that is not current yet: to be proved, promoted, or given up (undefined: it has been). */
function planPending(
  facts: Facts,
  limits: PlanLimits,
  application: Application,
  pending: SecretVersion,
  keyId: string,
): Plan | undefined {
  const { now, rotation, record } = facts;
  const password = passwordOf(application, keyId);
  const age = secondsBetween(pending.createdOn, now);
  const endsOn = password?.endsOn ?? pending.expiresOn;
  const unusable =
    (endsOn !== undefined && secondsBetween(now, endsOn) <= rotation.overlapSeconds) ||
    (password === undefined &&
      age > LAG_SECONDS &&
      record.proof?.keyId === keyId &&
      record.proof.refused !== undefined) ||
    (record.proof?.keyId === keyId && record.proof.refused === 'expired') ||
    (age > GIVE_UP_SECONDS &&
      (password === undefined || (record.proof?.keyId === keyId && record.proof.refused !== undefined)));
  if (unusable) {
    // The attempt that takes its place may have begun already: then it goes on, or it would begin for ever.
    if (record.attempt !== undefined && record.attempt.rotationId !== pending.rotationId) return undefined;
    return { reason: 'pending_unusable', step: { do: 'begin', why: record.attempt?.why ?? 'due' } };
  }
  if (proofComplete(record.proof, 'pending', keyId, limits) && isFresh(record.proof, now)) {
    const { version, rotationId = '', expiresOn } = pending;
    return { reason: 'pending_proved', step: { do: 'promote', keyId, rotationId, version, expiresOn } };
  }
  return planProof('pending_unproved', 'pending', keyId, pending.version, facts, limits);
}

/** A proof that waited (a crash, a pause) says nothing of what happened since: one more sign-in makes it new. */
const isFresh = (proof: Proof | undefined, now: Date): boolean =>
  proof?.lastTriedAt !== undefined && secondsBetween(proof.lastTriedAt, now) <= FRESH_SECONDS;

function planProof(
  reason: Reason,
  of: 'pending' | 'current',
  keyId: string,
  version: string,
  { now, record }: Facts,
  limits: PlanLimits,
): Plan {
  const at = nextProofAt(record.proof, of, keyId, limits, now);
  return at <= now ? { reason, step: { do: 'prove', of, keyId, version } } : wait(reason, at);
}

/** Why a new password is needed, the most urgent reason first; undefined while none is. */
function findWhy(
  { now, rotation, record }: Facts,
  application: Application,
  current: SecretVersion | undefined,
): Why | undefined {
  if (record.request !== undefined) return record.request.reason;
  if (current === undefined) return 'first';
  if (current.keyId === undefined || current.rotation !== rotation.name) return 'edited';
  const password = passwordOf(application, current.keyId);
  const refused =
    record.proof?.of === 'current' && record.proof.keyId === current.keyId ? record.proof.refused : undefined;
  if (refused === 'expired' || (password !== undefined && password.endsOn <= now)) return 'expired';
  if (refused === 'unknown' && secondsBetween(current.createdOn, now) > LAG_SECONDS) return 'gone';
  if (password !== undefined && secondsBetween(now, password.endsOn) <= rotation.overlapSeconds) return 'expiring';
  return secondsBetween(current.createdOn, now) >= rotation.rotateEverySeconds ? 'due' : undefined;
}

/** An attempt whose password is not pending: it is to be added, or its text was lost. */
function planAttempt({ now, record }: Facts, pending: SecretVersion | undefined): Plan | undefined {
  const { attempt } = record;
  if (attempt === undefined || pending?.rotationId === attempt.rotationId) return undefined;
  if (attempt.addTriedAt === undefined) {
    return { reason: 'attempt_begun', step: { do: 'add', rotationId: attempt.rotationId } };
  }
  const lostAt = addSeconds(attempt.addTriedAt, ANSWER_SECONDS);
  if (now < lostAt) return wait('answer_awaited', lostAt);
  return { reason: 'text_lost', step: { do: 'begin', why: attempt.why } };
}

/**
 * Names the first reason that applies to what one look showed, and its one step. Pure: the same facts give the same
 * plan, so a crash between any two steps is mended by the next look, whoever takes it.
 */
export function plan(facts: Facts, limits: PlanLimits, removalRule: typeof findRemoval = findRemoval): Plan {
  const obstacle = findObstacle(facts);
  if (obstacle !== undefined) return obstacle;
  const { rotation, application } = facts;
  if (application.kind !== 'found') return wait('application_not_found', undefined);
  const current = facts.current.kind === 'found' ? facts.current.value : undefined;
  const pending = facts.pending.kind === 'found' ? facts.pending.value : undefined;

  const removal = removalRule(facts, limits);
  if (removal !== undefined) return { reason: removal.why, step: { do: 'remove', keyId: removal.keyId } };

  const pendingKeyId = pending?.rotation === rotation.name ? pending.keyId : undefined;
  const editedSince =
    current !== undefined &&
    current.keyId === undefined &&
    pending !== undefined &&
    current.createdOn > pending.createdOn;
  if (pending !== undefined && pendingKeyId !== undefined && pendingKeyId !== current?.keyId && !editedSince) {
    const planned = planPending(facts, limits, application.value, pending, pendingKeyId);
    if (planned !== undefined) return planned;
  }

  const attempt = planAttempt(facts, pending);
  if (attempt !== undefined) return attempt;

  const why = findWhy(facts, application.value, current);
  if (why !== undefined) return { reason: why, step: { do: 'begin', why } };

  if (current?.keyId !== undefined && !proofComplete(facts.record.proof, 'current', current.keyId, limits)) {
    return planProof('current_unproved', 'current', current.keyId, current.version, facts, limits);
  }
  return wait('settled', nextLook(facts, limits, current, application.value));
}

/** When something can become due that nobody has to ask for. */
function nextLook(
  { now, rotation }: Facts,
  limits: PlanLimits,
  current: SecretVersion | undefined,
  { passwords }: Application,
): Date {
  const times = passwords.length > 1 ? [addSeconds(now, LOOK_AGAIN_SECONDS)] : [];
  if (current !== undefined) {
    times.push(addSeconds(current.createdOn, rotation.rotateEverySeconds));
    const password = passwords.find(({ keyId }) => keyId === current.keyId);
    if (password !== undefined) times.push(addSeconds(password.endsOn, -rotation.overlapSeconds));
  }
  const soonest = Math.min(
    ...times.map((time) => time.getTime()),
    addSeconds(now, limits.orphanGraceSeconds).getTime(),
  );
  return new Date(Math.max(soonest, now.getTime() + 1000));
}
