import { createHash } from 'node:crypto';
import { type Clock, secondsBetween } from '../clock.ts';
import { UpstreamError } from '../errors.ts';
import { type KeyFacts, type KeyRecord, otherKey, type Regeneration, type Turn } from './key-facts.ts';
import type { KeyStep } from './key-plan.ts';
import type { KeyPorts, StoredKeyRecord } from './key-ports.ts';
import { promiseOf } from './key-promise.ts';
import { finishRuns, joinRuns } from './runs.ts';

export interface KeyStepContext {
  ports: KeyPorts;
  clock: Clock;
  /** The id of a new regeneration. */
  newId: () => string;
}

/**
 * A look older than this decides nothing any more. With a call's own time-outs it bounds how late a call of a rotator
 * that was held up can reach Azure ML: below the plan's LATE_SECONDS.
 */
const LOOK_SECONDS = 15;

/**
 * Takes one step. Each may be cut off after any of its calls: what is written down first makes sure that the next look
 * can tell.
 *
 * @throws UpstreamError; `conflict` where somebody else moved the rotation on
 */
export async function takeKeyStep(
  step: KeyStep,
  facts: KeyFacts,
  etag: string | undefined,
  context: KeyStepContext,
): Promise<void> {
  if (secondsBetween(facts.now, context.clock()) > LOOK_SECONDS) return;
  const save = (record: KeyRecord) => context.ports.records.write(record, etag);
  switch (step.do) {
    case 'nothing':
      return;
    case 'adopt':
      await save(adopted(facts, context.clock()));
      return;
    case 'regenerate':
      return regenerate(step, facts, save, context);
    case 'switch':
      await save(switched(facts, context.clock()));
      return;
    case 'finish':
      await save(finished(facts.record, context.clock()));
      return;
  }
}

/** SHA-256 of a key's value, hex: all that is remembered of it. */
export const hashKey = (value: string): string => createHash('sha256').update(value).digest('hex');

const withoutPromises: KeyRecord['promisedUntil'] = { primary: undefined, secondary: undefined };

/**
 * The record of an endpoint that was not known, was made anew, or has other terms by now. Whatever callers were told
 * before goes on to hold, so a namesake made later goes on with the key that was in use, and with a regeneration that
 * was under way: its call could still arrive.
 */
function adopted({ record, rotation, endpoint, keys }: KeyFacts, now: Date): KeyRecord {
  if (endpoint.kind !== 'found' || keys?.kind !== 'found') return record;
  const { id, createdAt } = endpoint.value;
  const { rotateEverySeconds, overlapSeconds } = rotation;
  const terms = { endpoint: { id, createdAt }, rotateEverySeconds, overlapSeconds };
  const { turn, promisedUntil, regeneration } = record;
  if (turn === undefined || turn.endpoint.id !== id) {
    return {
      ...record,
      turn: { ...terms, inUse: 'primary', since: now },
      promisedUntil: withoutPromises,
      regeneration: undefined,
      runs: record.runs.map((run) => (run.doneAt === undefined ? { ...run, rotationId: undefined } : run)),
    };
  }
  const kept: KeyRecord = {
    ...record,
    turn: { ...turn, ...terms },
    promisedUntil: { ...promisedUntil, [turn.inUse]: promiseOf(turn, promisedUntil, now) },
  };
  if (turn.endpoint.createdAt === createdAt) return kept;
  return {
    ...kept,
    turn: { ...terms, inUse: turn.inUse, since: now },
    regeneration: regeneration && {
      ...regeneration,
      begunAt: now,
      before: keys.value[regeneration.key],
      outcome: 'unknown',
    },
  };
}

/** The regenerated key is in use; the one before it is left alone for as long as callers were told. */
function switched({ record, keys }: KeyFacts, now: Date): KeyRecord {
  const { turn, promisedUntil, regeneration } = record;
  if (turn === undefined || regeneration === undefined || keys?.kind !== 'found') return record;
  const leaving = turn.inUse;
  const next: Turn = { ...turn, inUse: otherKey(leaving), since: now };
  const kept: KeyRecord = {
    ...record,
    turn: next,
    promisedUntil: { ...withoutPromises, [leaving]: promiseOf(turn, promisedUntil, now) },
  };
  if (regeneration.why !== 'compromised') {
    return { ...kept, regeneration: undefined, runs: finishRuns(record.runs, regeneration.id, now) };
  }
  // In the same write, so that no crash leaves the key that was in use as it is. Its promise stays: an issuer may hand
  // out its next value until it has read this record.
  const before = keys.value[leaving];
  const renewal: Regeneration = {
    ...regeneration,
    key: leaving,
    afterTurn: true,
    begunAt: now,
    before,
    triedAt: undefined,
    outcome: 'unknown',
    inDoubt: false,
  };
  return { ...kept, regeneration: renewal };
}

const finished = (record: KeyRecord, now: Date): KeyRecord => ({
  ...record,
  regeneration: undefined,
  runs: finishRuns(record.runs, record.regeneration?.id, now),
});

/** What is tried is written down before it is tried: with the hash by which any later look can tell that it worked. */
async function regenerate(
  step: Extract<KeyStep, { do: 'regenerate' }>,
  { now, record, rotation, keys }: KeyFacts,
  save: (record: KeyRecord) => Promise<StoredKeyRecord>,
  context: KeyStepContext,
): Promise<void> {
  const { ports, clock } = context;
  const from = ports.workspaces.get(rotation.workspace);
  if (from === undefined || keys?.kind !== 'found') return;
  const triedAt = clock();
  const before = record.regeneration;
  const tried: Regeneration = {
    ...(before ?? { id: context.newId(), key: step.key, afterTurn: false, begunAt: now }),
    why: step.why,
    before: keys.value[step.key],
    triedAt,
    outcome: 'unknown',
    inDoubt: before !== undefined && mayHaveBeenTaken(before),
  };
  // A run that came after the turn asks for another one.
  const runs = tried.afterTurn ? record.runs : joinRuns(record.runs, tried.id);
  const saved = await save({ ...record, regeneration: tried, runs });
  if (secondsBetween(triedAt, clock()) > LOOK_SECONDS) return;
  const noted = (more: Partial<Regeneration>) => note({ ...tried, ...more }, saved, ports);
  const ask = () => ports.machineLearning.regenerateKey(from.workspace, rotation.endpoint, step.key);
  const outcome = await ask().catch(async (error: unknown) => {
    if (error instanceof UpstreamError && error.kind === 'forbidden') await noted({ outcome: 'forbidden' });
    throw error;
  });
  if (outcome !== 'running' || !tried.inDoubt) return noted({ outcome });
  // Taken, so what was tried before is over: it may have changed the value since the look.
  const { primaryKey, secondaryKey } = await ports.machineLearning.listKeys(from.workspace, rotation.endpoint);
  const value = step.key === 'primary' ? primaryKey : secondaryKey;
  return noted({ outcome, before: hashKey(value), inDoubt: false });
}

const mayHaveBeenTaken = ({ triedAt, outcome, inDoubt }: Regeneration): boolean =>
  triedAt !== undefined && (inDoubt || outcome === 'unknown' || outcome === 'running');

const NOTE_TRIES = 3;

/** Writes down what a try came to, unless another try has been made since. Requests of operators may come between. */
async function note(tried: Regeneration, saved: StoredKeyRecord, { records }: KeyPorts): Promise<void> {
  let { record, etag } = saved;
  for (let tries = 1; ; tries++) {
    if (!isSameTry(record.regeneration, tried)) return;
    try {
      await records.write({ ...record, regeneration: tried }, etag);
      return;
    } catch (error) {
      if (!(error instanceof UpstreamError) || error.kind !== 'conflict' || tries >= NOTE_TRIES) throw error;
    }
    ({ record, etag } = await records.read(record.rotation));
  }
}

/** `begunAt` differs where the endpoint was made anew meanwhile. */
const isSameTry = (one: Regeneration | undefined, other: Regeneration): boolean =>
  one?.id === other.id &&
  one.begunAt.getTime() === other.begunAt.getTime() &&
  one.triedAt?.getTime() === other.triedAt?.getTime();
