import { type Clock, secondsBetween } from '../clock.ts';
import { UpstreamError } from '../errors.ts';
import { type Log, nameError } from '../log.ts';
import type { Facts, PlanLimits, Rotation } from './facts.ts';
import { type Plan, plan } from './plan.ts';
import type { RotationPorts } from './ports.ts';
import type { findRemoval } from './removable.ts';
import { pendingName, takeStep } from './take-step.ts';

export interface RotateOptions {
  ports: RotationPorts;
  limits: PlanLimits;
  clock: Clock;
  newId: () => string;
  log: Log;
  /** For the crash matrix, which must notice a weaker rule than findRemoval. */
  removalRule?: typeof findRemoval;
}

/** What one look at a rotation showed, with the record's mark. */
export async function look(
  rotation: Rotation,
  { applications, vault, records }: RotationPorts,
  clock: Clock,
): Promise<{ facts: Facts; etag: string | undefined }> {
  const now = clock();
  const { record, etag } = await records.read(rotation.name);
  // Key Vault before Graph: a password that a version names was made before the version, so the list may only show more.
  const [current, pending] = await Promise.all([vault.look(rotation.name), vault.look(pendingName(rotation.name))]);
  const application = await applications.read(rotation.application);
  return { facts: { now, rotation, record, application, current, pending }, etag };
}

/** More steps than a whole rotation has: a plan that never rests is a fault, not work. */
const MAX_STEPS = 40;

/**
 * Moves one rotation on as far as it goes now: look, name the first reason, take its one step, repeat, until there is
 * nothing to do or `until` has come.
 *
 * @returns the last plan; its step is `nothing` where the rotation rests.
 */
export async function rotate(rotation: Rotation, until: Date, options: RotateOptions): Promise<Plan> {
  const { ports, limits, clock, log } = options;
  for (let steps = 0; ; steps++) {
    const { facts, etag } = await look(rotation, ports, clock);
    const planned = plan(facts, limits, options.removalRule);
    if (planned.step.do === 'nothing' || steps >= MAX_STEPS || secondsBetween(clock(), until) <= 0) return planned;
    try {
      await takeStep(planned.step, facts, etag, options);
      log.info('rotation_step', { rotation: rotation.name, reason: planned.reason, step: planned.step.do });
    } catch (error) {
      log.warn('rotation_step_failed', { rotation: rotation.name, step: planned.step.do, error: nameError(error) });
      // Somebody else moved it on: look again. Anything else waits for the next round.
      if (!(error instanceof UpstreamError) || error.kind !== 'conflict') return planned;
    }
  }
}
