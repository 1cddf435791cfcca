import { describe, expect, it } from 'vitest';
import type { Status } from '../../src/rotation/runs.ts';
import { invoke } from './invoke.ts';
import { aRead, setUpOperators } from './operators-in-memory.ts';

const name = 'trainer-password';

const aStatus = (at: Date, changes: Partial<Status> = {}): Status => ({
  at,
  reason: 'settled',
  nextAt: undefined,
  expiresOn: undefined,
  lastStep: undefined,
  error: undefined,
  ...changes,
});

describe('GET /rotations', () => {
  it('lists every rotation of the policy in one call for each kind, also those never looked at', async () => {
    const world = setUpOperators();
    world.records.change(name, { status: aStatus(world.time.clock(), { nextAt: world.time.in(60) }) });
    world.records.change('not-in-the-policy-any-more', { status: aStatus(world.time.clock()) });
    const answer = await invoke(world.listRotations, aRead());
    expect(answer.status).toBe(200);
    expect(answer.headers.get('cache-control')).toBe('no-store');
    expect(answer.body).toMatchObject({
      rotations: [
        {
          name,
          kind: 'secret',
          state: 'settled',
          asks: null,
          lookedAt: '2026-11-22T10:00:00.000Z',
          nextStep: { at: '2026-11-22T10:01:00.000Z' },
        },
        { name: 'other-password', kind: 'secret', state: 'not_looked_at', lookedAt: null },
        { name: 'fraud-keys', kind: 'endpointKeys', state: 'not_looked_at', lookedAt: null },
      ],
    });
    expect(world.store.calls).toEqual(['list']);
  });
});

describe('GET /rotations/{name}', () => {
  it('R5: shows the whole state of a secret’s rotation', async () => {
    const world = setUpOperators();
    const at = world.time.clock();
    await world.request(name, 'key-1');
    world.records.change(name, {
      attempt: { rotationId: 'rotation-1', why: 'requested', begunAt: at, addTriedAt: undefined },
      proof: { keyId: 'key-2', of: 'pending', successes: 2, firstAt: at, lastTriedAt: at, refused: undefined },
      promoted: 'key-1',
      shortened: { of: 7_776_000, to: 3_888_000 },
      status: aStatus(at, {
        reason: 'pending_unproved',
        nextAt: world.time.in(20),
        expiresOn: world.time.in(1000),
        lastStep: { at, step: 'prove' },
      }),
    });
    const answer = await world.show(name);
    expect(answer.status).toBe(200);
    expect(answer.body).toEqual({
      name,
      kind: 'secret',
      state: 'pending_unproved',
      means: expect.stringContaining('signs in on trial'),
      asks: null,
      lookedAt: '2026-11-22T10:00:00.000Z',
      lastStep: { at: '2026-11-22T10:00:00.000Z', step: 'prove' },
      nextStep: { at: '2026-11-22T10:00:20.000Z', what: expect.stringContaining('signs in on trial') },
      error: null,
      expiresOn: '2026-11-22T10:16:40.000Z',
      tenantId: '11111111-1111-4111-8111-111111111111',
      clientId: 'd0000000-0000-4000-8000-000000000001',
      application: 'd0000000-0000-4000-8000-0000000000a1',
      rotateEverySeconds: 2_592_000,
      lifetimeSeconds: 7_776_000,
      overlapSeconds: 20,
      attempt: { rotationId: 'rotation-1', why: 'requested', begunAt: '2026-11-22T10:00:00.000Z', addTriedAt: null },
      proof: { of: 'pending', keyId: 'key-2', successes: 2, lastTriedAt: '2026-11-22T10:00:00.000Z' },
      currentKeyId: 'key-1',
      shortenedLifetimeSeconds: 3_888_000,
      openRuns: [expect.objectContaining({ reason: 'requested', status: 'waiting' })],
    });
  });

  it('shows the same of an endpoint’s keys, with what their record knows', async () => {
    const answer = await setUpOperators().show('fraud-keys');
    expect(answer.text).not.toContain('hash-of-a-key');
    expect(answer.body).toMatchObject({
      name: 'fraud-keys',
      kind: 'endpointKeys',
      workspace: 'prod',
      endpoint: 'fraud-scorer',
      rotateEverySeconds: 604_800,
      overlapSeconds: 86_400,
      keyInUse: 'primary',
      inUseSince: '2026-11-22T10:00:00.000Z',
      regeneration: { key: 'secondary', why: 'due', begunAt: '2026-11-22T10:00:00.000Z' },
      openRuns: [],
    });
  });

  it('does not show a shortened life that was shortened from another one', async () => {
    const world = setUpOperators();
    world.records.change(name, { shortened: { of: 1, to: 2 } });
    expect((await world.show(name)).body).toMatchObject({ shortenedLifetimeSeconds: null });
  });

  it('R5: tells an error in words, beside what the service called it', async () => {
    const world = setUpOperators();
    const at = world.time.clock();
    const what = 'graph: forbidden (403 Authorization_RequestDenied)';
    world.records.change(name, { status: aStatus(at, { reason: 'step_failed', error: { at, step: 'add', what } }) });
    expect((await world.show(name)).body).toMatchObject({
      state: 'step_failed',
      error: {
        at: '2026-11-22T10:00:00.000Z',
        step: 'add',
        what,
        words:
          'Adding a password to the application failed: Azure forbids it to the broker’s identity: check its roles. It is tried again.',
      },
    });
  });

  it('R5: tells an error that nobody expected in words too', async () => {
    const world = setUpOperators();
    const at = world.time.clock();
    const error = { at, step: 'turn', what: 'TypeError' };
    world.records.change(name, { status: aStatus(at, { reason: 'step_failed', error }) });
    expect((await world.show(name)).body).toMatchObject({
      error: { words: 'The step turn failed: the log has the cause. It is tried again.' },
    });
  });

  it('R5: says what it asks of a person, and that it goes on by itself after that', async () => {
    const world = setUpOperators();
    world.records.change(name, { status: aStatus(world.time.clock(), { reason: 'secret_disabled' }) });
    expect((await world.show(name)).body).toMatchObject({
      state: 'secret_disabled',
      asks: expect.stringContaining('--enabled true'),
      nextStep: { at: null, what: expect.stringContaining('until a person has acted') },
    });
  });

  it('R5: notices that nobody looks any more', async () => {
    const world = setUpOperators();
    world.records.change(name, { status: aStatus(world.time.clock(), { nextAt: world.time.in(60) }) });
    world.time.advance(900);
    expect((await world.show(name)).body).toMatchObject({ asks: null });
    world.time.advance(61);
    expect((await world.show(name)).body).toMatchObject({ asks: expect.stringContaining('BROKER_ROLE rotator') });
  });

  it('leaves runs that are over out', async () => {
    const world = setUpOperators();
    await world.request(name, 'key-1');
    world.rotate(name, 'rotation-1');
    expect((await world.show(name)).body).toMatchObject({ openRuns: [] });
  });
});
