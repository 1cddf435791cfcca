import { describe, expect, it } from 'vitest';
import { anEndpoint, aPolicy, upstream } from '../support/builders.ts';
import { expectGood, setUp } from './functions-in-memory.ts';
import { aPost, invoke } from './invoke.ts';

describe('POST /workspaces/{workspace}/endpoints/{endpoint}/token', () => {
  const path = { workspace: 'prod', endpoint: 'fraud-aml' };

  it('answers with accessToken, tokenType, expiresOn, refreshBy, scoringUri, authMode and stale', async () => {
    const world = setUp();
    const answer = await invoke(world.endpointToken, aPost(path));
    expectGood(answer);
    expect(answer.body).toEqual({
      accessToken: world.machineLearning.issued[0]?.accessToken,
      tokenType: 'Bearer',
      expiresOn: '2026-11-22T11:00:00.000Z',
      refreshBy: '2026-11-22T10:30:00.000Z',
      scoringUri: anEndpoint().scoringUri,
      authMode: 'aml_token',
      stale: false,
    });
  });

  it('P4: says stale: true past refreshBy while Azure ML is out of reach', async () => {
    const world = setUp();
    await invoke(world.endpointToken, aPost(path));
    world.machineLearning.fault = upstream('unavailable');
    world.time.advance(1800);
    const answer = await invoke(world.endpointToken, aPost(path));
    expectGood(answer);
    expect(answer.body).toMatchObject({ stale: true, refreshBy: '2026-11-22T10:30:00.000Z' });
  });

  it('finds the endpoint in any case, as Resource Manager does', async () => {
    const world = setUp();
    expect((await invoke(world.endpointToken, aPost({ workspace: 'prod', endpoint: 'Fraud-AML' }))).status).toBe(200);
    expect(world.machineLearning.calls).toEqual(['getEndpoint fraud-aml', 'getToken fraud-aml']);
  });

  it('409 wrong_auth_mode, naming the mode and /key, for an endpoint in key mode', async () => {
    const answer = await invoke(setUp().endpointToken, aPost({ ...path, endpoint: 'fraud-scorer' }));
    expect(answer.status).toBe(409);
    expect(answer.body).toMatchObject({
      code: 'wrong_auth_mode',
      authMode: 'key',
      detail: expect.stringContaining('/key'),
    });
  });

  it('409 wrong_auth_mode for an endpoint in aad_token mode where no grant names an identity, with what to add', async () => {
    const answer = await invoke(setUp().endpointToken, aPost({ ...path, endpoint: 'fraud-aad' }));
    expect(answer.status).toBe(409);
    expect(answer.body).toMatchObject({
      code: 'wrong_auth_mode',
      authMode: 'aad_token',
      detail: expect.stringContaining('add identity:'),
    });
  });

  it('403 not_granted, word for word the same for one that does not exist and one that is not granted', async () => {
    const world = setUp();
    const missing = await invoke(world.endpointToken, aPost({ ...path, endpoint: 'fraud-none' }));
    const foreign = await invoke(world.endpointToken, aPost({ ...path, endpoint: 'churn-aml' }));
    const foreignWorkspace = await invoke(world.endpointToken, aPost({ ...path, workspace: 'nowhere' }));
    expect(missing.status).toBe(403);
    expect(missing.body).toMatchObject({ code: 'not_granted' });
    for (const other of [foreign, foreignWorkspace]) {
      expect(other.status).toBe(missing.status);
      expect(other.text).toBe(missing.text);
      expect([...other.headers]).toEqual([...missing.headers]);
    }
  });

  it('403 lifetime_exceeds_grant for a token that outlives the grant’s limit', async () => {
    const world = setUp(
      aPolicy({
        grants: {
          short: {
            caller: { issuer: 'contoso', class: 'app' },
            allow: [{ endpointToken: 'prod/*' }],
            maxLifetime: '30m',
          },
        },
      }),
    );
    const answer = await invoke(world.endpointToken, aPost(path));
    expect(answer.status).toBe(403);
    expect(answer.body).toMatchObject({ code: 'lifetime_exceeds_grant' });
    expect(answer.text).not.toContain('secret-token');
  });

  it('503 upstream_throttled with Azure’s Retry-After', async () => {
    const world = setUp();
    world.machineLearning.fault = upstream('throttled', { retryAfterSeconds: 12 });
    const answer = await invoke(world.endpointToken, aPost(path));
    expect(answer.status).toBe(503);
    expect(answer.headers.get('retry-after')).toBe('12');
    expect(answer.body).toMatchObject({ code: 'upstream_throttled' });
  });

  it('400 invalid_request for an audience, which this route does not know', async () => {
    const answer = await invoke(setUp().endpointToken, aPost(path, { audience: 'aml' }));
    expect(answer.status).toBe(400);
    expect(answer.body).toMatchObject({ code: 'invalid_request' });
  });

  it.each(['', '-fraud', 'fraud/aml', '..', 'fraud*', 'fraud.aml', 'a'.repeat(256)])(
    '400 invalid_request for the endpoint %j, which is no name',
    async (endpoint) => {
      const answer = await invoke(setUp().endpointToken, aPost({ workspace: 'prod', endpoint }));
      expect(answer.status).toBe(400);
      expect(answer.body).toMatchObject({ code: 'invalid_request' });
    },
  );
});
