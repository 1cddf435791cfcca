import { describe, expect, it } from 'vitest';
import { findFindings, type Looked } from '../../src/cli/findings.ts';
import { keySection } from '../../src/cli/plan-command.ts';
import { addSeconds } from '../../src/clock.ts';
import { type Facts, newRecord, type Password } from '../../src/rotation/facts.ts';
import { newKeyRecord } from '../../src/rotation/key-facts.ts';
import { plan } from '../../src/rotation/plan.ts';

const DAY = 86_400;
const now = new Date('2026-11-22T12:00:00.000Z');
const limits = { proofs: 1, spreadSeconds: 0, orphanGraceSeconds: 1200 };
const rotation = {
  name: 'trainer-password',
  tenantId: 'tenant',
  clientId: 'client',
  application: 'object',
  rotateEverySeconds: 30 * DAY,
  lifetimeSeconds: 90 * DAY,
  overlapSeconds: DAY,
};

const password = (keyId: string, madeAgoSeconds: number, more: Partial<Password> = {}): Password => {
  const startsOn = addSeconds(now, -madeAgoSeconds);
  const displayName = `aml-token-broker/trainer-password/${keyId}`;
  return { keyId, displayName, startsOn, endsOn: addSeconds(startsOn, 90 * DAY), ...more };
};
const byHand = { displayName: 'portal' };

const tried = { successes: 1, firstAt: now, lastTriedAt: now, refused: undefined };
const proof = { keyId: 'current', of: 'current' as const, ...tried };

/** A rotation whose current password was made `ageSeconds` ago and is proved, with other passwords beside it. */
function lookedAt(ageSeconds: number, others: readonly Password[] = [], changes: Partial<Facts> = {}): Looked {
  const facts: Facts = {
    now,
    rotation,
    record: { ...newRecord(rotation.name), promoted: 'current', proof },
    application: { kind: 'found', value: { appId: 'client', passwords: [password('current', ageSeconds), ...others] } },
    current: {
      kind: 'found',
      value: {
        version: 'v',
        createdOn: addSeconds(now, -ageSeconds),
        expiresOn: undefined,
        keyId: 'current',
        rotation: rotation.name,
        rotationId: 'r',
        versions: 1,
      },
    },
    pending: { kind: 'not_found' },
    ...changes,
  };
  const configured = new Set([rotation.name, 'sister']);
  return {
    facts,
    limits,
    planned: plan(facts, limits),
    others: { configured, passwords: new Map() },
    rotator: undefined,
  };
}

const show = (looked: Looked): string[] => findFindings(looked).map(({ kind, text }) => `${kind}: ${text}`);
const askers = (looked: Looked): string[] =>
  findFindings(looked).flatMap(({ kind, needsPerson }) => (needsPerson ? [kind] : []));

describe('findings', () => {
  it('tell when the next rotation is due, by age or by the password’s own end', () => {
    expect(show(lookedAt(DAY))).toEqual(['due: 2026-12-21T12:00:00Z, in 29 d']);
    const short = password('current', DAY, { endsOn: addSeconds(now, 3 * DAY) });
    const application = { kind: 'found' as const, value: { appId: 'client', passwords: [short] } };
    expect(show(lookedAt(DAY, [], { application }))).toEqual(['due: 2026-11-24T12:00:00Z, in 2 d']);
  });

  it('tell for how long it is overdue; a person is asked only when the timer should have been there', () => {
    const justNow = lookedAt(30 * DAY + 60);
    expect(show(justNow)).toEqual(['overdue: since 2026-11-22T11:59:00Z, for 60 s']);
    expect(askers(justNow)).toEqual([]);
    const long = lookedAt(30 * DAY + 7200);
    expect(show(long)).toEqual([
      expect.stringMatching(/^overdue: .* for 2 h: see that an app with BROKER_ROLE rotator/),
    ]);
    expect(askers(long)).toEqual(['overdue']);
  });

  it('say that one is due now where the plan begins one for another reason', () => {
    expect(show(lookedAt(DAY, [], { current: { kind: 'not_found' } }))).toContain('due: now');
  });

  it('tell an orphan, when it goes, and that a previous password has its overlap', () => {
    const orphan = lookedAt(DAY, [password('lost', 600)]);
    expect(show(orphan)).toContain('orphaned: lost: made 10 min ago, never current, goes at 2026-11-22T12:10:02Z');
    const record = { ...newRecord(rotation.name), promoted: 'current', replaced: ['old'], proof };
    const previous = lookedAt(3600, [password('old', 30 * DAY)], { record });
    expect(show(previous)).toContain('previous: old: goes at 2026-11-23T11:00:02Z');
    expect([...askers(orphan), ...askers(previous)]).toEqual([]);
  });

  it('tell a foreign password with the command that removes it; a person decides', () => {
    const looked = lookedAt(DAY, [password('theirs', DAY, byHand)]);
    expect(show(looked)).toContain(
      'foreign: theirs "portal", ends 2027-02-19T12:00:00Z: the broker leaves it alone; when nobody uses it: az ad app credential delete --id object --key-id theirs',
    );
    expect(askers(looked)).toEqual(['foreign']);
  });

  it('leave to another rotation of the application what is its own', () => {
    const sisters = password('hers', DAY, { displayName: 'aml-token-broker/sister/1' });
    const imported = password('adopted', DAY, byHand);
    const looked = lookedAt(DAY, [sisters, imported]);
    const others = { ...looked.others, passwords: new Map([['adopted', 'sister']]) };
    expect(show({ ...looked, others })).toEqual([expect.stringMatching(/^due: /)]);
  });

  it('tell a password of a rotation that the policy does not have', () => {
    const gone = password('gone', DAY, { displayName: 'aml-token-broker/gone-rotation/1' });
    const looked = lookedAt(DAY, [gone]);
    expect(show(looked)).toContainEqual(expect.stringMatching(/^foreign: .*of a rotation "gone-rotation".*add it/));
    expect(askers(looked)).toEqual(['foreign']);
  });

  it('tell a life above the config’s; of the broker’s own passwords the next rotation makes an end', () => {
    const long = { endsOn: addSeconds(now, 400 * DAY) };
    const theirs = lookedAt(DAY, [password('theirs', DAY, { ...byHand, ...long })]);
    expect(show(theirs)).toContain('over-long: theirs lives 401 d, lifetime is 90 d');
    expect(askers(theirs)).toEqual(['foreign', 'over-long']);
    const ours = lookedAt(DAY, [password('lost', 60, long)]);
    expect(show(ours)).toContain('over-long: lost lives 400 d, lifetime is 90 d: it goes with the next rotation');
    expect(askers(ours)).toEqual([]);
    const barely = lookedAt(DAY, [password('lost', 60, { endsOn: addSeconds(now, 90 * DAY - 30) })]);
    expect(show(barely).join()).not.toContain('over-long');
  });

  it('tell not-owned with the administrator’s command, and what Key Vault alone can say', () => {
    const looked = { ...lookedAt(DAY, [], { application: { kind: 'forbidden' } }), rotator: 'me' };
    expect(show(looked)).toEqual([
      expect.stringMatching(/^not-owned: .*az ad app owner add --id object --owner-object-id me;/),
      'due: 2026-12-21T12:00:00Z, in 29 d',
    ]);
    expect(askers(looked)).toEqual(['not-owned']);
  });

  it.each([
    ['disabled', 'az keyvault secret set-attributes --name trainer-password'],
    ['deleted', 'az keyvault secret recover --name trainer-password'],
  ] as const)('tell that the secret is %s, with the way out', (kind, way) => {
    const looked = lookedAt(DAY, [], { current: { kind } });
    expect(show(looked)).toEqual([expect.stringMatching(new RegExp(`^state: .*${way}`))]);
    expect(askers(looked)).toEqual(['state']);
  });

  it('say nothing of the passwords of an application that is not the rotation’s', () => {
    const value = { appId: 'another', passwords: [password('theirs', DAY, byHand)] };
    expect(askers(lookedAt(DAY, [], { application: { kind: 'found', value } }))).toEqual(['state']);
  });

  it('tell the last failure in words', () => {
    const failure = { at: now, step: 'add', what: 'graph: unavailable (503)' };
    const status = {
      at: now,
      reason: 'step_failed' as const,
      nextAt: now,
      expiresOn: now,
      lastStep: undefined,
      error: failure,
    };
    const record = { ...newRecord(rotation.name), promoted: 'current', proof, status };
    expect(show(lookedAt(DAY, [], { record }))).toContainEqual(
      expect.stringMatching(
        /^failed: 2026-11-22T12:00:00Z: Adding a password to the application failed: Azure did not answer/,
      ),
    );
  });
});

describe('the keys of an endpoint', () => {
  const keys = {
    name: 'fraud-keys',
    workspace: 'prod',
    endpoint: 'fraud',
    rotateEverySeconds: 30 * DAY,
    overlapSeconds: DAY,
  };
  const turn = {
    inUse: 'primary' as const,
    since: addSeconds(now, -DAY),
    endpoint: { id: 'id', createdAt: 'then' },
    rotateEverySeconds: 30 * DAY,
    overlapSeconds: DAY,
  };
  const status = {
    at: now,
    reason: 'settled' as const,
    nextAt: now,
    expiresOn: undefined,
    lastStep: undefined,
    error: undefined,
  };

  it('are shown as the rotator wrote them down', () => {
    const { title, findings } = keySection(keys, { ...newKeyRecord('fraud-keys'), turn, status }, now);
    expect(title).toMatch(/^fraud-keys: keys of prod\/fraud, settled\. /);
    expect(findings).toEqual([{ kind: 'due', text: '2026-12-21T12:00:00Z, in 29 d', needsPerson: false }]);
  });

  it('ask for a person in a named state that does, not before the first look', () => {
    const stuck = { ...status, reason: 'regeneration_stuck' as const };
    const { findings } = keySection(keys, { ...newKeyRecord('fraud-keys'), turn, status: stuck }, now);
    expect(findings).toContainEqual({
      kind: 'state',
      text: expect.stringContaining('Azure ML studio'),
      needsPerson: true,
    });
    const unseen = keySection(keys, newKeyRecord('fraud-keys'), now);
    expect(unseen.findings.some(({ needsPerson }) => needsPerson)).toBe(false);
  });
});
