import { describe, expect, it } from 'vitest';
import { joinRuns } from '../../src/rotation/runs.ts';
import { setUpOperators } from './operators-in-memory.ts';

const name = 'trainer-password';

async function setUpRun(body: object = {}) {
  const world = setUpOperators();
  const { headers } = await world.request(name, 'key-1', body);
  const location = headers.get('location') ?? '';
  const id = location.split('/').at(-1) ?? '';
  return { world, location, id, read: () => world.run(name, id) };
}

describe('GET /rotations/{name}/runs/{id}', () => {
  it.each(['', 'x', 'f'.repeat(32), '../..'])('404 not_found for the id %j', async (id) => {
    const { world } = await setUpRun();
    const answer = await world.run(name, id);
    expect(answer.status).toBe(404);
    expect(answer.body).toMatchObject({ code: 'not_found' });
  });

  it('404 not_found for a run of another rotation', async () => {
    const { world, id } = await setUpRun();
    expect((await world.run('other-password', id)).status).toBe(404);
    expect((await world.run('fraud-keys', id)).status).toBe(404);
  });

  it('202 with Location and Retry-After until the new secret is current, then 200', async () => {
    const { world, location, read } = await setUpRun();
    const waiting = await read();
    expect(waiting.status).toBe(202);
    expect(waiting.headers.get('location')).toBe(location);
    expect(waiting.headers.get('retry-after')).toMatch(/^[1-9]\d*$/);
    expect(waiting.body).toMatchObject({ status: 'waiting', rotationId: null, present: { state: 'not_looked_at' } });

    world.records.change(name, { runs: joinRuns(world.records.peek(name).runs, 'rotation-1') });
    const running = await read();
    expect(running.status).toBe(202);
    expect(running.body).toMatchObject({ status: 'running', rotationId: 'rotation-1', finishedAt: null });

    world.time.advance(75);
    world.rotate(name, 'rotation-1');
    const done = await read();
    expect(done.status).toBe(200);
    expect(done.headers.has('location')).toBe(false);
    expect(done.headers.has('retry-after')).toBe(false);
    expect(done.body).toEqual({
      id: expect.any(String),
      rotation: name,
      reason: 'requested',
      status: 'succeeded',
      requestedAt: '2026-11-22T10:00:00.000Z',
      finishedAt: '2026-11-22T10:01:15.000Z',
      rotationId: 'rotation-1',
    });
  });

  it('stays readable while later runs come and go', async () => {
    const { world, read } = await setUpRun();
    world.rotate(name, 'rotation-1');
    const first = await read();
    for (let count = 2; count < 12; count++) {
      await world.request(name);
      world.rotate(name, `rotation-${count}`);
    }
    expect(await read()).toEqual(first);
  });

  it('R5: tells while it is open why a blocked rotation does not go on, and what it asks of a person', async () => {
    const { world, read } = await setUpRun();
    const at = world.time.clock();
    world.records.change(name, {
      status: {
        at,
        reason: 'not_owned',
        nextAt: undefined,
        expiresOn: undefined,
        lastStep: undefined,
        error: undefined,
      },
    });
    expect((await read()).body).toMatchObject({
      status: 'waiting',
      present: {
        state: 'not_owned',
        means: expect.stringContaining('forbids'),
        asks: expect.stringContaining('az ad app owner add'),
      },
    });
  });

  it('keeps saying what compromised breaks', async () => {
    const { world, read } = await setUpRun({ reason: 'compromised' });
    world.rotate(name, 'rotation-1');
    expect((await read()).body).toMatchObject({
      status: 'succeeded',
      breaks: expect.stringContaining('overlap is zero'),
    });
  });

  it('is not on record: only requests and refusals are', async () => {
    const { world, read } = await setUpRun();
    await read();
    expect(world.rows().map(({ decision }) => decision)).toEqual(['requested']);
  });
});
