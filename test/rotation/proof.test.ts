import { describe, expect, it } from 'vitest';
import { addSeconds } from '../../src/clock.ts';
import type { PlanLimits, Proof } from '../../src/rotation/facts.ts';
import { afterSignIn, nextProofAt, proofComplete } from '../../src/rotation/proof.ts';

const START = new Date('2026-11-22T10:00:00.000Z');
const at = (seconds: number) => addSeconds(START, seconds);
const limits: PlanLimits = { proofs: 3, spreadSeconds: 60, orphanGraceSeconds: 1200 };
const one: PlanLimits = { ...limits, proofs: 1 };

/** Sign-ins at these seconds; a negative one is refused. */
const signedInAt = (...seconds: number[]): Proof | undefined =>
  seconds.reduce<Proof | undefined>(
    (proof, second) => afterSignIn(proof, 'pending', 'k1', second < 0 ? 'unknown' : 'signed_in', at(Math.abs(second))),
    undefined,
  );
const complete = (proof: Proof | undefined, with_: PlanLimits = limits) => proofComplete(proof, 'pending', 'k1', with_);

describe('a proof', () => {
  it('is K sign-ins in a row over at least the spread', () => {
    expect(complete(signedInAt(0, 30, 60))).toBe(true);
    expect(complete(signedInAt(0, 20, 40, 60))).toBe(true);
    expect(complete(signedInAt(0, 60))).toBe(false);
    expect(complete(signedInAt(0, 30, 59.9))).toBe(false);
    expect(complete(undefined)).toBe(false);
  });

  it('begins its count again at a refusal, not the rotation', () => {
    expect(complete(signedInAt(0, 30, -45, 60))).toBe(false);
    expect(complete(signedInAt(0, 30, -45, 60, 90, 120))).toBe(true);
    expect(signedInAt(0, -30)).toEqual({
      keyId: 'k1',
      of: 'pending',
      successes: 0,
      firstAt: undefined,
      lastTriedAt: at(30),
      refused: 'unknown',
    });
  });

  it('of one sign-in needs no spread', () => {
    expect(complete(signedInAt(0), one)).toBe(true);
    expect(complete(signedInAt(-1), one)).toBe(false);
  });

  it('counts for its own password, and for its own place, alone', () => {
    const proof = signedInAt(0, 30, 60);
    expect(proofComplete(proof, 'pending', 'k2', limits)).toBe(false);
    expect(proofComplete(proof, 'current', 'k1', limits)).toBe(false);
    expect(afterSignIn(proof, 'current', 'k1', 'signed_in', at(90))).toMatchObject({ successes: 1, firstAt: at(90) });
    expect(afterSignIn(proof, 'pending', 'k2', 'signed_in', at(90))).toMatchObject({ successes: 1, firstAt: at(90) });
    expect(afterSignIn(proof, 'pending', 'k1', 'signed_in', at(90))).toMatchObject({ successes: 4, firstAt: START });
  });

  it('that is refused is not complete, however often it signed in before', () => {
    expect(complete({ ...(signedInAt(0, 30, 60) ?? fail()), refused: 'expired' })).toBe(false);
  });

  it('goes on evenly over the spread, at once where nothing was tried', () => {
    const next = (proof: Proof | undefined, with_ = limits, keyId = 'k1', of: Proof['of'] = 'pending') =>
      nextProofAt(proof, of, keyId, with_, at(500));
    expect(next(undefined)).toEqual(at(500));
    expect(next(signedInAt(10))).toEqual(at(40));
    expect(next(signedInAt(10, -40))).toEqual(at(70));
    expect(next(signedInAt(10), one)).toEqual(at(70));
    expect(next(signedInAt(10), { ...limits, proofs: 4 })).toEqual(at(30));
    expect(next(signedInAt(10), limits, 'k2')).toEqual(at(500));
    expect(next(signedInAt(10), limits, 'k1', 'current')).toEqual(at(500));
  });
});

function fail(): never {
  throw new Error('there is no proof');
}
