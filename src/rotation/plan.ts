import { addSeconds, secondsBetween } from '../clock.ts';
import type { Application, Facts, Password, PlanLimits, Proof, SecretVersion, Why } from './facts.ts';
import { nextProofAt, proofComplete } from './proof.ts';
import type { Reason } from './reasons.ts';
import { findRemovals, type Removal } from './removable.ts';
import { openRequest } from './runs.ts';

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
/** A current password that Graph does not list for this long signs in on trial again: it may have been removed by hand. */
const UNLISTED_SECONDS = 60;
/** How old the last sign-in of a proof may be when its password becomes current. */
const FRESH_SECONDS = 60;
/** A refusal that a person has to lift is tried again after this long, or when an operator asks. */
const REFUSED_AGAIN_SECONDS = { lifetime_refused: 86_400, too_many_passwords: 600 } as const;
/** Key Vault's backup takes no more versions than this (Azure Key Vault: backup). */
const MOST_VERSIONS = 500;
/** Where nothing else says when to look again. */
const LOOK_AGAIN_SECONDS = 60;

const wait = (reason: Reason, until: Date | undefined): Plan => ({ reason, step: { do: 'nothing', until } });

/** Facts that end the look: somebody has to act, or what matters could not be read. */
function findObstacle({ now, rotation, application, current, pending }: Facts): Plan | undefined {
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
  const request = openRequest(record.runs);
  if (request !== undefined) return request;
  if (current === undefined) return 'first';
  if (current.keyId === undefined || current.rotation !== rotation.name) return 'edited';
  const password = passwordOf(application, current.keyId);
  const refused =
    record.proof?.of === 'current' && record.proof.keyId === current.keyId ? record.proof.refused : undefined;
  const ended = (instant: Date | undefined) => instant !== undefined && instant <= now;
  if (refused === 'expired' || ended(password?.endsOn) || ended(current.expiresOn)) return 'expired';
  // Refused and not listed is two witnesses; a refusal alone may be a replica that does not know it yet.
  const age = secondsBetween(current.createdOn, now);
  if (refused === 'unknown' && age > (password === undefined ? UNLISTED_SECONDS : LAG_SECONDS)) return 'gone';
  if (password !== undefined && secondsBetween(now, password.endsOn) <= rotation.overlapSeconds) return 'expiring';
  return secondsBetween(current.createdOn, now) >= rotation.rotateEverySeconds ? 'due' : undefined;
}

/** An attempt whose password is not pending: it is to be added, or its text was lost. */
function planAttempt({ now, record, rotation }: Facts, pending: SecretVersion | undefined): Plan | undefined {
  const { attempt, addRefused } = record;
  if (attempt === undefined || pending?.rotationId === attempt.rotationId) return undefined;
  if (attempt.addTriedAt === undefined) {
    const asked = openRequest(record.runs);
    if (asked !== undefined) return { reason: asked, step: { do: 'begin', why: asked } };
    if (addRefused !== undefined && addRefused.of === rotation.lifetimeSeconds) {
      const again = addSeconds(addRefused.at, REFUSED_AGAIN_SECONDS[addRefused.why]);
      if (now < again) return wait(addRefused.why, again);
    }
    return { reason: 'attempt_begun', step: { do: 'add', rotationId: attempt.rotationId } };
  }
  const lostAt = addSeconds(attempt.addTriedAt, ANSWER_SECONDS);
  if (now < lostAt) return wait('answer_awaited', lostAt);
  return { reason: 'text_lost', step: { do: 'begin', why: attempt.why } };
}

/** Sign-ins with the current secret: until it is proved, and again where Graph does not list its password. */
function planCurrent(
  facts: Facts,
  limits: PlanLimits,
  application: Application,
  current: SecretVersion | undefined,
): Plan | undefined {
  const { now, record } = facts;
  if (current?.keyId === undefined) return undefined;
  const { keyId, version } = current;
  if (!proofComplete(record.proof, 'current', keyId, limits)) {
    return planProof('current_unproved', 'current', keyId, version, facts, limits);
  }
  if (passwordOf(application, keyId) !== undefined || secondsBetween(current.createdOn, now) <= UNLISTED_SECONDS) {
    return undefined;
  }
  const triedAt = record.proof?.lastTriedAt ?? current.createdOn;
  if (secondsBetween(triedAt, now) < LOOK_AGAIN_SECONDS) return undefined;
  return { reason: 'current_unproved', step: { do: 'prove', of: 'current', keyId, version } };
}

/**
 * Names the first reason that applies to what one look showed, and its one step. Pure: the same facts give the same
 * plan, so a crash between any two steps is mended by the next look, whoever takes it.
 */
export function plan(facts: Facts, limits: PlanLimits, removalRule: typeof findRemovals = findRemovals): Plan {
  const obstacle = findObstacle(facts);
  if (obstacle !== undefined) return obstacle;
  const { rotation, application, now } = facts;
  if (application.kind !== 'found') return wait('application_not_found', undefined);
  const current = facts.current.kind === 'found' ? facts.current.value : undefined;
  const pending = facts.pending.kind === 'found' ? facts.pending.value : undefined;

  const removals = removalRule(facts, limits);
  const [removal] = removals;
  if (removal !== undefined && removal.at <= now) {
    return { reason: removal.why, step: { do: 'remove', keyId: removal.keyId } };
  }

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

  const proof = planCurrent(facts, limits, application.value, current);
  if (proof !== undefined) return proof;
  const most = Math.max(current?.versions ?? 0, pending?.versions ?? 0);
  const reason = most > MOST_VERSIONS ? 'too_many_versions' : 'settled';
  return wait(reason, nextLook(facts, limits, current, application.value, removal));
}

/** When something can become due that nobody has to ask for. */
function nextLook(
  { now, rotation }: Facts,
  limits: PlanLimits,
  current: SecretVersion | undefined,
  application: Application,
  removal: Removal | undefined,
): Date {
  const times = [addSeconds(now, limits.orphanGraceSeconds)];
  if (removal !== undefined) times.push(removal.at);
  if (current !== undefined) {
    times.push(addSeconds(current.createdOn, rotation.rotateEverySeconds));
    const password = passwordOf(application, current.keyId);
    if (password === undefined) times.push(addSeconds(now, LOOK_AGAIN_SECONDS));
    else times.push(addSeconds(password.endsOn, -rotation.overlapSeconds));
  }
  const soonest = Math.min(...times.map((time) => time.getTime()));
  return new Date(Math.max(soonest, now.getTime() + 1000));
}
