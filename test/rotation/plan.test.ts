import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { addSeconds } from '../../src/clock.ts';
import {
  type Facts,
  newRecord,
  type Password,
  type PlanLimits,
  type RotationRecord,
  type SecretVersion,
} from '../../src/rotation/facts.ts';
import { plan } from '../../src/rotation/plan.ts';
import { findRemovals } from '../../src/rotation/removable.ts';
import type { Run } from '../../src/rotation/runs.ts';

const now = new Date('2026-11-22T12:00:00.000Z');
const ago = (seconds: number) => addSeconds(now, -seconds);
const DAY = 86_400;
const limits: PlanLimits = { proofs: 3, spreadSeconds: 60, orphanGraceSeconds: 1200 };

const rotation = {
  name: 'trainer-password',
  tenantId: 'tenant',
  clientId: 'client',
  application: 'object',
  rotateEverySeconds: 30 * DAY,
  lifetimeSeconds: 90 * DAY,
  overlapSeconds: DAY,
};

const record = newRecord(rotation.name);

const attempt = { rotationId: 'a', why: 'due', begunAt: now, addTriedAt: undefined } as const;
const run = (reason: Run['reason']): Run => ({
  id: 'run',
  reason,
  requestedAt: now,
  rotationId: undefined,
  doneAt: undefined,
});

const password = (keyId: string, madeAgoSeconds: number, more: Partial<Password> = {}): Password => ({
  keyId,
  displayName: `aml-token-broker/trainer-password/${keyId}`,
  startsOn: ago(madeAgoSeconds),
  endsOn: addSeconds(ago(madeAgoSeconds), 90 * DAY),
  ...more,
});

const version = (
  keyId: string | undefined,
  writtenAgoSeconds: number,
  more: Partial<SecretVersion> = {},
): SecretVersion => ({
  version: `version-of-${keyId}`,
  createdOn: ago(writtenAgoSeconds),
  expiresOn: addSeconds(now, 60 * DAY),
  keyId,
  rotation: keyId === undefined ? undefined : rotation.name,
  rotationId: keyId === undefined ? undefined : `attempt-of-${keyId}`,
  versions: 2,
  ...more,
});

const proved = (of: 'pending' | 'current', keyId: string) => ({
  keyId,
  of,
  successes: 3,
  firstAt: ago(90),
  lastTriedAt: ago(30),
  refused: undefined,
});

interface Seen {
  passwords?: Password[];
  current?: SecretVersion | Facts['current'];
  pending?: SecretVersion | Facts['pending'];
  record?: Partial<RotationRecord>;
  application?: Facts['application'];
}

const asFact = (seen: SecretVersion | Facts['current'] | undefined): Facts['current'] =>
  seen === undefined ? { kind: 'not_found' } : 'kind' in seen ? seen : { kind: 'found', value: seen };

const see = ({ passwords = [], current, pending, record: changes = {}, application }: Seen): Facts => ({
  now,
  rotation,
  record: { ...record, ...changes },
  application: application ?? { kind: 'found', value: { appId: 'client', passwords } },
  current: asFact(current),
  pending: asFact(pending),
});

/** One broker-made password, current and proved. */
const settled: Seen = {
  passwords: [password('k1', 5 * DAY)],
  current: version('k1', 5 * DAY),
  pending: version('k1', 5 * DAY),
  record: { proof: proved('current', 'k1'), promoted: 'k1' },
};

describe('the first reason that applies', () => {
  it.each<[string, Seen, string, string]>([
    ['a fresh secret', settled, 'settled', 'nothing'],
    ['no secret at all', {}, 'first', 'begin'],
    ['a secret that somebody else wrote', { current: version(undefined, DAY) }, 'edited', 'begin'],
    [
      'a secret as old as the period',
      {
        ...settled,
        current: version('k1', 30 * DAY),
        pending: version('k1', 30 * DAY),
        passwords: [password('k1', 30 * DAY)],
      },
      'due',
      'begin',
    ],
    [
      'an expired password',
      { ...settled, passwords: [password('k1', 5 * DAY, { endsOn: ago(1) })] },
      'expired',
      'begin',
    ],
    [
      'a password that ends within the overlap',
      { ...settled, passwords: [password('k1', 5 * DAY, { endsOn: addSeconds(now, DAY / 2) })] },
      'expiring',
      'begin',
    ],
    [
      'a current secret that Entra does not know',
      { ...settled, record: { proof: { ...proved('current', 'k1'), successes: 0, refused: 'unknown' } } },
      'gone',
      'begin',
    ],
    [
      'a request',
      { ...settled, record: { ...settled.record, runs: [run('requested'), run('compromised')] } },
      'compromised',
      'begin',
    ],
    ['an attempt that was written down', { ...settled, record: { attempt } }, 'attempt_begun', 'add'],
    [
      'a request while an attempt waits to be added',
      { ...settled, record: { attempt, runs: [run('requested')] } },
      'requested',
      'begin',
    ],
    [
      'a refused life, a day later',
      { ...settled, record: { attempt, addRefused: { why: 'lifetime_refused', of: 90 * DAY, at: ago(DAY) } } },
      'attempt_begun',
      'add',
    ],
    [
      'a refused life that the config no longer asks for',
      { ...settled, record: { attempt, addRefused: { why: 'lifetime_refused', of: 80 * DAY, at: now } } },
      'attempt_begun',
      'add',
    ],
    [
      'no room for a password, ten minutes later',
      { ...settled, record: { attempt, addRefused: { why: 'too_many_passwords', of: 90 * DAY, at: ago(600) } } },
      'attempt_begun',
      'add',
    ],
    [
      'a version whose own expiry has passed',
      { ...settled, current: version('k1', 5 * DAY, { expiresOn: ago(1) }) },
      'expired',
      'begin',
    ],
    [
      'a proved current secret whose password Graph does not list any more',
      { ...settled, passwords: [], record: { proof: { ...proved('current', 'k1'), lastTriedAt: ago(61) } } },
      'current_unproved',
      'prove',
    ],
    [
      'an addPassword whose answer may be under way',
      { ...settled, record: { attempt: { rotationId: 'a', why: 'due', begunAt: ago(20), addTriedAt: ago(10) } } },
      'answer_awaited',
      'nothing',
    ],
    [
      'an addPassword whose answer was lost',
      { ...settled, record: { attempt: { rotationId: 'a', why: 'due', begunAt: ago(100), addTriedAt: ago(61) } } },
      'text_lost',
      'begin',
    ],
    [
      'a pending password',
      { ...settled, pending: version('k2', 10), passwords: [password('k2', 12), password('k1', 31 * DAY)] },
      'pending_unproved',
      'prove',
    ],
    [
      'a proved pending password',
      {
        ...settled,
        pending: version('k2', 100),
        passwords: [password('k2', 101), password('k1', 31 * DAY)],
        record: { proof: proved('pending', 'k2') },
      },
      'pending_proved',
      'promote',
    ],
    [
      'a pending password deleted in the portal',
      {
        ...settled,
        pending: version('k2', 400),
        record: { proof: { ...proved('pending', 'k2'), successes: 0, refused: 'unknown' } },
      },
      'pending_unusable',
      'begin',
    ],
    ['a current secret not proved yet', { ...settled, record: { promoted: 'k1' } }, 'current_unproved', 'prove'],
    [
      'R3: an orphan after the grace',
      { ...settled, passwords: [password('k1', 5 * DAY), password('k9', 1300)] },
      'orphan',
      'remove',
    ],
    [
      'R2: a predecessor after the overlap',
      {
        ...settled,
        passwords: [password('k1', 5 * DAY), password('k0', 40 * DAY)],
        record: { ...settled.record, replaced: ['k0'] },
      },
      'overlap_over',
      'remove',
    ],
  ])('%s', (_state, seen, reason, step) => {
    const planned = plan(see(seen), limits);
    expect([planned.reason, planned.step.do]).toEqual([reason, step]);
  });

  it.each<[string, Seen]>([
    ['not_owned', { application: { kind: 'forbidden' } }],
    ['application_not_found', { application: { kind: 'not_found' } }],
    ['wrong_application', { application: { kind: 'found', value: { appId: 'another', passwords: [] } } }],
    ['unreadable', { application: { kind: 'unreadable', retryAfterSeconds: 7 } }],
    ['unreadable', { current: { kind: 'unreadable', retryAfterSeconds: undefined } }],
    ['vault_forbidden', { current: { kind: 'forbidden' } }],
    ['secret_disabled', { current: { kind: 'disabled' } }],
    ['secret_deleted', { current: { kind: 'deleted' } }],
    ['pending_disabled', { pending: { kind: 'disabled' } }],
    ['pending_deleted', { pending: { kind: 'deleted' } }],
    [
      'lifetime_refused',
      { record: { attempt, addRefused: { why: 'lifetime_refused', of: 90 * DAY, at: ago(DAY - 1) } } },
    ],
    [
      'too_many_passwords',
      { record: { attempt, addRefused: { why: 'too_many_passwords', of: 90 * DAY, at: ago(599) } } },
    ],
    ['too_many_versions', { ...settled, current: version('k1', 5 * DAY, { versions: 501 }) }],
  ])('%s: waits for a person or a later look, whatever else is due', (reason, seen) => {
    expect(plan(see(seen), limits)).toMatchObject({ reason, step: { do: 'nothing' } });
  });
});

describe('what is never removed', () => {
  const ids = ['k1', 'k2', 'k3', 'k4'];
  const anyFacts = fc
    .record({
      ages: fc.array(fc.integer({ min: 0, max: 60 * DAY }), { minLength: 4, maxLength: 4 }),
      foreign: fc.array(fc.boolean(), { minLength: 4, maxLength: 4 }),
      current: fc.option(fc.constantFrom(...ids), { nil: undefined }),
      pending: fc.option(fc.constantFrom(...ids), { nil: undefined }),
      written: fc.integer({ min: 0, max: 40 * DAY }),
      replaced: fc.subarray(ids),
      adopted: fc.subarray(ids),
      promoted: fc.option(fc.constantFrom(...ids), { nil: undefined }),
      proof: fc.boolean(),
      kind: fc.constantFrom('found', 'not_found', 'disabled', 'deleted', 'forbidden', 'unreadable'),
    })
    .map((some): Facts => {
      const passwords = ids.map((id, at) =>
        password(id, some.ages[at] ?? 0, some.foreign[at] === true ? { displayName: 'made in the portal' } : {}),
      );
      const pendingFact = (): Facts['pending'] => {
        if (some.kind === 'found')
          return asFact(some.pending === undefined ? undefined : version(some.pending, some.written));
        return some.kind === 'unreadable'
          ? { kind: 'unreadable', retryAfterSeconds: undefined }
          : { kind: narrow(some.kind) };
      };
      return see({
        passwords,
        current: version(some.current, some.written),
        pending: pendingFact(),
        record: {
          replaced: some.replaced,
          adopted: some.adopted,
          promoted: some.promoted,
          proof: some.proof && some.current !== undefined ? proved('current', some.current) : undefined,
        },
      });
    });
  const narrow = (kind: string) =>
    kind === 'disabled' || kind === 'deleted' || kind === 'forbidden' ? kind : ('not_found' as const);

  it('R1, R3: nothing that current or pending names, nothing foreign, nothing while either cannot be read', () => {
    fc.assert(
      fc.property(anyFacts, (facts) => {
        const removal = findRemovals(facts, limits).find(({ at }) => at <= now);
        if (removal === undefined) return;
        const { application, current, pending, record: known } = facts;
        const made =
          application.kind === 'found'
            ? application.value.passwords.find(({ keyId }) => keyId === removal.keyId)
            : undefined;
        expect(made?.displayName?.startsWith('aml-token-broker/') || known.adopted.includes(removal.keyId)).toBe(true);
        expect(
          current.kind === 'found' && current.value.keyId !== undefined && current.value.keyId !== removal.keyId,
        ).toBe(true);
        expect(
          pending.kind === 'not_found' || (pending.kind === 'found' && pending.value.keyId !== removal.keyId),
        ).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });

  it('R2: nothing that may have been current before its successor has been current for the overlap', () => {
    fc.assert(
      fc.property(anyFacts, (facts) => {
        const removal = findRemovals(facts, limits).find(({ at }) => at <= now);
        const { application, current, record: known } = facts;
        if (removal?.why !== 'overlap_over' || application.kind !== 'found' || current.kind !== 'found') return;
        expect(now.getTime() - current.value.createdOn.getTime()).toBeGreaterThanOrEqual(
          rotation.overlapSeconds * 1000,
        );
        expect(known.proof).toMatchObject({ of: 'current', keyId: current.value.keyId });
      }),
      { numRuns: 2000 },
    );
  });

  it('R3: no orphan before the grace, because a step under way may still store it', () => {
    fc.assert(
      fc.property(anyFacts, (facts) => {
        const removal = findRemovals(facts, limits).find(({ at }) => at <= now);
        if (removal?.why !== 'orphan' || facts.application.kind !== 'found') return;
        const made = facts.application.value.passwords.find(({ keyId }) => keyId === removal.keyId);
        expect(now.getTime() - (made?.startsOn.getTime() ?? 0)).toBeGreaterThanOrEqual(
          limits.orphanGraceSeconds * 1000,
        );
      }),
      { numRuns: 2000 },
    );
  });
});
