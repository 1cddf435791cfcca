import { describe, expect, it } from 'vitest';
import { scopes } from '../support/memory-broker.ts';
import { expectGood, setUp } from './functions-in-memory.ts';
import { aPost, invocationId, invoke } from './invoke.ts';

describe('POST /workspaces/{workspace}/token', () => {
  it('answers with accessToken, tokenType, expiresOn, refreshBy, audience and identity', async () => {
    const world = setUp();
    const answer = await invoke(world.workspaceToken, aPost({ workspace: 'prod' }, { audience: 'aml' }));
    expectGood(answer);
    expect(answer.body).toEqual({
      accessToken: world.entra.issued[0]?.accessToken,
      tokenType: 'Bearer',
      expiresOn: '2026-11-22T11:00:00.000Z',
      refreshBy: '2026-11-22T10:30:00.000Z',
      audience: 'aml',
      identity: 'trainer',
    });
  });

  it('takes aml where no audience is named', async () => {
    const world = setUp();
    expect((await invoke(world.workspaceToken, aPost({ workspace: 'prod' }))).body).toMatchObject({ audience: 'aml' });
    expect(world.entra.calls).toEqual([`trainer ${scopes.aml}`]);
  });

  it('records the invocation’s id as the correlation id', async () => {
    const world = setUp();
    await invoke(world.workspaceToken, aPost({ workspace: 'prod' }));
    expect(world.records()).toEqual([expect.objectContaining({ decision: 'issued', correlationId: invocationId })]);
  });

  it('409 insufficient_lifetime when minRemaining asks for more than there is', async () => {
    const world = setUp();
    const answer = await invoke(world.workspaceToken, aPost({ workspace: 'prod' }, { minRemaining: 3601 }));
    expect(answer.status).toBe(409);
    expect(answer.body).toMatchObject({ code: 'insufficient_lifetime', secondsAvailable: 3600 });
  });

  it.each([
    ['an unknown audience', { audience: 'graph' }, 'audience: must be aml or arm'],
    ['an audience that is null', { audience: null }, 'audience: must be aml or arm'],
    ['a negative minRemaining', { minRemaining: -1 }, 'minRemaining: must be 0 or more seconds'],
    ['a fractional minRemaining', { minRemaining: 1.5 }, 'minRemaining: must be a whole number of seconds'],
    ['a minRemaining as text', { minRemaining: '60' }, 'minRemaining: must be a whole number of seconds'],
    [
      'a minRemaining beyond exact numbers',
      { minRemaining: 2 ** 53 },
      'minRemaining: must be a whole number of seconds',
    ],
    ['an unknown field', { audience: 'aml', scope: 'x' }, 'a field that this route does not know'],
    ['an array', [], 'must be a JSON object'],
    ['null', null, 'must be a JSON object'],
    ['a text', 'aml', 'must be a JSON object'],
  ])('400 invalid_request for %s, saying what is wrong', async (_what, body, detail) => {
    const world = setUp();
    const answer = await invoke(world.workspaceToken, aPost({ workspace: 'prod' }, body));
    expect(answer.status).toBe(400);
    expect(answer.body).toMatchObject({ code: 'invalid_request', detail: expect.stringContaining(detail) });
    expect(world.entra.calls).toEqual([]);
    expect(world.records()).toEqual([]);
  });

  it('409 insufficient_lifetime for any minRemaining that no token has, with the seconds that there are', async () => {
    for (const wanted of [3601, 172_801, Number.MAX_SAFE_INTEGER]) {
      const answer = await invoke(setUp().workspaceToken, aPost({ workspace: 'prod' }, { minRemaining: wanted }));
      expect(answer.status).toBe(409);
      expect(answer.body).toMatchObject({ code: 'insufficient_lifetime', secondsAvailable: 3600 });
    }
  });

  it.each(['', '-prod', 'prod/dev', '..', 'prod%2fdev', 'prod dev', 'a'.repeat(64), 'prød', 'prod\n'])(
    '400 invalid_request for the workspace %j, which is no name',
    async (workspace) => {
      const answer = await invoke(setUp().workspaceToken, aPost({ workspace }));
      expect(answer.status).toBe(400);
      expect(answer.body).toMatchObject({ code: 'invalid_request' });
    },
  );
});
