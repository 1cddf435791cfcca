import { addSeconds, secondsBetween } from '../clock.ts';
import type { PlanLimits, Proof } from './facts.ts';

/** True when this very password has signed in K times in a row over at least the spread. */
export function proofComplete(
  proof: Proof | undefined,
  of: Proof['of'],
  keyId: string | undefined,
  { proofs, spreadSeconds }: PlanLimits,
): boolean {
  if (proof === undefined || proof.of !== of || proof.keyId !== keyId || proof.refused !== undefined) return false;
  if (proof.successes < proofs || proof.firstAt === undefined || proof.lastTriedAt === undefined) return false;
  return proofs === 1 || secondsBetween(proof.firstAt, proof.lastTriedAt) >= spreadSeconds;
}

/** When the next sign-in of a proof is due; now, where none was tried yet. */
export function nextProofAt(
  proof: Proof | undefined,
  of: Proof['of'],
  keyId: string,
  { proofs, spreadSeconds }: PlanLimits,
  now: Date,
): Date {
  if (proof === undefined || proof.of !== of || proof.keyId !== keyId || proof.lastTriedAt === undefined) return now;
  const step = proofs === 1 ? spreadSeconds : spreadSeconds / (proofs - 1);
  return addSeconds(proof.lastTriedAt, step);
}

/** The proof after one more sign-in. */
export function afterSignIn(
  before: Proof | undefined,
  of: Proof['of'],
  keyId: string,
  outcome: 'signed_in' | 'unknown' | 'expired',
  now: Date,
): Proof {
  const same = before !== undefined && before.of === of && before.keyId === keyId ? before : undefined;
  if (outcome !== 'signed_in') {
    return { keyId, of, successes: 0, firstAt: undefined, lastTriedAt: now, refused: outcome };
  }
  return {
    keyId,
    of,
    successes: (same?.successes ?? 0) + 1,
    firstAt: same?.firstAt ?? now,
    lastTriedAt: now,
    refused: undefined,
  };
}
