import { describe, expect, it } from 'vitest';
import { addSeconds } from '../../src/clock.ts';
import {
  type Fact,
  type Facts,
  newRecord,
  type Password,
  type PlanLimits,
  type Proof,
  type RotationRecord,
  type SecretVersion,
} from '../../src/rotation/facts.ts';
import { plan } from '../../src/rotation/plan.ts';

/** Where one reason ends and the next begins: the instants and limits of the plan, each from both sides. */

const now = new Date('2026-11-22T12:00:00.000Z');
const ago = (seconds: number) => addSeconds(now, -seconds);
const ahead = (seconds: number) => addSeconds(now, seconds);
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

const password = (keyId: string, more: Partial<Password> = {}): Password => ({
  keyId,
  displayName: `aml-token-broker/trainer-password/${keyId}`,
  startsOn: ago(5 * DAY),
  endsOn: ahead(60 * DAY),
  ...more,
});
const version = (keyId: string, more: Partial<SecretVersion> = {}): SecretVersion => ({
  version: `version-of-${keyId}`,
  createdOn: ago(5 * DAY),
  expiresOn: ahead(60 * DAY),
  keyId,
  rotation: rotation.name,
  rotationId: `attempt-of-${keyId}`,
  versions: 2,
  ...more,
});
const proof = (of: Proof['of'], keyId: string, more: Partial<Proof> = {}): Proof => ({
  keyId,
  of,
  successes: 3,
  firstAt: ago(90),
  lastTriedAt: ago(30),
  refused: undefined,
  ...more,
});
const refused = (of: Proof['of'], keyId: string, as: 'unknown' | 'expired', lastTriedAt = ago(100)): Proof =>
  proof(of, keyId, { successes: 0, firstAt: undefined, refused: as, lastTriedAt });

interface Seen {
  passwords?: Password[];
  current?: SecretVersion | undefined;
  pending?: SecretVersion;
  record?: Partial<RotationRecord>;
}
const fact = <T>(value: T | undefined): Fact<T> =>
  value === undefined ? { kind: 'not_found' } : { kind: 'found', value };

/** Settled: k1 is current, proved and young. What is given replaces that. */
const see = (seen: Seen): Facts => ({
  now,
  rotation,
  record: { ...newRecord(rotation.name), promoted: 'k1', proof: proof('current', 'k1'), ...seen.record },
  application: { kind: 'found', value: { appId: 'client', passwords: seen.passwords ?? [password('k1')] } },
  current: fact('current' in seen ? seen.current : version('k1')),
  pending: fact(seen.pending),
});
const planned = (seen: Seen) => plan(see(seen), limits);
const reasonOf = (seen: Seen) => planned(seen).reason;
const untilOf = (seen: Seen) => {
  const { step } = planned(seen);
  return step.do === 'nothing' ? step.until : step.do;
};

describe('when a look could not read', () => {
  it('waits as long as Azure says, else a minute; Key Vault’s refusal of pending counts as of current', () => {
    const wait = (retryAfterSeconds: number | undefined) =>
      plan({ ...see({}), pending: { kind: 'unreadable', retryAfterSeconds } }, limits);
    expect(wait(7)).toEqual({ reason: 'unreadable', step: { do: 'nothing', until: ahead(7) } });
    expect(wait(undefined)).toEqual({ reason: 'unreadable', step: { do: 'nothing', until: ahead(60) } });
    expect(plan({ ...see({}), pending: { kind: 'forbidden' } }, limits).reason).toBe('vault_forbidden');
  });

  it.each(['deleted', 'disabled'] as const)('an application that is %s is none', (kind) => {
    expect(plan({ ...see({}), application: { kind } }, limits).reason).toBe('application_not_found');
  });

  it('takes client ids without regard to case', () => {
    const facts = see({});
    expect(plan({ ...facts, rotation: { ...rotation, clientId: 'CLIENT' } }, limits).reason).toBe('settled');
  });
});

describe('a pending password', () => {
  const passwords = [password('k2', { startsOn: ago(20) }), password('k1')];
  const pending = version('k2', { createdOn: ago(10) });
  const proved = proof('pending', 'k2', { firstAt: ago(200) });

  it('becomes current on a complete proof whose last sign-in is at most a minute old', () => {
    const at = (lastTriedAt: Date) => planned({ passwords, pending, record: { proof: { ...proved, lastTriedAt } } });
    expect(at(ago(60))).toEqual({
      reason: 'pending_proved',
      step: {
        do: 'promote',
        keyId: 'k2',
        rotationId: 'attempt-of-k2',
        version: 'version-of-k2',
        expiresOn: ahead(60 * DAY),
      },
    });
    expect(at(ago(61))).toEqual({
      reason: 'pending_unproved',
      step: { do: 'prove', of: 'pending', keyId: 'k2', version: 'version-of-k2' },
    });
  });

  it('waits for the next sign-in of its proof', () => {
    const record = { proof: proof('pending', 'k2', { successes: 1, firstAt: ago(10), lastTriedAt: ago(10) }) };
    expect(untilOf({ passwords, pending, record })).toEqual(ahead(20));
  });

  it('is given up where it ends within the overlap', () => {
    const ending = (seconds: number) =>
      reasonOf({ passwords: [password('k2', { endsOn: ahead(seconds) }), password('k1')], pending });
    expect(ending(DAY)).toBe('pending_unusable');
    expect(ending(DAY + 1)).toBe('pending_unproved');
    const unlisted = (expiresOn: Date | undefined) => reasonOf({ pending: { ...pending, expiresOn } });
    expect(unlisted(ahead(DAY))).toBe('pending_unusable');
    expect(unlisted(ahead(DAY + 1))).toBe('pending_unproved');
    expect(unlisted(undefined)).toBe('pending_unproved');
  });

  it('is given up where Entra does not know it and Graph does not list it, five minutes after it was stored', () => {
    const record = { proof: refused('pending', 'k2', 'unknown') };
    const aged = (seconds: number, seen: Seen) =>
      reasonOf({ ...seen, pending: version('k2', { createdOn: ago(seconds) }) });
    expect(aged(301, { record })).toBe('pending_unusable');
    expect(aged(300, { record })).toBe('pending_unproved');
    expect(aged(301, { record, passwords })).toBe('pending_unproved');
    expect(aged(301, { record: { proof: proof('pending', 'k2', { successes: 1 }) } })).toBe('pending_unproved');
    expect(aged(301, { record: { proof: refused('pending', 'k9', 'unknown') } })).toBe('pending_unproved');
    expect(aged(301, { record: { proof: undefined } })).toBe('pending_unproved');
  });

  it('is given up at once where Entra says that it has expired', () => {
    expect(reasonOf({ passwords, pending, record: { proof: refused('pending', 'k2', 'expired') } })).toBe(
      'pending_unusable',
    );
    expect(reasonOf({ passwords, pending, record: { proof: refused('pending', 'k9', 'expired') } })).toBe(
      'pending_unproved',
    );
  });

  it('is given up after an hour in which it did not sign in, or is not listed', () => {
    const aged = (seconds: number, seen: Seen) =>
      reasonOf({ ...seen, pending: version('k2', { createdOn: ago(seconds) }) });
    const record = { proof: refused('pending', 'k2', 'unknown') };
    expect(aged(3601, { passwords, record })).toBe('pending_unusable');
    expect(aged(3600, { passwords, record })).toBe('pending_unproved');
    expect(aged(3601, { passwords })).toBe('pending_unproved');
    expect(aged(3601, {})).toBe('pending_unusable');
    expect(aged(3601, { passwords, record: { proof: refused('pending', 'k9', 'unknown') } })).toBe('pending_unproved');
  });

  it('that is given up is followed by another for the same reason; one that is under way goes on', () => {
    const record = { proof: refused('pending', 'k2', 'expired') };
    const attempt = { rotationId: 'attempt-of-k2', why: 'expiring', begunAt: ago(60), addTriedAt: ago(50) } as const;
    expect(planned({ passwords, pending, record }).step).toEqual({ do: 'begin', why: 'due' });
    expect(planned({ passwords, pending, record: { ...record, attempt } }).step).toEqual({
      do: 'begin',
      why: 'expiring',
    });
    const next = { ...attempt, rotationId: 'next', addTriedAt: undefined };
    expect(planned({ passwords, pending, record: { ...record, attempt: next } }).step).toEqual({
      do: 'add',
      rotationId: 'next',
    });
  });

  it('of another rotation, or that is current already, is none', () => {
    expect(reasonOf({ pending: version('k2', { rotation: 'another' }) })).toBe('settled');
    expect(reasonOf({ pending: version('k1') })).toBe('settled');
  });

  it('from before an edit by hand does not come back; one from after it does', () => {
    const byHand = version('k1', { keyId: undefined, rotation: undefined, createdOn: ago(60) });
    const at = (seconds: number) =>
      reasonOf({ passwords, current: byHand, pending: version('k2', { createdOn: ago(seconds) }) });
    expect(at(61)).toBe('edited');
    expect(at(60)).toBe('pending_unproved');
    expect(reasonOf({ passwords, current: undefined, pending })).toBe('pending_unproved');
    const older = version('k1', { createdOn: ago(5) });
    expect(reasonOf({ passwords, current: older, pending })).toBe('pending_unproved');
  });
});

describe('an attempt', () => {
  const attempt = { rotationId: 'a', why: 'due', begunAt: ago(200), addTriedAt: ago(60) } as const;

  it('waits a minute for its answer, and not longer', () => {
    expect(reasonOf({ record: { attempt } })).toBe('text_lost');
    expect(untilOf({ record: { attempt: { ...attempt, addTriedAt: ago(59) } } })).toEqual(ahead(1));
  });

  it('is over where pending holds its text', () => {
    expect(reasonOf({ record: { attempt }, pending: version('k1', { rotationId: 'a' }) })).toBe('settled');
  });
});

describe('the current secret', () => {
  it('is edited where it carries no key id, or the name of another rotation', () => {
    expect(reasonOf({ current: version('k1', { keyId: undefined }) })).toBe('edited');
    expect(reasonOf({ current: version('k1', { rotation: 'another' }) })).toBe('edited');
  });

  it('is expired where its password, its version or Entra says so', () => {
    expect(reasonOf({ passwords: [password('k1', { endsOn: now })] })).toBe('expired');
    expect(reasonOf({ current: version('k1', { expiresOn: now }) })).toBe('expired');
    expect(reasonOf({ current: version('k1', { expiresOn: ahead(1) }) })).toBe('settled');
    expect(reasonOf({ current: version('k1', { expiresOn: undefined }) })).toBe('settled');
    expect(reasonOf({ record: { proof: refused('current', 'k1', 'expired') } })).toBe('expired');
    expect(reasonOf({ record: { proof: refused('current', 'k0', 'expired') } })).toBe('current_unproved');
    expect(reasonOf({ record: { proof: refused('pending', 'k1', 'expired') } })).toBe('current_unproved');
  });

  it('is expiring where its password ends within the overlap', () => {
    expect(reasonOf({ passwords: [password('k1', { endsOn: ahead(DAY) })] })).toBe('expiring');
    expect(reasonOf({ passwords: [password('k1', { endsOn: ahead(DAY + 1) })] })).toBe('settled');
  });

  it('is due on the day', () => {
    expect(reasonOf({ current: version('k1', { createdOn: ago(30 * DAY) }) })).toBe('due');
    expect(reasonOf({ current: version('k1', { createdOn: ago(30 * DAY - 1) }) })).toBe('settled');
  });

  it('is gone where Entra refuses it: listed after five minutes, not listed after one', () => {
    const record = { proof: refused('current', 'k1', 'unknown') };
    const aged = (seconds: number, seen: Seen = {}) =>
      reasonOf({ record, ...seen, current: version('k1', { createdOn: ago(seconds) }) });
    expect(aged(301)).toBe('gone');
    expect(aged(300)).toBe('current_unproved');
    expect(aged(61, { passwords: [] })).toBe('gone');
    expect(aged(60, { passwords: [] })).toBe('current_unproved');
  });

  it('signs in again each minute while Graph does not list it', () => {
    const tried = (seconds: number, createdOn = ago(5 * DAY)) =>
      planned({
        passwords: [],
        current: version('k1', { createdOn }),
        record: { proof: proof('current', 'k1', { lastTriedAt: ago(seconds), firstAt: ago(seconds + 60) }) },
      });
    const again = { do: 'prove', of: 'current', keyId: 'k1', version: 'version-of-k1' };
    expect(tried(60)).toEqual({ reason: 'current_unproved', step: again });
    expect(tried(59)).toMatchObject({ reason: 'settled', step: { until: ahead(60) } });
    expect(tried(60, ago(61)).step).toEqual(again);
    expect(tried(60, ago(60)).reason).toBe('settled');
  });

  it('names too many versions above 500, of either secret', () => {
    expect(reasonOf({ current: version('k1', { versions: 500 }) })).toBe('settled');
    expect(reasonOf({ current: version('k1', { versions: 501 }) })).toBe('too_many_versions');
    expect(reasonOf({ current: version('k1', { versions: undefined }) })).toBe('settled');
    expect(reasonOf({ pending: version('k1', { versions: 501 }) })).toBe('too_many_versions');
  });
});

describe('the next look at a settled rotation', () => {
  it('comes when something becomes due, at the latest after the orphan grace, never at once', () => {
    expect(untilOf({})).toEqual(ahead(1200));
    const created = (seconds: number) => ({ current: version('k1', { createdOn: ago(30 * DAY - seconds) }) });
    expect(untilOf(created(100))).toEqual(ahead(100));
    expect(untilOf(created(0.5))).toEqual(ahead(1));
    expect(untilOf({ passwords: [password('k1', { endsOn: ahead(DAY + 70) })] })).toEqual(ahead(70));
    expect(untilOf({ passwords: [] })).toEqual(ahead(60));
  });

  it('comes when a password may be removed', () => {
    const lost = password('k9', { startsOn: ago(1000) });
    expect(untilOf({ passwords: [password('k1'), lost] })).toEqual(ahead(202));
    const removable = password('k9', { startsOn: ago(1202) });
    expect(planned({ passwords: [password('k1'), removable] })).toEqual({
      reason: 'orphan',
      step: { do: 'remove', keyId: 'k9' },
    });
  });
});
