import { addSeconds, type Clock, secondsBetween } from '../clock.ts';
import { UpstreamError } from '../errors.ts';
import { type Facts, markOf, type Password, type Rotation, type RotationRecord } from './facts.ts';
import type { Step } from './plan.ts';
import type { RotationPorts, SecretWrite, Stored, Vault } from './ports.ts';
import { afterSignIn } from './proof.ts';
import { finishRuns, joinRuns } from './runs.ts';

export interface StepContext {
  ports: RotationPorts;
  clock: Clock;
  /** A new rotation id. */
  newId: () => string;
}

/**
 * A look older than this decides nothing any more. With a call's own time-out it bounds how late a write of a rotator
 * that was held up can arrive: far below the orphan grace.
 */
const LOOK_SECONDS = 15;

/** A name's second secret: holds the next password from the moment that Graph has shown it. Never deleted. */
export const pendingName = (rotation: string): string => `${rotation}-pending`;

const stale = ({ now }: Facts, clock: Clock): boolean => secondsBetween(now, clock()) > LOOK_SECONDS;

/**
 * Takes one step. Every step may be cut off after any of its calls: what is written down first makes sure that the next
 * look can tell.
 *
 * @returns false where the look was too old to act on, or somebody else moved the rotation on.
 */
export async function takeStep(
  step: Step,
  facts: Facts,
  etag: string | undefined,
  context: StepContext,
): Promise<boolean> {
  if (stale(facts, context.clock)) return false;
  switch (step.do) {
    case 'nothing':
      return false;
    case 'begin':
      return begin(step, facts, etag, context);
    case 'add':
      return add(step, facts, etag, context);
    case 'prove':
      return prove(step, facts, etag, context);
    case 'promote':
      return promote(step, facts, etag, context);
    case 'remove':
      await context.ports.applications.removePassword(facts.rotation.application, step.keyId);
      return true;
  }
}

const save = (context: StepContext, record: RotationRecord, etag: string | undefined): Promise<Stored> =>
  context.ports.records.write(record, etag);

async function begin(
  step: Extract<Step, { do: 'begin' }>,
  { now, record }: Facts,
  etag: string | undefined,
  context: StepContext,
) {
  const rotationId = context.newId();
  const attempt = { rotationId, why: step.why, begunAt: now, addTriedAt: undefined };
  const runs = joinRuns(record.runs, rotationId);
  // An operator who asks wants everything tried again.
  const asked = step.why === 'requested' || step.why === 'compromised';
  const tried = asked ? { shortened: undefined, addRefused: undefined } : {};
  await save(context, { ...record, ...tried, attempt, runs }, etag);
  return true;
}

/** The answer of addPassword holds the only copy of the text: it is stored before anything else happens. */
async function add(step: Extract<Step, { do: 'add' }>, facts: Facts, etag: string | undefined, context: StepContext) {
  const { ports, clock } = context;
  const { rotation, record } = facts;
  if (record.attempt === undefined) return false;
  const tried = { ...record, attempt: { ...record.attempt, addTriedAt: clock() } };
  const saved = await save(context, tried, etag);
  if (stale(facts, clock)) return false;
  const lifetimeSeconds = lifetimeFor(facts);
  const displayName = `${markOf(rotation.name)}${step.rotationId}`;
  const endsOn = addSeconds(clock(), lifetimeSeconds);
  const made = await ports.applications
    .addPassword(rotation.application, { displayName, endsOn })
    .catch(async (error) => {
      if (madeNothing(error)) await save(context, withoutTry(saved.record), saved.etag);
      throw error;
    });
  if (made === 'lifetime_refused' || made === 'no_room') {
    await save(context, afterRefusal(made, lifetimeSeconds, rotation, saved.record, clock()), saved.etag);
    return true;
  }
  await keep(ports.vault, pendingName(rotation.name), {
    value: made.secretText,
    expiresOn: made.made.endsOn,
    keyId: made.made.keyId,
    rotation: rotation.name,
    rotationId: step.rotationId,
  });
  return true;
}

/** The life to ask for: the config's, or what the tenant's policy left of it. */
function lifetimeFor({ rotation, record: { shortened } }: Facts): number {
  return shortened?.of === rotation.lifetimeSeconds ? shortened.to : rotation.lifetimeSeconds;
}

/** Graph refused before it made anything: the same attempt may be tried again, without waiting for an answer. */
const madeNothing = (error: unknown): boolean =>
  error instanceof UpstreamError && ['throttled', 'forbidden', 'not_found', 'credential_refused'].includes(error.kind);

const withoutTry = (record: RotationRecord): RotationRecord => ({
  ...record,
  attempt: record.attempt && { ...record.attempt, addTriedAt: undefined },
});

/** Half the life is tried next, as long as it covers one period and the overlap after it. */
function afterRefusal(
  refusal: 'lifetime_refused' | 'no_room',
  refusedSeconds: number,
  { lifetimeSeconds: of, rotateEverySeconds, overlapSeconds }: Rotation,
  record: RotationRecord,
  at: Date,
): RotationRecord {
  const again = withoutTry(record);
  const to = Math.floor(refusedSeconds / 2);
  if (refusal === 'lifetime_refused' && to > rotateEverySeconds + overlapSeconds) {
    return { ...again, shortened: { of, to } };
  }
  const why = refusal === 'no_room' ? 'too_many_passwords' : 'lifetime_refused';
  return { ...again, addRefused: { why, of, at } };
}

/** How often the only copy of a text is offered to Key Vault: one more try costs less than one more password. */
const KEEP_TRIES = 3;

async function keep(vault: Vault, name: string, secret: SecretWrite): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      return await vault.write(name, secret);
    } catch (error) {
      if (tries >= KEEP_TRIES) throw error;
    }
  }
}

async function prove(
  step: Extract<Step, { do: 'prove' }>,
  { rotation, record, current }: Facts,
  etag: string | undefined,
  context: StepContext,
) {
  const { ports, clock } = context;
  const name = step.of === 'pending' ? pendingName(rotation.name) : rotation.name;
  const value = await ports.vault.readValue(name, step.version);
  if (value === undefined) return false;
  const outcome = await ports.signIn(rotation, value);
  const proof = afterSignIn(record.proof, step.of, step.keyId, outcome, clock());
  const promoted = step.of === 'current' && current.kind === 'found' ? current.value.rotationId : undefined;
  await save(context, { ...record, proof, runs: finishRuns(record.runs, promoted, clock()) }, etag);
  return true;
}

/** Who is replaced is written down before the replacement, so that its overlap is known to count. */
async function promote(
  step: Extract<Step, { do: 'promote' }>,
  facts: Facts,
  etag: string | undefined,
  context: StepContext,
) {
  const { ports, clock } = context;
  const { rotation, record } = facts;
  const value = await ports.vault.readValue(pendingName(rotation.name), step.version);
  if (value === undefined) return false;
  const replaced = replacedBy(step.keyId, facts);
  const promoted = {
    ...record,
    replaced: [...replaced],
    promoted: step.keyId,
    proof: undefined,
    addRefused: undefined,
  };
  const saved = await save(context, promoted, etag);
  if (stale(facts, clock)) return false;
  await ports.vault.write(rotation.name, {
    value,
    expiresOn: step.expiresOn ?? addSeconds(clock(), rotation.lifetimeSeconds),
    keyId: step.keyId,
    rotation: rotation.name,
    rotationId: step.rotationId,
  });
  // Told at once to those who asked; where this is cut off, the next sign-in tells them.
  const runs = finishRuns(record.runs, step.rotationId, clock());
  if (runs.some(({ doneAt }, index) => doneAt !== record.runs[index]?.doneAt)) {
    await save(context, { ...saved.record, runs }, saved.etag);
  }
  return true;
}

/**
 * Whom a promotion replaces: the current password and its listed predecessors. A record that did not see the current
 * one become current may have missed others, so all of ours that can have been current count as predecessors.
 */
function replacedBy(keyId: string, { rotation, record, current, application }: Facts): Set<string> {
  const listed = application.kind === 'found' ? application.value.passwords : [];
  const before = current.kind === 'found' ? current.value : undefined;
  const seen = before?.keyId !== undefined && record.promoted === before.keyId;
  const maybe = ({ displayName, startsOn }: Password) =>
    displayName?.startsWith(markOf(rotation.name)) === true && (before === undefined || startsOn <= before.createdOn);
  const known = listed.filter((password) => record.replaced.includes(password.keyId) || (!seen && maybe(password)));
  const replaced = new Set(known.map((password) => password.keyId));
  if (before?.keyId !== undefined) replaced.add(before.keyId);
  replaced.delete(keyId);
  return replaced;
}
