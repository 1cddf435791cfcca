import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { sandboxPolicy, startTestBroker, type TestBroker } from '../support/broker.ts';

/** Every route with every status that it can answer, on the real bundle, real SDKs and the sandbox over TLS. */

const BRIEF = 'aaaaaaaa-0000-4000-8000-000000000001';
const DENIED = 'aaaaaaaa-0000-4000-8000-000000000002';
const PLAIN = 'aaaaaaaa-0000-4000-8000-000000000004';
const SUSPENDED = 'aaaaaaaa-0000-4000-8000-000000000003';

const more = `
  # Its limit is shorter than any token of the trainer.
  brief:
    caller: { issuer: contoso, class: app, oid: ${BRIEF} }
    allow: [ { workspace: prod, audience: aml, identity: trainer } ]
    maxLifetime: 10m
  denied:
    caller: { issuer: contoso, class: app, oid: ${DENIED} }
    allow: [ { workspace: prod, audience: aml, identity: trainer }, { endpointToken: prod/fraud-* }, { endpointKey: prod/fraud-* } ]
    maxLifetime: 25h
  # Endpoints' own tokens only: no identity for those in aad_token mode.
  plain:
    caller: { issuer: contoso, class: app, oid: ${PLAIN} }
    allow: [ { endpointToken: prod/fraud-* } ]
    maxLifetime: 25h
  suspended:
    caller: { issuer: contoso, class: app, oid: ${SUSPENDED} }
    allow: [ { workspace: prod, audience: aml, identity: trainer } ]
    maxLifetime: 25h
    suspended: true
deny:
  - { issuer: contoso, class: app, oid: ${DENIED} }
`;

const WORKSPACE = '/workspaces/prod/token';
const TOKEN = '/workspaces/prod/endpoints/fraud-aml/token';
const KEY = '/workspaces/prod/endpoints/fraud-scorer/key';
const posts = [WORKSPACE, TOKEN, KEY];

let broker: TestBroker;
let token: string;

beforeAll(async () => {
  broker = await startTestBroker({ policy: `${await sandboxPolicy()}${more}` });
  token = await broker.sandbox.callerToken();
});
afterAll(() => broker?.stop());
afterEach(() => broker.clearFaults());

/** The problem’s status, code and form, and nothing of what was sent. */
function expectProblem(answer: Awaited<ReturnType<TestBroker['post']>>, status: number, code: string): void {
  expect({ status: answer.status, code: answer.body.code }).toEqual({ status, code });
  expect(answer.headers.get('content-type')).toBe('application/problem+json');
  expect(answer.headers.get('cache-control')).toBe('no-store');
  expect(answer.body).toMatchObject({ status, title: expect.any(String), detail: expect.any(String) });
  expect(answer.body.correlationId).toMatch(/^[0-9a-f-]{36}$/);
  if (status === 503) expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0);
}

describe('POST /workspaces/{workspace}/token', () => {
  it('→ 200 with an Entra token for Azure ML, through the identity of the grant (P3)', async () => {
    const answer = await broker.post(WORKSPACE, { token });
    expect(answer.status).toBe(200);
    expect(Object.keys(answer.body).sort()).toEqual(
      ['accessToken', 'audience', 'expiresOn', 'identity', 'refreshBy', 'tokenType'].sort(),
    );
    expect(answer.body).toMatchObject({ tokenType: 'Bearer', audience: 'aml', identity: 'trainer' });
    const [, payload = ''] = String(answer.body.accessToken).split('.');
    expect(JSON.parse(Buffer.from(payload, 'base64url').toString())).toMatchObject({
      aud: 'https://ml.azure.com',
      appid: 'd0000000-0000-4000-8000-000000000001',
    });
    expect(Date.parse(String(answer.body.refreshBy))).toBeGreaterThan(Date.now());
    expect(Date.parse(String(answer.body.refreshBy))).toBeLessThan(Date.parse(String(answer.body.expiresOn)));
    expect(answer.headers.get('cache-control')).toBe('no-store');
  });

  it('→ 200 with a Resource Manager token that opens its workspace and not the other (P3)', async () => {
    const answer = await broker.post(WORKSPACE, { token, body: { audience: 'arm' } });
    expect(answer.body.audience).toBe('arm');
    const base =
      '/subscriptions/00000000-0000-4000-8000-00000000000a/resourceGroups/ml-platform/providers/Microsoft.MachineLearningServices/workspaces';
    const open = (name: string) =>
      fetch(`${broker.sandbox.endpoints.arm}${base}/${name}?api-version=2022-10-01`, {
        headers: { Authorization: `Bearer ${answer.body.accessToken}` },
      });
    expect((await open('ml-prod')).status).toBe(200);
    expect((await open('ml-dev')).status).toBe(403);
  });

  it('→ 200 through a managed identity', async () => {
    const answer = await broker.post('/workspaces/dev/token', { token });
    expect(answer.body).toMatchObject({ identity: 'dev-runner', audience: 'aml' });
  });

  it('→ 403 lifetime_exceeds_grant where the token has more left than maxLifetime (P3)', async () => {
    const brief = await broker.sandbox.callerToken({ oid: BRIEF });
    expectProblem(await broker.post(WORKSPACE, { token: brief }), 403, 'lifetime_exceeds_grant');
  });

  it('→ 403 not_granted where the grant is suspended (P1)', async () => {
    const suspended = await broker.sandbox.callerToken({ oid: SUSPENDED });
    expectProblem(await broker.post(WORKSPACE, { token: suspended }), 403, 'not_granted');
  });

  it('→ 409 insufficient_lifetime, with the seconds available', async () => {
    const answer = await broker.post(WORKSPACE, { token, body: { minRemaining: 7200 } });
    expectProblem(answer, 409, 'insufficient_lifetime');
    expect(answer.body.secondsAvailable).toBeGreaterThan(3000);
    expect(answer.body.secondsAvailable).toBeLessThanOrEqual(3600);
    expect(answer.body.detail).toContain(String(answer.body.secondsAvailable));
  });

  it('→ 400 invalid_request for an audience or a minRemaining that does not exist', async () => {
    for (const body of [{ audience: 'graph' }, { minRemaining: -1 }, { minRemaining: 1.5 }, { minRemaining: '60' }]) {
      expectProblem(await broker.post(WORKSPACE, { token, body }), 400, 'invalid_request');
    }
  });

  it('→ 503 identity_not_ready where the secret of the identity is disabled', async () => {
    const other = await startTestBroker();
    try {
      const done = await other.sandbox.control('POST', '/operations/disable-secret', { name: 'trainer-password' });
      expect(done.ok).toBe(true);
      const answer = await other.post(WORKSPACE, { token: await other.sandbox.callerToken() });
      expectProblem(answer, 503, 'identity_not_ready');
    } finally {
      await other.stop();
    }
  });

  it('→ 503 upstream_unavailable and upstream_throttled where Entra does not answer and no token is held', async () => {
    const other = await startTestBroker();
    try {
      const caller = await other.sandbox.callerToken();
      await other.fault({ service: 'entra', match: 'oauth2', status: 500 });
      expectProblem(await other.post(WORKSPACE, { token: caller }), 503, 'upstream_unavailable');
      await other.clearFaults();
      await other.fault({ service: 'entra', match: 'oauth2', status: 429, retryAfterSeconds: 7 });
      expectProblem(await other.post(WORKSPACE, { token: caller }), 503, 'upstream_throttled');
      await other.clearFaults();
      expect((await other.post(WORKSPACE, { token: caller })).status).toBe(200);
    } finally {
      await other.stop();
    }
  });
});

describe('POST /workspaces/{workspace}/endpoints/{endpoint}/token', () => {
  it('→ 200 with the endpoint’s own token, which scores there (P3)', async () => {
    const answer = await broker.post(TOKEN, { token });
    expect(answer.status).toBe(200);
    expect(Object.keys(answer.body).sort()).toEqual(
      ['accessToken', 'authMode', 'expiresOn', 'refreshBy', 'scoringUri', 'stale', 'tokenType'].sort(),
    );
    expect(answer.body).toMatchObject({ tokenType: 'Bearer', authMode: 'aml_token', stale: false });
    const scored = await fetch(String(answer.body.scoringUri), {
      method: 'POST',
      headers: { Authorization: `Bearer ${answer.body.accessToken}`, 'Content-Type': 'application/json' },
      body: '{"data":[[1,2,3]]}',
    });
    expect(scored.status).toBe(200);
  });

  it('→ 200 whatever the case of the endpoint’s name', async () => {
    expect((await broker.post('/workspaces/prod/endpoints/FRAUD-AML/token', { token })).status).toBe(200);
  });

  it('→ 403 not_granted, the same for an endpoint that is not granted and one that does not exist (P1)', async () => {
    const answers = await Promise.all(
      ['churn-aml', 'no-such-endpoint', 'fraud-nothing'].map((name) =>
        broker.post(`/workspaces/prod/endpoints/${name}/token`, { token }),
      ),
    );
    for (const answer of answers) expectProblem(answer, 403, 'not_granted');
    const shown = answers.map(({ body: { correlationId: _, ...rest } }) => rest);
    expect(shown[1]).toEqual(shown[0]);
    expect(shown[2]).toEqual(shown[0]);
  });

  it('→ 409 wrong_auth_mode for an endpoint in key mode, naming /key', async () => {
    const answer = await broker.post('/workspaces/prod/endpoints/fraud-scorer/token', { token });
    expectProblem(answer, 409, 'wrong_auth_mode');
    expect(answer.body.detail).toContain('/key');
  });

  it('→ 200 with an Entra token of the entry’s identity in aad_token mode, which scores there, in the same shape (P3)', async () => {
    const answer = await broker.post('/workspaces/prod/endpoints/fraud-aad/token', { token });
    expect(answer.status).toBe(200);
    expect(answer.body).toEqual({
      accessToken: expect.any(String),
      tokenType: 'Bearer',
      expiresOn: expect.stringMatching(/Z$/),
      refreshBy: expect.stringMatching(/Z$/),
      scoringUri: expect.stringMatching(/\/fraud-aad\/score$/),
      authMode: 'aad_token',
      stale: false,
    });
    const [, payload = ''] = String(answer.body.accessToken).split('.');
    expect(JSON.parse(Buffer.from(payload, 'base64url').toString())).toMatchObject({
      aud: 'https://ml.azure.com',
      appid: 'c0000000-0000-4000-8000-000000000003',
    });
    const score = (uri: unknown) =>
      fetch(String(uri), {
        method: 'POST',
        headers: { Authorization: `Bearer ${answer.body.accessToken}`, 'Content-Type': 'application/json' },
        body: '{"data":[[1,2,3]]}',
      });
    expect((await score(answer.body.scoringUri)).status).toBe(200);
    // It opens endpoints of this mode that the identity may score at, and no other.
    expect((await score(String(answer.body.scoringUri).replace('fraud-aad', 'fraud-aml'))).status).toBe(401);
  });

  it('→ 409 wrong_auth_mode for an endpoint in aad_token mode where no grant names an identity, with what to add', async () => {
    const plain = await broker.sandbox.callerToken({ oid: PLAIN });
    const answer = await broker.post('/workspaces/prod/endpoints/fraud-aad/token', { token: plain });
    expectProblem(answer, 409, 'wrong_auth_mode');
    expect(answer.body).toMatchObject({ authMode: 'aad_token', detail: expect.stringContaining('identity:') });
  });

  it('→ 409 insufficient_lifetime, with the seconds available', async () => {
    const answer = await broker.post(TOKEN, { token, body: { minRemaining: 86_400 } });
    expectProblem(answer, 409, 'insufficient_lifetime');
    expect(answer.body.secondsAvailable).toBeLessThanOrEqual(60);
  });

  it('→ 502 unexpected_upstream_answer where Azure ML breaks its contract', async () => {
    const other = await startTestBroker();
    try {
      await other.fault({ service: 'arm', match: 'POST .*fraud-aml/token', status: 400 });
      const answer = await other.post(TOKEN, { token: await other.sandbox.callerToken() });
      expectProblem(answer, 502, 'unexpected_upstream_answer');
    } finally {
      await other.stop();
    }
  });
});

describe('POST /workspaces/{workspace}/endpoints/{endpoint}/key', () => {
  it.each([
    ['null while nothing rotates it', 'fraud-scorer', null],
    ['an instant where a rotation is of it', 'fraud-turns', expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/)],
  ])('→ 200 with one key, which scores there, and validUntil %s (P3)', async (_what, name, validUntil) => {
    const answer = await broker.post(`/workspaces/prod/endpoints/${name}/key`, { token });
    expect(answer.status).toBe(200);
    expect(answer.body).toEqual({
      key: expect.any(String),
      keyName: 'primary',
      validUntil,
      scoringUri: expect.stringMatching(/^https:/),
    });
    const scored = await fetch(String(answer.body.scoringUri), {
      method: 'POST',
      headers: { Authorization: `Bearer ${answer.body.key}`, 'Content-Type': 'application/json' },
      body: '{"data":[[1,2,3]]}',
    });
    expect(scored.status).toBe(200);
  });

  it('→ 409 wrong_auth_mode for an endpoint in a token mode, naming /token', async () => {
    for (const name of ['fraud-aml', 'fraud-aad']) {
      const answer = await broker.post(`/workspaces/prod/endpoints/${name}/key`, { token });
      expectProblem(answer, 409, 'wrong_auth_mode');
      expect(answer.body.detail).toContain('/token');
    }
  });

  it('→ 400 invalid_request for any field in the body', async () => {
    expectProblem(await broker.post(KEY, { token, body: { minRemaining: 1 } }), 400, 'invalid_request');
  });

  it('→ 502 unexpected_upstream_answer where Azure ML breaks its contract', async () => {
    await broker.fault({ service: 'arm', match: 'listKeys', status: 400 });
    expectProblem(await broker.post(KEY, { token }), 502, 'unexpected_upstream_answer');
  });

  it('→ 503 upstream_throttled with Azure’s own Retry-After, and upstream_unavailable', async () => {
    await broker.fault({ service: 'arm', match: 'listKeys', status: 429, retryAfterSeconds: 17 });
    const throttled = await broker.post(KEY, { token });
    expectProblem(throttled, 503, 'upstream_throttled');
    expect(throttled.headers.get('retry-after')).toBe('17');
    await broker.clearFaults();
    await broker.fault({ service: 'arm', match: 'listKeys', status: 503 });
    expectProblem(await broker.post(KEY, { token }), 503, 'upstream_unavailable');
  });

  it('→ 503 identity_not_ready where the fetch identity lacks the role', async () => {
    await broker.fault({ service: 'arm', match: 'listKeys', status: 403 });
    expectProblem(await broker.post(KEY, { token }), 503, 'identity_not_ready');
  });
});

describe.each(posts)('POST %s', (route) => {
  it('→ 401 invalid_token without a token, with a malformed one and an expired one, always the same answer (P1)', async () => {
    const expired = await broker.sandbox.callerToken({ lifetimeSeconds: -3600 });
    const answers = [
      await broker.post(route),
      await broker.post(route, { token: 'x.y.z' }),
      await broker.post(route, { token: expired }),
    ];
    for (const answer of answers) {
      expectProblem(answer, 401, 'invalid_token');
      expect(answer.headers.get('www-authenticate')).toMatch(/^Bearer .*error="invalid_token"/);
    }
    const shown = answers.map(({ body: { correlationId: _, ...rest }, headers }) => [
      rest,
      headers.get('www-authenticate'),
    ]);
    expect(shown[1]).toEqual(shown[0]);
    expect(shown[2]).toEqual(shown[0]);
  });

  it('→ 403 not_granted for a stranger (P1)', async () => {
    const stranger = await broker.sandbox.callerToken({ appId: 'ffffffff-0000-4000-8000-000000000009' });
    expectProblem(await broker.post(route, { token: stranger }), 403, 'not_granted');
  });

  it('→ 403 caller_denied for a caller under deny, whatever its grants (P1)', async () => {
    const denied = await broker.sandbox.callerToken({ oid: DENIED });
    expectProblem(await broker.post(route, { token: denied }), 403, 'caller_denied');
  });

  it('→ 400 invalid_request for a body that is not the documented object', async () => {
    for (const body of ['', '{', '[]', 'null', '"x"', '{"unknown":1}', '{"__proto__":{}}']) {
      expectProblem(await broker.post(route, { token, body }), 400, 'invalid_request');
    }
  });

  it('→ 413 too_large for a body over 64 KiB', async () => {
    const body = JSON.stringify({ filler: 'x'.repeat(64 * 1024) });
    expectProblem(await broker.post(route, { token, body }), 413, 'too_large');
  });

  it('→ 415 unsupported_media_type for a body that is not declared as JSON', async () => {
    const headers = { 'Content-Type': 'text/plain' };
    expectProblem(await broker.post(route, { token, headers }), 415, 'unsupported_media_type');
  });

  it('→ 503 audit_unavailable, and nothing handed out, where no audit store accepts (P1)', async () => {
    await broker.fault({ service: 'audit', status: 503 });
    const answer = await broker.post(route, { token });
    expectProblem(answer, 503, 'audit_unavailable');
    expect(answer.text).not.toMatch(/accessToken|"key"/);
  });

  it('→ 404 for another method, from the host', async () => {
    expect((await broker.get(route, token)).status).toBe(404);
  });
});

describe('GET /workspaces', () => {
  it('→ 200 with what this caller may obtain, and no more', async () => {
    const answer = await broker.get('/workspaces', token);
    expect(answer.status).toBe(200);
    expect(answer.body).toEqual({
      workspaces: [
        {
          name: 'prod',
          audiences: ['aml', 'arm'],
          endpoints: [
            { name: 'fraud-aad', token: true, key: false },
            { name: 'fraud-aml', token: true, key: false },
            { name: 'fraud-scorer', token: false, key: true },
            { name: 'fraud-turns', token: false, key: true },
          ],
        },
        { name: 'dev', audiences: ['aml', 'arm'], endpoints: [] },
      ],
    });
  });

  it('→ 200 with nothing for a stranger (P1)', async () => {
    const stranger = await broker.sandbox.callerToken({ appId: 'ffffffff-0000-4000-8000-000000000009' });
    expect((await broker.get('/workspaces', stranger)).body).toEqual({ workspaces: [] });
  });

  it('→ 400 invalid_request for a query', async () => {
    expectProblem(await broker.get('/workspaces?all=1', token), 400, 'invalid_request');
  });

  it('→ 401 invalid_token without a token (P1)', async () => {
    expectProblem(await broker.get('/workspaces'), 401, 'invalid_token');
  });

  it('→ 403 caller_denied for a caller under deny (P1)', async () => {
    const denied = await broker.sandbox.callerToken({ oid: DENIED });
    expectProblem(await broker.get('/workspaces', denied), 403, 'caller_denied');
  });

  it('→ 503 upstream_unavailable where the endpoints were never seen and Azure ML does not answer', async () => {
    const other = await startTestBroker();
    try {
      await other.fault({ service: 'arm', status: 503 });
      expectProblem(await other.get('/workspaces', await other.sandbox.callerToken()), 503, 'upstream_unavailable');
    } finally {
      await other.stop();
    }
  });
});

describe('GET /health/live', () => {
  it('→ 200', async () => {
    expect(await broker.get('/health/live')).toMatchObject({ status: 200, body: { status: 'ok' } });
  });
});

describe('GET /health/ready', () => {
  it('→ 200 with every part ok', async () => {
    // The last use tells the state: an earlier test left a failure behind.
    expect((await broker.post(WORKSPACE, { token })).status).toBe(200);
    const answer = await broker.get('/health/ready');
    expect(answer.status).toBe(200);
    expect(answer.body).toEqual({
      status: 'ok',
      parts: {
        policy: 'ok',
        callerKeys: 'ok',
        auditStore: 'ok',
        tokenStore: 'ok',
        tokenCacheKey: 'ok',
        keyVault: 'ok',
        identities: 'ok',
        machineLearning: 'ok',
      },
    });
  });
});
