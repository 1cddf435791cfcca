import { addSeconds, type Clock, secondsBetween } from '../clock.ts';
import { UpstreamError } from '../errors.ts';
import { type Log, nameError } from '../log.ts';
import type { Facts, PlanLimits, Rotation } from './facts.ts';
import { type Plan, plan } from './plan.ts';
import type { RotationPorts } from './ports.ts';
import type { findRemovals } from './removable.ts';
import type { Status } from './runs.ts';
import { pendingName, takeStep } from './take-step.ts';
import type { WriteBudget } from './write-budget.ts';

export interface RotateOptions {
  ports: RotationPorts;
  limits: PlanLimits;
  budget: WriteBudget;
  clock: Clock;
  newId: () => string;
  log: Log;
  /** For the crash matrix, which must notice a weaker rule than findRemovals. */
  removalRule?: typeof findRemovals;
}

/** What one look showed, with the record's mark. */
export interface Look {
  facts: Facts;
  etag: string | undefined;
}

/** Looks at one rotation, reading only. */
export async function look(
  rotation: Rotation,
  { applications, vault, records }: RotationPorts,
  clock: Clock,
): Promise<Look> {
  const now = clock();
  const { record, etag } = await records.read(rotation.name);
  // In the order in which a password goes through them: one that leaves pending meanwhile is seen as the current one.
  const pending = await vault.look(pendingName(rotation.name));
  const current = await vault.look(rotation.name);
  // Key Vault before Graph: a password that a version names was made before the version, so the list may only show more.
  const application = await applications.read(rotation.application);
  return { facts: { now, rotation, record, application, current, pending }, etag };
}

/** More steps than a whole rotation has: a plan that never rests is a fault, not work. */
const MAX_STEPS = 40;
/** When a step that failed, or does not show yet, is tried again, where Azure names no time. */
const TRY_AGAIN_SECONDS = 10;

/**
 * Moves one rotation on as far as it goes now: look, name the first reason, take its one step, repeat, until there is
 * nothing to do or `until` has come. What it ended with is written down for people (R5).
 *
 * @param first a look that is at hand; one that is too old by now decides nothing.
 * @returns the last plan; its step is `nothing` where the rotation rests.
 * @throws UpstreamError where the record itself cannot be read
 */
export async function rotate(rotation: Rotation, until: Date, options: RotateOptions, first?: Look): Promise<Plan> {
  const { ports, limits, clock, log } = options;
  let lastStep: Status['lastStep'];
  let error: Status['error'];
  const removed = new Set<string>();
  for (let steps = 0; ; steps++) {
    const looked = steps === 0 && first !== undefined ? first : await look(rotation, ports, clock);
    const next = plan(looked.facts, limits, options.removalRule);
    const planned = awaitList(next, removed, clock) ?? awaitBudget(next, options.budget);
    const { step } = planned;
    if (step.do === 'nothing' || steps >= MAX_STEPS || secondsBetween(clock(), until) <= 0) {
      await tell(planned, looked, { lastStep, error }, options);
      return planned;
    }
    try {
      await takeStep(step, looked.facts, looked.etag, options);
      log.info('rotation_step', { rotation: rotation.name, reason: planned.reason, step: step.do });
      if (step.do === 'remove') removed.add(step.keyId);
      lastStep = { at: clock(), step: step.do };
      error = undefined;
    } catch (thrown) {
      // Somebody else moved it on: look again. Anything else waits for the next round.
      if (thrown instanceof UpstreamError && thrown.kind === 'conflict') continue;
      log.warn('rotation_step_failed', { rotation: rotation.name, step: step.do, error: nameError(thrown) });
      error = { at: clock(), step: step.do, what: nameError(thrown) };
      const again = thrown instanceof UpstreamError ? thrown.retryAfterSeconds : undefined;
      const failed: Plan = {
        reason: 'step_failed',
        step: { do: 'nothing', until: addSeconds(clock(), again ?? TRY_AGAIN_SECONDS) },
      };
      // The step may have written the record before it failed.
      const { record, etag } = await ports.records.read(rotation.name);
      await tell(failed, { facts: { ...looked.facts, record }, etag }, { lastStep, error }, options);
      return failed;
    }
  }
}

/** Graph's list still shows what was just removed: reads lag writes. The next round sees whether it is gone. */
function awaitList({ reason, step }: Plan, removed: ReadonlySet<string>, clock: Clock): Plan | undefined {
  if (step.do !== 'remove' || !removed.has(step.keyId)) return undefined;
  return { reason, step: { do: 'nothing', until: addSeconds(clock(), TRY_AGAIN_SECONDS) } };
}

/** Steps that write to Graph need a write of the budget. */
function awaitBudget(planned: Plan, budget: WriteBudget): Plan {
  if (planned.step.do !== 'add' && planned.step.do !== 'remove') return planned;
  const until = budget.take();
  return until === undefined ? planned : { reason: 'write_budget', step: { do: 'nothing', until } };
}

/** An unchanged status is written again after this long, so that people see that somebody looks. */
const SAME_STATUS_SECONDS = 600;

/** Writes down what a person can read; nothing depends on it but the order of the next round. */
async function tell(
  { reason, step }: Plan,
  { facts: { record, current }, etag }: Look,
  { lastStep, error }: Pick<Status, 'lastStep' | 'error'>,
  { ports, clock, log }: RotateOptions,
): Promise<void> {
  const before = record.status;
  const status: Status = {
    at: clock(),
    reason,
    nextAt: step.do === 'nothing' ? step.until : clock(),
    expiresOn: current.kind === 'found' ? current.value.expiresOn : undefined,
    lastStep: lastStep ?? before?.lastStep,
    error: error ?? (lastStep === undefined ? before?.error : undefined),
  };
  const same =
    before !== undefined &&
    before.reason === reason &&
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
