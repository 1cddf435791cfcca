import { addSeconds } from '../clock.ts';
import type { UpstreamKind } from '../errors.ts';
import type { Rotation, RotationRecord } from './facts.ts';
import { inWords, type Reason } from './reasons.ts';
import type { Details, RotationKind, Seen } from './request-records.ts';
import type { Run, Status } from './runs.ts';

/** What operators are told of a rotation and of a run (R5): codes for programs, words for people, never a secret. */

export interface StateAnswer {
  /** The named reason of the last look. */
  state: Reason | 'not_looked_at';
  means: string;
  /** What a person has to do; null where the broker goes on by itself. */
  asks: string | null;
  lookedAt: Date | null;
  lastStep: Status['lastStep'] | null;
  nextStep: { at: Date | null; what: string };
  /** The last step's failure; null once a step has succeeded since. */
  error: { at: Date; step: string; what: string; words: string } | null;
  /** When the current secret ends, where that is known. */
  expiresOn: Date | null;
}

export interface RunAnswer {
  id: string;
  rotation: string;
  reason: Run['reason'];
  status: 'waiting' | 'running' | 'succeeded';
  requestedAt: Date;
  finishedAt: Date | null;
  /** The rotation that answers it; null until one has begun. */
  rotationId: string | null;
}

/** A look that was due this long ago was not taken: the rotator does not run. */
const LATE_SECONDS = 900;

const failures: Readonly<Record<UpstreamKind, string>> = {
  not_found: 'Azure does not know what the step needs',
  forbidden: 'Azure forbids it to the broker’s identity: check its roles',
  credential_refused: 'Entra refuses the identity’s own sign-in',
  step_up_required: 'Entra wants a stronger sign-in',
  user_refused: 'Entra refuses the user’s sign-in',
  throttled: 'Azure asked the broker to slow down',
  unavailable: 'Azure did not answer',
  conflict: 'something changed at the same moment',
  unexpected: 'Azure gave an answer that cannot be used',
};

const steps: Readonly<Record<string, string>> = {
  begin: 'Recording a new rotation',
  add: 'Adding a password to the application',
  prove: 'Signing in with the new secret',
  promote: 'Making the new secret current',
  remove: 'Removing a password that is over',
  adopt: 'Recording which of the endpoint’s keys is in use',
  regenerate: 'Regenerating a key of the endpoint',
  switch: 'Putting the other key in use',
  finish: 'Recording that a key is regenerated',
};

/** `graph: forbidden (403 …)` and the step that it stopped, as a sentence. */
function failureInWords(step: string, what: string): string {
  const found = Object.entries(failures).find(([kind]) => new RegExp(`\\b${kind}\\b`).test(what));
  return `${steps[step] ?? `The step ${step}`} failed: ${found?.[1] ?? 'the log has the cause'}. It is tried again.`;
}

const notLookedAt: StateAnswer = {
  state: 'not_looked_at',
  means: 'The rotator has not looked at this rotation yet.',
  asks: 'If this stays, see that an app with BROKER_ROLE rotator (or all) runs.',
  lookedAt: null,
  lastStep: null,
  nextStep: { at: null, what: 'The rotator looks at it in its next round.' },
  error: null,
  expiresOn: null,
};

function nextInWords(reason: Reason, means: string, asks: string | undefined): string {
  if (asks !== undefined) return 'None until a person has acted; then the broker goes on by itself.';
  return reason === 'settled' ? 'None is due until then.' : means;
}

/** The last look at a rotation, in words. */
export function toState(status: Status | undefined, now: Date): StateAnswer {
  if (status === undefined) return notLookedAt;
  const { at, reason, nextAt, lastStep, error, expiresOn } = status;
  const { means, asks } = inWords(reason);
  const late = nextAt !== undefined && addSeconds(nextAt, LATE_SECONDS) < now;
  return {
    state: reason,
    means,
    asks:
      asks ??
      (late ? 'A look was due and did not come: see that an app with BROKER_ROLE rotator (or all) runs.' : null),
    lookedAt: at,
    lastStep: lastStep ?? null,
    nextStep: { at: nextAt ?? null, what: nextInWords(reason, means, asks) },
    error: error === undefined ? null : { ...error, words: failureInWords(error.step, error.what) },
    expiresOn: expiresOn ?? null,
  };
}

/** One request and how far it is. */
export function toRun(rotation: string, { id, reason, requestedAt, rotationId, doneAt }: Run): RunAnswer {
  const begun = rotationId === undefined ? 'waiting' : 'running';
  return {
    id,
    rotation,
    reason,
    status: doneAt === undefined ? begun : 'succeeded',
    requestedAt,
    finishedAt: doneAt ?? null,
    rotationId: rotationId ?? null,
  };
}

/** What the record of a secret's rotation knows beside its status. */
export function secretDetails(
  { attempt, proof, promoted, shortened }: Pick<RotationRecord, 'attempt' | 'proof' | 'promoted' | 'shortened'>,
  { lifetimeSeconds }: Pick<Rotation, 'lifetimeSeconds'>,
): Details {
  return {
    /** The try at a new password that is under way. */
    attempt: attempt === undefined ? null : { ...attempt, addTriedAt: attempt.addTriedAt ?? null },
    proof:
      proof === undefined
        ? null
        : { of: proof.of, keyId: proof.keyId, successes: proof.successes, lastTriedAt: proof.lastTriedAt ?? null },
    currentKeyId: promoted ?? null,
    // The tenant's policy refused the configured life; a new value in the policy is tried again.
    shortenedLifetimeSeconds: shortened?.of === lifetimeSeconds ? shortened.to : null,
  };
}

/** What the record of an endpoint's keys knows beside its status. */
export function keyDetails({
  turn,
  regeneration,
}: {
  turn: { inUse: string; since: Date } | undefined;
  regeneration: { key: string; why: string; begunAt: Date } | undefined;
}): Details {
  return {
    keyInUse: turn?.inUse ?? null,
    inUseSince: turn?.since ?? null,
    /** The key that is being made anew, if any. */
    regeneration:
      regeneration === undefined
        ? null
        : { key: regeneration.key, why: regeneration.why, begunAt: regeneration.begunAt },
  };
}

/** A rotation whole: its state, what waits, what the policy says of it and what its record knows. */
export function toRotation(name: string, kind: RotationKind, config: Details, seen: Seen | undefined, now: Date) {
  const open = (seen?.runs ?? []).filter(({ doneAt }) => doneAt === undefined);
  return {
    ...config,
    ...seen?.details,
    name,
    kind,
    ...toState(seen?.status, now),
    openRuns: open.map((run) => toRun(name, run)),
  };
}

export type RotationAnswer = ReturnType<typeof toRotation>;

/** What `compromised` breaks, said to whoever asks for it. */
export const breaks: Readonly<Record<RotationKind, string>> = {
  secret:
    'The overlap is zero: consumers that still hold the previous secret fail as soon as the new one is current and proved. Those that read it from Key Vault when a sign-in fails go on.',
  endpointKeys:
    'The overlap is zero: consumers that still hold the key in use fail as soon as it is regenerated. Those that ask the broker for the key again go on.',
};
