import type { HttpHandler, HttpRequestInit } from '@azure/functions';
import { describe, expect, it } from 'vitest';
import { aCaller, upstream } from '../support/builders.ts';
import { callerToken, invocationId, invoke } from './invoke.ts';
import { aRead, aRequest, aRotationPolicy, setUpOperators } from './operators-in-memory.ts';

type World = ReturnType<typeof setUpOperators>;

const name = 'trainer-password';
const routes: [string, (world: World) => HttpHandler, HttpRequestInit, string][] = [
  ['GET /rotations', (world) => world.listRotations, aRead(), 'rotations'],
  ['GET /rotations/{name}', (world) => world.rotation, aRead({ rotation: name }), `rotation ${name}`],
  ['POST /rotations/{name}', (world) => world.requestRotation, aRequest({ rotation: name }), `rotation ${name}`],
  [
    'GET /rotations/{name}/runs/{id}',
    (world) => world.rotationRun,
    aRead({ rotation: name, run: 'f'.repeat(32) }),
    `rotation ${name}`,
  ],
];

describe.each(routes)('%s', (_route, handlerOf, request, target) => {
  it.each([
    ['no role', {}],
    ['another role', { roles: ['Reader'] }],
    ['the role as a user', { class: 'user' as const, roles: ['Operator'] }],
  ])('403 operator_required for a caller with %s, on record, and nothing is read', async (_what, changes) => {
    const world = setUpOperators();
    world.state.caller = aCaller({ roles: [], ...changes });
    const answer = await invoke(handlerOf(world), request);
    expect(answer.status).toBe(403);
    expect(answer.body).toMatchObject({ code: 'operator_required' });
    expect(world.rows()).toMatchObject([
      { decision: 'refused', code: 'operator_required', target, correlationId: invocationId },
    ]);
    expect(world.store.calls).toEqual([]);
  });

  it('403 operator_required by a roles claim alone: the policy has no entry for it', async () => {
    const world = setUpOperators(aRotationPolicy({ operators: [] }));
    expect((await invoke(handlerOf(world), request)).body).toMatchObject({ code: 'operator_required' });
  });

  it('403 caller_denied for an operator who is cut off, on record', async () => {
    const world = setUpOperators(aRotationPolicy({ deny: [{ issuer: 'contoso', class: 'app' }] }));
    const answer = await invoke(handlerOf(world), request);
    expect(answer.status).toBe(403);
    expect(answer.body).toMatchObject({ code: 'caller_denied' });
    expect(world.rows()).toMatchObject([{ decision: 'refused', code: 'caller_denied', target }]);
    expect(world.store.calls).toEqual([]);
  });

  it('403 for a rotation that does not exist too: others are not told which there are', async () => {
    const world = setUpOperators();
    world.state.caller = aCaller();
    const answer = await invoke(handlerOf(world), { ...request, params: { ...request.params, rotation: 'nobody' } });
    expect(answer.body).toMatchObject({ code: 'operator_required' });
  });

  it('401 invalid_token without a token', async () => {
    const world = setUpOperators();
    const answer = await invoke(handlerOf(world), { ...request, headers: {} });
    expect(answer.status).toBe(401);
    expect(answer.body).toMatchObject({ code: 'invalid_token' });
    expect(world.rows()).toEqual([]);
  });

  it('400 invalid_request with a query', async () => {
    const url = `https://broker.example/?access_token=${callerToken}`;
    expect((await invoke(handlerOf(setUpOperators()), { ...request, url })).body).toMatchObject({
      code: 'invalid_request',
    });
  });

  it('503 upstream_unavailable when the records cannot be read, and nothing is asked of the rotator', async () => {
    const world = setUpOperators();
    world.store.before = async () => {
      throw upstream('unavailable', { service: 'rotation records' });
    };
    const answer = await invoke(handlerOf(world), request);
    expect(answer.status).toBe(503);
    expect(answer.headers.get('retry-after')).toBe('10');
    expect(answer.body).toMatchObject({ code: 'upstream_unavailable' });
    expect(world.rows()).toEqual([]);
  });
});

describe.each(routes.slice(1))('%s', (_route, handlerOf, request) => {
  it.each(['nobody', 'constructor', 'Trainer-Password', 'trainer-password-pending'])(
    '404 not_found for the rotation %s, which the policy does not have',
    async (unknown) => {
      const world = setUpOperators();
      const answer = await invoke(handlerOf(world), { ...request, params: { ...request.params, rotation: unknown } });
      expect(answer.status).toBe(404);
      expect(answer.body).toMatchObject({ code: 'not_found' });
      expect(world.store.calls).toEqual([]);
      expect(world.rows()).toEqual([]);
    },
  );

  it.each(['', 'a b', 'trainer_password', '../x', 'a'.repeat(128)])(
    '400 invalid_request for %j, which is no name',
    async (bad) => {
      const params = { ...request.params, rotation: bad };
      const answer = await invoke(handlerOf(setUpOperators()), { ...request, params });
      expect(answer.status).toBe(400);
      expect(answer.body).toMatchObject({ code: 'invalid_request' });
    },
  );
});
