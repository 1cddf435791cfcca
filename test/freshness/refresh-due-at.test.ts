import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { addSeconds } from '../../src/clock.ts';
import { refreshDueAt } from '../../src/freshness/endpoint-tokens.ts';
import { anEndpointToken } from '../support/builders.ts';

const obtainedAt = new Date('2026-11-22T10:00:00.000Z');
const dueAfter = (refreshAfterSeconds: number, aheadSeconds: number): number =>
  (refreshDueAt(
    anEndpointToken({ obtainedAt, refreshBy: addSeconds(obtainedAt, refreshAfterSeconds) }),
    aheadSeconds,
  ).getTime() -
    obtainedAt.getTime()) /
  1000;

describe('refreshDueAt', () => {
  it.each([
    ['refreshAheadSeconds before refreshBy for a token that lives long', 43_200, 600, 42_600],
    ['three quarters of the way to refreshBy for a token that lives short', 30, 600, 22.5],
    ['the same by both rules where they meet', 2400, 600, 1800],
    ['at refreshBy where nothing is to be ahead', 1800, 0, 1800],
    ['at once for a token whose refreshBy is the moment it came', 0, 600, 0],
    ['at refreshBy, not after it, for a token that came late', -10, 600, -10],
  ])('is %s', (_what, refreshAfterSeconds, aheadSeconds, expected) => {
    expect(dueAfter(refreshAfterSeconds, aheadSeconds)).toBe(expected);
  });

  it('is in the last quarter of the time to refreshBy for any sane token', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 172_800 }),
        fc.integer({ min: 0, max: 86_400 }),
        (refreshAfterSeconds, aheadSeconds) => {
          const due = dueAfter(refreshAfterSeconds, aheadSeconds);
          expect(due).toBeGreaterThanOrEqual(refreshAfterSeconds * 0.75 - 0.001);
          expect(due).toBeLessThanOrEqual(refreshAfterSeconds);
          expect(refreshAfterSeconds - due).toBeLessThanOrEqual(aheadSeconds);
        },
      ),
    );
  });
});
