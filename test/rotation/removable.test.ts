import { describe, expect, it } from 'vitest';
import { addSeconds } from '../../src/clock.ts';
import { type Facts, newRecord, type Password, type RotationRecord } from '../../src/rotation/facts.ts';
import { findRemovals } from '../../src/rotation/removable.ts';

/** Which passwords may go, and from when on: the one dangerous decision, said exactly. */

const now = new Date('2026-11-22T12:00:00.000Z');
const ago = (seconds: number) => addSeconds(now, -seconds);
const DAY = 86_400;
const limits = { proofs: 1, spreadSeconds: 0, orphanGraceSeconds: 1200 };
const rotation = {
  name: 'trainer-password',
  tenantId: 'tenant',
  clientId: 'client',
  application: 'object',
  rotateEverySeconds: 30 * DAY,
  lifetimeSeconds: 90 * DAY,
  overlapSeconds: 7200,
};
const CURRENT_FROM = ago(3600);

const password = (keyId: string, startsOn: Date, more: Partial<Password> = {}): Password => ({
  keyId,
  displayName: `aml-token-broker/trainer-password/${keyId}`,
  startsOn,
  endsOn: addSeconds(startsOn, 90 * DAY),
  ...more,
});
const versionOf = (keyId: string | undefined, createdOn: Date) => ({
  version: 'v',
  createdOn,
  expiresOn: undefined,
  keyId,
  rotation: rotation.name,
  rotationId: `attempt-of-${keyId}`,
  versions: 1,
});
const proof = { keyId: 'k1', of: 'current', successes: 1, firstAt: now, lastTriedAt: now, refused: undefined } as const;

const facts = (passwords: Password[], record: Partial<RotationRecord> = {}, changes: Partial<Facts> = {}): Facts => ({
  now,
  rotation,
  record: { ...newRecord(rotation.name), promoted: 'k1', proof, ...record },
  application: { kind: 'found', value: { appId: 'client', passwords: [password('k1', ago(4000)), ...passwords] } },
  current: { kind: 'found', value: versionOf('k1', CURRENT_FROM) },
  pending: { kind: 'not_found' },
  ...changes,
});

describe('a predecessor', () => {
  const old = password('k0', ago(40 * DAY));
  const record = { replaced: ['k0'] };

  it('R2: goes when its successor has been current for the overlap and two seconds', () => {
    expect(findRemovals(facts([old], record), limits)).toEqual([
      { keyId: 'k0', why: 'overlap_over', at: addSeconds(CURRENT_FROM, 7202) },
    ]);
  });

  it('R2: does not go while its successor is not proved, or another one is', () => {
    expect(findRemovals(facts([old], { ...record, proof: undefined }), limits)).toEqual([]);
    expect(findRemovals(facts([old], { ...record, proof: { ...proof, of: 'pending' } }), limits)).toEqual([]);
    expect(findRemovals(facts([old], { ...record, proof: { ...proof, keyId: 'k0' } }), limits)).toEqual([]);
  });

  it('R2: goes at once where the attempt that made its successor was asked for as compromised', () => {
    const attempt = { rotationId: 'attempt-of-k1', why: 'compromised', begunAt: now, addTriedAt: now } as const;
    const at = (why: Partial<typeof attempt> | { why: 'due' }) =>
      findRemovals(facts([old], { ...record, attempt: { ...attempt, ...why } }), limits)[0]?.at;
    expect(at({})).toEqual(CURRENT_FROM);
    expect(at({ why: 'due' })).toEqual(addSeconds(CURRENT_FROM, 7202));
    const another = { ...record, attempt: { ...attempt, rotationId: 'another' } };
    expect(findRemovals(facts([old], another), limits)[0]?.at).toEqual(addSeconds(CURRENT_FROM, 7202));
  });

  it('R3: is anybody’s password that the broker was told to adopt', () => {
    const foreign = password('k8', ago(40 * DAY), { displayName: undefined });
    expect(findRemovals(facts([foreign]), limits)).toEqual([]);
    expect(findRemovals(facts([foreign], { adopted: ['k8'] }), limits)).toMatchObject([
      { keyId: 'k8', why: 'overlap_over' },
    ]);
  });
});

describe('an orphan', () => {
  it('R3: goes after the grace and two seconds, where the record saw the current one become current', () => {
    const lost = password('k9', ago(5000));
    expect(findRemovals(facts([lost]), limits)).toEqual([
      { keyId: 'k9', why: 'orphan', at: addSeconds(lost.startsOn, 1202) },
    ]);
  });

  it('R3: is one that was made after the current version was written, whatever the record saw', () => {
    const lost = password('k9', ago(3599));
    expect(findRemovals(facts([lost], { promoted: undefined, proof: undefined }), limits)).toEqual([
      { keyId: 'k9', why: 'orphan', at: addSeconds(lost.startsOn, 1202) },
    ]);
  });

  it('R2: that may have been current waits for the overlap and the grace, whichever is longer', () => {
    const maybe = (startsOn: Date) =>
      findRemovals(facts([password('k9', startsOn)], { promoted: undefined }), {
        ...limits,
        orphanGraceSeconds: 10_000,
      })[0];
    expect(maybe(ago(40 * DAY))).toEqual({ keyId: 'k9', why: 'overlap_over', at: addSeconds(CURRENT_FROM, 7202) });
    expect(maybe(CURRENT_FROM)).toEqual({ keyId: 'k9', why: 'overlap_over', at: addSeconds(CURRENT_FROM, 10_002) });
  });
});

describe('nothing goes', () => {
  const old = password('k0', ago(40 * DAY));
  const record = { replaced: ['k0'] };

  it('R1: that current or pending names', () => {
    const pending = { kind: 'found', value: versionOf('k0', now) } as const;
    expect(findRemovals(facts([old], record, { pending }), limits)).toEqual([]);
    expect(findRemovals(facts([], { replaced: ['k1'] }), limits)).toEqual([]);
  });

  it('R3: that has another’s mark, or none', () => {
    for (const displayName of [
      undefined,
      '',
      'by hand',
      'aml-token-broker/another/k0',
      'aml-token-broker/trainer-passwords/k0',
    ]) {
      expect(findRemovals(facts([password('k0', ago(40 * DAY), { displayName })]), limits)).toEqual([]);
    }
  });

  it.each<[string, Partial<Facts>]>([
    ['the application', { application: { kind: 'unreadable', retryAfterSeconds: undefined } }],
    ['current', { current: { kind: 'unreadable', retryAfterSeconds: undefined } }],
    ['pending', { pending: { kind: 'unreadable', retryAfterSeconds: undefined } }],
    ['a pending that is disabled', { pending: { kind: 'disabled' } }],
    ['a pending that is deleted', { pending: { kind: 'deleted' } }],
    ['a pending that is forbidden', { pending: { kind: 'forbidden' } }],
    ['a current that does not exist', { current: { kind: 'not_found' } }],
    ['which password current holds', { current: { kind: 'found', value: versionOf(undefined, CURRENT_FROM) } }],
  ])('R1: while it is not known: %s', (_what, changes) => {
    expect(findRemovals(facts([old], record, changes), limits)).toEqual([]);
  });
});

it('tells the soonest removal first', () => {
  const passwords = [password('late', ago(100)), password('soon', ago(3000)), password('middle', ago(1000))];
  expect(findRemovals(facts(passwords), limits).map(({ keyId }) => keyId)).toEqual(['soon', 'middle', 'late']);
});
