import { addSeconds } from '../clock.ts';
import { type Facts, markOf, type Password, type PlanLimits, type SecretVersion } from './facts.ts';
import { proofComplete } from './proof.ts';

/** Key Vault's times have whole seconds, and its clock is not Graph's or ours. */
const MARGIN_SECONDS = 2;

export interface Removal {
  keyId: string;
  why: 'overlap_over' | 'orphan';
  /** From when on it may go. */
  at: Date;
}

/**
 * The one dangerous decision, on facts of one look: a password may go only if it carries our mark (or was adopted), if
 * neither the current nor the pending version names it, and if either its successor has been current for the overlap,
 * or it is an orphan that no step under way can still be about to store.
 *
 * Where the current version does not say which password it holds, nothing is removed.
 *
 * @returns the removals that are allowed now or will be, the soonest first.
 */
export function findRemovals(facts: Facts, limits: PlanLimits): Removal[] {
  const { application, current, pending, rotation, record } = facts;
  if (application.kind !== 'found' || current.kind !== 'found' || current.value.keyId === undefined) return [];
  if (pending.kind !== 'found' && pending.kind !== 'not_found') return [];
  const named = new Set([current.value.keyId, pending.kind === 'found' ? pending.value.keyId : undefined]);
  const ours = ({ keyId, displayName }: Password) =>
    displayName?.startsWith(markOf(rotation.name)) === true || record.adopted.includes(keyId);
  const removals: Removal[] = [];
  for (const password of application.value.passwords) {
    if (!ours(password) || named.has(password.keyId)) continue;
    const removal = whenRemovable(password, current.value, facts, limits);
    if (removal !== undefined) removals.push(removal);
  }
  return removals.sort((one, other) => one.at.getTime() - other.at.getTime());
}

function whenRemovable(
  { keyId, startsOn }: Password,
  current: SecretVersion,
  { rotation, record }: Facts,
  limits: PlanLimits,
): Removal | undefined {
  const graceOver = addSeconds(startsOn, limits.orphanGraceSeconds + MARGIN_SECONDS);
  const wasCurrent = record.replaced.includes(keyId) || record.adopted.includes(keyId);
  // Made after the current version was written, or in a time that the record covers whole: it has never been current.
  const neverCurrent = !wasCurrent && (startsOn > current.createdOn || record.promoted === current.keyId);
  if (neverCurrent) return { keyId, why: 'orphan', at: graceOver };
  if (!proofComplete(record.proof, 'current', current.keyId, limits)) return undefined;
  const compromised = record.attempt?.why === 'compromised' && record.attempt.rotationId === current.rotationId;
  const overlapOver = compromised
    ? current.createdOn
    : addSeconds(current.createdOn, rotation.overlapSeconds + MARGIN_SECONDS);
  // Without a record of it, it may be a predecessor or an orphan: then both conditions must hold.
  return { keyId, why: 'overlap_over', at: wasCurrent || graceOver < overlapOver ? overlapOver : graceOver };
}
