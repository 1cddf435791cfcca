import { addSeconds, type Clock, secondsBetween } from '../clock.ts';
import { UpstreamError } from '../errors.ts';
import { type Log, nameError } from '../log.ts';
import type { KeyFacts, KeyRotation } from './key-facts.ts';
import { type KeyPlan, planKeys } from './key-plan.ts';
import type { KeyPorts } from './key-ports.ts';
import { hashKey, takeKeyStep } from './key-step.ts';
import type { Status } from './runs.ts';

export interface RotateKeysOptions {
  ports: KeyPorts;
  clock: Clock;
  newId: () => string;
  log: Log;
}

/** What one look showed, with the record's mark. */
export interface KeyLook {
  facts: KeyFacts;
  etag: string | undefined;
}

type Failed =
  | { kind: 'not_found' }
  | { kind: 'forbidden' }
  | { kind: 'unreadable'; retryAfterSeconds: number | undefined };

/** "There is none", "we may not" and "it could not be read" are different facts. */
async function asFact<T>(ask: () => Promise<T>): Promise<{ kind: 'found'; value: T } | Failed> {
  try {
    return { kind: 'found', value: await ask() };
  } catch (error) {
    if (!(error instanceof UpstreamError)) throw error;
    if (error.kind === 'not_found' || error.kind === 'forbidden') return { kind: error.kind };
    return { kind: 'unreadable', retryAfterSeconds: error.retryAfterSeconds };
  }
}

/** Looks at one endpoint's keys, reading only. No key's value leaves this function. */
export async function lookAtKeys(
  rotation: KeyRotation,
  { machineLearning, records, workspaces }: KeyPorts,
  clock: Clock,
): Promise<KeyLook> {
  const now = clock();
  const { record, etag } = await records.read(rotation.name);
  const from = workspaces.get(rotation.workspace);
  const common = { now, rotation, record };
  if (from === undefined) return { facts: { ...common, endpoint: { kind: 'not_found' }, keys: undefined }, etag };
  const endpoint = await asFact(async () => {
    const { id, createdAt, authMode } = await machineLearning.getEndpoint(from.workspace, rotation.endpoint);
    return { id, createdAt, authMode };
  });
  if (endpoint.kind !== 'found' || endpoint.value.authMode !== 'key') {
    return { facts: { ...common, endpoint, keys: undefined }, etag };
  }
  const keys = await asFact(async () => {
    const { primaryKey, secondaryKey } = await machineLearning.listKeys(from.workspace, rotation.endpoint);
    return { primary: hashKey(primaryKey), secondary: hashKey(secondaryKey) };
  });
  return { facts: { ...common, endpoint, keys }, etag };
}

/** More steps than a whole turn has: a plan that never rests is a fault, not work. */
const MAX_STEPS = 20;
/** When a failed step is tried again, where Azure names no time. */
const TRY_AGAIN_SECONDS = 10;

/**
 * Moves the keys of one endpoint on as far as it goes now: look, name the first reason, take its one step, repeat, until
 * there is nothing to do or `until` has come. What it ended with is written down for people (R5).
 *
 * @returns the last plan; its step is `nothing` where the rotation rests.
 * @throws UpstreamError where the record itself cannot be read
 */
export async function rotateKeys(rotation: KeyRotation, until: Date, options: RotateKeysOptions): Promise<KeyPlan> {
  const { ports, clock, log } = options;
  let lastStep: Status['lastStep'];
  for (let steps = 0; ; steps++) {
    const looked = await lookAtKeys(rotation, ports, clock);
    const planned = planKeys(looked.facts);
    const { step } = planned;
    if (step.do === 'nothing' || steps >= MAX_STEPS || clock() >= until) {
      await tell(planned, looked, { lastStep, error: undefined }, options);
      return planned;
    }
    try {
      await takeKeyStep(step, looked.facts, looked.etag, options);
      log.info('key_rotation_step', { rotation: rotation.name, reason: planned.reason, step: step.do });
      lastStep = { at: clock(), step: step.do };
    } catch (thrown) {
      // Somebody else moved it on: look again. Anything else waits for the next round.
      if (thrown instanceof UpstreamError && thrown.kind === 'conflict') continue;
      log.warn('key_rotation_step_failed', { rotation: rotation.name, step: step.do, error: nameError(thrown) });
      const error = { at: clock(), step: step.do, what: nameError(thrown) };
      const failed = failedPlan(thrown, clock());
      // The step may have written the record before it failed.
      const { record, etag } = await ports.records.read(rotation.name);
      await tell(failed, { facts: { ...looked.facts, record }, etag }, { lastStep, error }, options);
      return failed;
    }
  }
}

function failedPlan(thrown: unknown, now: Date): KeyPlan {
  const { kind, retryAfterSeconds } = thrown instanceof UpstreamError ? thrown : {};
  const until = addSeconds(now, retryAfterSeconds ?? TRY_AGAIN_SECONDS);
  return { reason: kind === 'forbidden' ? 'endpoint_forbidden' : 'step_failed', step: { do: 'nothing', until } };
}

/** An unchanged status is written again after this long, so that people see that somebody looks. */
const SAME_STATUS_SECONDS = 600;

/** Writes down what a person can read; nothing depends on it but the order of the next round. */
async function tell(
  { reason, step }: KeyPlan,
  { facts: { record }, etag }: KeyLook,
  { lastStep, error }: Pick<Status, 'lastStep' | 'error'>,
  { ports, clock, log }: RotateKeysOptions,
): Promise<void> {
  const before = record.status;
  const status: Status = {
    at: clock(),
    reason,
    nextAt: step.do === 'nothing' ? step.until : clock(),
    // A key has no end of its own.
    expiresOn: undefined,
    lastStep: lastStep ?? before?.lastStep,
    error: error ?? (lastStep === undefined ? before?.error : undefined),
  };
  const same =
    before?.reason === reason &&
    lastStep === undefined &&
    error === undefined &&
    secondsBetween(before.at, status.at) < SAME_STATUS_SECONDS &&
    !(before.nextAt !== undefined && before.nextAt <= status.at);
  if (same) return;
  try {
    await ports.records.write({ ...record, status }, etag);
  } catch (thrown) {
    log.warn('rotation_status_not_written', { rotation: record.rotation, error: nameError(thrown) });
  }
}
