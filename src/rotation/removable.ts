import { secondsBetween } from '../clock.ts';
import { type Facts, markOf, type Password, type PlanLimits, type SecretVersion } from './facts.ts';
import { proofComplete } from './proof.ts';

/** Key Vault's times have whole seconds, and its clock is not Graph's or ours. */
const MARGIN_SECONDS = 2;

export interface Removal {
  keyId: string;
  why: 'overlap_over' | 'orphan';
}

/**
 * The one dangerous decision, on facts of one look: a password may go only if it carries our mark (or was adopted), if
 * neither the current nor the pending version names it, and if either its successor has been current for the overlap,
 * or it is an orphan that no step under way can still be about to store.
 *
 * Where the current version does not say which password it holds, nothing is removed.
 */
export function findRemoval(facts: Facts, limits: PlanLimits): Removal | undefined {
  const { application, current, pending, rotation, record } = facts;
  if (application.kind !== 'found' || current.kind !== 'found' || current.value.keyId === undefined) return undefined;
  if (pending.kind !== 'found' && pending.kind !== 'not_found') return undefined;
  const named = new Set([current.value.keyId, pending.kind === 'found' ? pending.value.keyId : undefined]);
  const ours = ({ keyId, displayName }: Password) =>
    displayName?.startsWith(markOf(rotation.name)) === true || record.adopted.includes(keyId);
  for (const password of application.value.passwords) {
    if (!ours(password) || named.has(password.keyId)) continue;
    const why = whyRemovable(password, current.value, facts, limits);
    if (why !== undefined) return { keyId: password.keyId, why };
  }
  return undefined;
}

function whyRemovable(
  { keyId, startsOn }: Password,
  current: SecretVersion,
  { now, rotation, record }: Facts,
  limits: PlanLimits,
): Removal['why'] | undefined {
  const oldEnough = secondsBetween(startsOn, now) >= limits.orphanGraceSeconds + MARGIN_SECONDS;
  const wasCurrent = record.replaced.includes(keyId) || record.adopted.includes(keyId);
  // Made after the current version was written, or in a time that the record covers whole: it has never been current.
  const neverCurrent = !wasCurrent && (startsOn > current.createdOn || record.promoted === current.keyId);
  if (neverCurrent) return oldEnough ? 'orphan' : undefined;
  const compromised = record.attempt?.why === 'compromised' && record.attempt.rotationId === current.rotationId;
  const overlap = compromised ? 0 : rotation.overlapSeconds + MARGIN_SECONDS;
  const overlapOver = secondsBetween(current.createdOn, now) >= overlap;
  const currentProved = proofComplete(record.proof, 'current', current.keyId, limits);
  // Without a record of it, it may be a predecessor or an orphan: then both conditions must hold.
  return overlapOver && currentProved && (wasCurrent || oldEnough) ? 'overlap_over' : undefined;
}
