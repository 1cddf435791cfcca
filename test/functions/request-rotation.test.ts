import { describe, expect, it } from 'vitest';
import { upstream } from '../support/builders.ts';
import { invoke } from './invoke.ts';
import { aRequest, setUpOperators } from './operators-in-memory.ts';

const name = 'trainer-password';
const runIds = (world: ReturnType<typeof setUpOperators>) => world.records.peek(name).runs.map(({ id }) => id);
const idOf = (location: string | null) => location?.split('/').at(-1) ?? '';

describe('POST /rotations/{name} is refused', () => {
  it.each([
    ['another reason', { reason: 'bored' }],
    ['an unknown field', { why: 'requested' }],
    ['a reason that is no text', { reason: null }],
  ])('400 invalid_request with %s, and nothing is stored', async (_what, body) => {
    const world = setUpOperators();
    const answer = await world.request(name, 'key-1', body);
    expect(answer.status).toBe(400);
    expect(answer.body).toMatchObject({ code: 'invalid_request' });
    expect([runIds(world), world.rows()]).toEqual([[], []]);
  });

  it('400 invalid_request without a body', async () => {
    const answer = await invoke(setUpOperators().requestRotation, {
      ...aRequest({ rotation: name }),
      body: { string: '' },
    });
    expect(answer.body).toMatchObject({ code: 'invalid_request' });
  });

  it.each([
    ['nothing', ''],
    ['a space in it', 'two words'],
    ['two headers', 'key-1, key-2'],
    ['256 characters', 'k'.repeat(256)],
    ['a letter beyond ASCII', 'clé'],
    ['a tab in it', 'a\tb'],
  ])('400 invalid_request with an Idempotency-Key of %s', async (_what, key) => {
    const world = setUpOperators();
    const answer = await world.request(name, key);
    expect(answer.status).toBe(400);
    expect(answer.body).toMatchObject({ code: 'invalid_request' });
    expect(runIds(world)).toEqual([]);
  });

  it('400 invalid_request for a key that was used with another reason, also when its run is over', async () => {
    const world = setUpOperators();
    await world.request(name, 'key-1');
    for (const over of [false, true]) {
      if (over) world.rotate(name, 'rotation-1');
      const answer = await world.request(name, 'key-1', { reason: 'compromised' });
      expect(answer.status).toBe(400);
      expect(answer.body).toMatchObject({ code: 'invalid_request', detail: expect.stringContaining('new key') });
    }
    expect(runIds(world)).toHaveLength(1);
    expect(world.rows()).toHaveLength(1);
  });

  it('P1: 503 audit_unavailable when no store accepts the record, and nothing is stored', async () => {
    const world = setUpOperators();
    world.audit.fault = upstream('unavailable', { service: 'audit store' });
    const answer = await world.request(name, 'key-1');
    expect(answer.status).toBe(503);
    expect(answer.headers.get('retry-after')).toBe('10');
    expect(answer.body).toMatchObject({ code: 'audit_unavailable' });
    expect(runIds(world)).toEqual([]);
    expect(world.store.calls).toEqual(['read']);
  });

  it('503 upstream_unavailable with Retry-After when another writes at every try; the same key may be sent again', async () => {
    const world = setUpOperators();
    world.store.before = async (call) => {
      if (call === 'write') throw upstream('conflict');
    };
    const answer = await world.request(name, 'key-1');
    expect(answer.status).toBe(503);
    expect(answer.headers.get('retry-after')).toBe('5');
    expect(answer.body).toMatchObject({ code: 'upstream_unavailable' });
    expect(world.store.calls.filter((call) => call === 'write').length).toBeLessThan(10);
    world.store.before = async () => {};
    expect((await world.request(name, 'key-1')).status).toBe(202);
    expect(runIds(world)).toHaveLength(1);
  });

  it('503 at the first try when the store does not answer: that is not a conflict', async () => {
    const world = setUpOperators();
    world.store.before = async (call) => {
      if (call === 'write') throw upstream('unavailable');
    };
    expect((await world.request(name)).status).toBe(503);
    expect(world.store.calls.filter((call) => call === 'write')).toHaveLength(1);
  });

  it('429 rate_limited when twenty wait already; compromised still goes through, and a known key is answered', async () => {
    const world = setUpOperators();
    for (let count = 0; count < 20; count++) expect((await world.request(name, `key-${count}`)).status).toBe(202);
    const answer = await world.request(name, 'key-20');
    expect(answer.status).toBe(429);
    expect(answer.headers.get('retry-after')).toBe('60');
    expect(answer.body).toMatchObject({ code: 'rate_limited' });
    expect((await world.request(name, 'key-0')).status).toBe(202);
    expect((await world.request(name, 'key-21', { reason: 'compromised' })).status).toBe(202);
    expect(runIds(world)).toHaveLength(21);
    world.rotate(name, 'rotation-1');
    expect((await world.request(name, 'key-20')).status).toBe(202);
  });
});

describe('POST /rotations/{name}', () => {
  it('202 with an absolute Location on PUBLIC_URL and Retry-After, and stores the request', async () => {
    const world = setUpOperators();
    const answer = await invoke(world.requestRotation, {
      ...aRequest({ rotation: name }, {}, 'key-1'),
      url: 'https://evil.example/',
    });
    const [run] = world.records.peek(name).runs;
    expect(answer.status).toBe(202);
    expect(answer.headers.get('location')).toBe(`https://broker.example/rotations/${name}/runs/${run?.id}`);
    expect(answer.headers.get('retry-after')).toMatch(/^[1-9]\d*$/);
    expect(answer.headers.get('cache-control')).toBe('no-store');
    expect(answer.headers.get('content-type')).toBe('application/json');
    expect(answer.body).toEqual({
      id: run?.id,
      rotation: name,
      reason: 'requested',
      status: 'waiting',
      requestedAt: '2026-11-22T10:00:00.000Z',
      finishedAt: null,
      rotationId: null,
    });
    expect(run).toEqual({
      id: expect.stringMatching(/^[0-9a-f]{32}$/),
      reason: 'requested',
      requestedAt: world.time.clock(),
      rotationId: undefined,
      doneAt: undefined,
    });
  });

  it('is on record: who asked for what, why, and which run', async () => {
    const world = setUpOperators();
    await world.request(name, 'key-1', { reason: 'compromised' });
    expect(world.rows()).toMatchObject([
      {
        decision: 'requested',
        target: `rotation ${name}`,
        reason: 'compromised',
        run: runIds(world)[0],
        caller: { issuer: 'contoso', class: 'app' },
        policyHash: 'hash-of-the-policy',
      },
    ]);
  });

  it('says what compromised breaks, and only for that', async () => {
    const world = setUpOperators();
    expect((await world.request(name, 'key-1', { reason: 'compromised' })).body).toMatchObject({
      reason: 'compromised',
      breaks: expect.stringMatching(/previous secret fail/),
    });
    expect((await world.request('fraud-keys', 'key-1', { reason: 'compromised' })).body).toMatchObject({
      breaks: expect.stringMatching(/hold the key in use fail/),
    });
    expect((await world.request(name, 'key-2', { reason: 'requested' })).body).not.toHaveProperty('breaks');
  });

  it('is the same run for the same key, at once, later, and when it is over', async () => {
    const world = setUpOperators();
    const answers = await Promise.all([1, 2, 3].map(() => world.request(name, 'key-1')));
    world.time.advance(60);
    answers.push(await world.request(name, 'key-1'));
    world.rotate(name, 'rotation-1');
    world.time.advance(86_400);
    const late = await world.request(name, 'key-1');
    expect(late.status).toBe(202);
    expect(late.body).toMatchObject({ status: 'succeeded', requestedAt: '2026-11-22T10:00:00.000Z' });
    expect(new Set([...answers, late].map(({ headers }) => headers.get('location'))).size).toBe(1);
    expect(runIds(world)).toHaveLength(1);
  });

  it('is another run for another key, another rotation, and every time without a key', async () => {
    const world = setUpOperators();
    const answers = [
      await world.request(name, 'key-1'),
      await world.request(name, 'key-2'),
      await world.request('other-password', 'key-1'),
      await world.request('fraud-keys', 'key-1'),
      await world.request(name),
      await world.request(name),
    ];
    expect(answers.map(({ status }) => status)).toEqual([202, 202, 202, 202, 202, 202]);
    expect(new Set(answers.map(({ headers }) => idOf(headers.get('location')))).size).toBe(6);
    expect(runIds(world)).toHaveLength(4);
  });

  it('takes keys of 1 to 255 characters as they are, letter case and quotes included', async () => {
    const world = setUpOperators();
    for (const key of ['k', 'K', '"k"', '!'.repeat(255)]) expect((await world.request(name, key)).status).toBe(202);
    expect(new Set(runIds(world)).size).toBe(4);
  });

  it('is stored beside what the rotator writes at the same moment', async () => {
    const world = setUpOperators();
    let moved = 0;
    world.store.before = async (call) => {
      if (call === 'write' && moved++ < 2) world.records.change(name, { promoted: `key-${moved}` });
    };
    expect((await world.request(name, 'key-1')).status).toBe(202);
    expect(world.records.peek(name)).toMatchObject({ promoted: 'key-2', runs: [{ reason: 'requested' }] });
    expect(world.rows()).toHaveLength(1);
  });

  it('is stored once when the write was done and then repeated, as when its answer was lost', async () => {
    const world = setUpOperators();
    world.store.afterWrite = async () => {
      throw upstream('conflict');
    };
    expect((await world.request(name)).status).toBe(202);
    expect(runIds(world)).toHaveLength(1);
    expect(world.store.calls.filter((call) => call === 'write')).toHaveLength(1);
  });

  it('400 for the slower of two that use one key with two reasons at once', async () => {
    const world = setUpOperators();
    const answers = await Promise.all([
      world.request(name, 'key-1'),
      world.request(name, 'key-1', { reason: 'compromised' }),
    ]);
    expect(answers.map(({ status }) => status).sort()).toEqual([202, 400]);
    expect(runIds(world)).toHaveLength(1);
  });
});
