import { describe, expect, it } from 'vitest';
import { aPolicy, upstream } from '../support/builders.ts';
import { routes } from './all-routes.ts';
import { setUp } from './functions-in-memory.ts';
import { callerToken, invoke } from './invoke.ts';

describe.each(routes)('%s', (_route, handlerOf, request) => {
  it('200 with a grant', async () => {
    expect((await invoke(handlerOf(setUp()), request)).status).toBe(200);
  });

  it('P1: 401 invalid_token without a token, before anything else is looked at', async () => {
    const world = setUp();
    const answer = await invoke(handlerOf(world), { ...request, params: {}, headers: {} });
    expect(answer.status).toBe(401);
    expect(answer.body).toMatchObject({ code: 'invalid_token' });
    expect(world.machineLearning.calls).toEqual([]);
    expect(world.records()).toEqual([]);
  });

  it.each([
    ['a refused token', { authorization: 'Bearer e30.e30.c2ln' }],
    ['two tokens', { authorization: `Bearer ${callerToken}, Bearer ${callerToken}` }],
    ['another scheme', { authorization: `Basic ${callerToken}` }],
    ['no scheme', { authorization: callerToken }],
  ])('P1: 401 invalid_token with %s, the same answer as without any', async (_what, headers) => {
    const world = setUp();
    const answer = await invoke(handlerOf(world), { ...request, headers });
    const without = await invoke(handlerOf(world), { ...request, headers: {} });
    expect(answer.status).toBe(401);
    expect(answer.headers.get('www-authenticate')).toMatch(/^Bearer realm="[^"]+", error="invalid_token"/);
    expect(answer.text).toBe(without.text);
    expect([...answer.headers]).toEqual([...without.headers]);
    expect(world.records()).toEqual([]);
  });

  it('400 invalid_request with a query, before the token is looked at', async () => {
    const url = `https://broker.example/?access_token=${callerToken}`;
    const answer = await invoke(handlerOf(setUp()), { ...request, url, headers: {} });
    expect(answer.status).toBe(400);
    expect(answer.body).toMatchObject({ code: 'invalid_request' });
    expect(answer.text + answer.lines.join()).not.toContain(callerToken);
  });

  it('413 too_large by the declared length, before the token is looked at', async () => {
    const headers = { 'content-length': String(64 * 1024 + 1) };
    const answer = await invoke(handlerOf(setUp()), { ...request, headers });
    expect(answer.status).toBe(413);
    expect(answer.body).toMatchObject({ code: 'too_large' });
  });

  it('503 when Azure ML or Entra is out of reach and nothing is in hand', async () => {
    const world = setUp();
    world.machineLearning.fault = upstream('unavailable');
    world.entra.fault = upstream('unavailable');
    const answer = await invoke(handlerOf(world), request);
    expect(answer.status).toBe(503);
    expect(answer.headers.get('retry-after')).toBe('10');
    expect(answer.body).toMatchObject({ code: 'upstream_unavailable' });
  });

  it('503 identity_not_ready when Azure refuses the identity', async () => {
    const world = setUp();
    world.machineLearning.fault = upstream('forbidden');
    world.entra.fault = upstream('credential_refused');
    const answer = await invoke(handlerOf(world), request);
    expect(answer.status).toBe(503);
    expect(answer.body).toMatchObject({ code: 'identity_not_ready' });
  });

  it('502 unexpected_upstream_answer when Azure breaks its contract', async () => {
    const world = setUp();
    world.machineLearning.fault = upstream('unexpected', { upstreamCode: 'contract:accessToken' });
    world.entra.fault = upstream('unexpected');
    const answer = await invoke(handlerOf(world), request);
    expect(answer.status).toBe(502);
    expect(answer.body).toMatchObject({ code: 'unexpected_upstream_answer' });
    expect(answer.text).not.toContain('contract:');
  });

  it('P2: has no caller token in the log, whatever happens', async () => {
    const world = setUp(aPolicy({ grants: {} }));
    const logged = [
      ...(await invoke(handlerOf(world), request)).lines,
      ...(await invoke(handlerOf(world), { ...request, headers: { authorization: `Bearer ${callerToken}.x` } })).lines,
      ...world.lines,
    ].join('\n');
    expect(logged).toContain('not_one_bearer_token');
    for (const part of callerToken.split('.')) expect(logged).not.toContain(part);
  });
});
