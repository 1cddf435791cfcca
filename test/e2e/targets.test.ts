import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DEV_RUNNER_IDENTITY } from '../../sandbox/seed.ts';
import { sandboxPolicy, startTestBroker, type TestBroker } from '../support/broker.ts';

/** Every kind of endpoint through the broker’s routes, on the real bundle against the sandbox over TLS. */

const TEAM = 'bbbbbbbb-0000-4000-8000-000000000001';

const grant = `
  team-scores:
    caller: { issuer: contoso, class: app, oid: ${TEAM} }
    allow:
      - { endpointToken: prod/*-v1 }
      - { endpointKey: prod/*-v1 }
      - { endpointToken: prod/fraud-aml, identity: fraud-scorer }
      - { endpointKey: prod/fraud-aml }
      - { endpointToken: dev/* }
      - { endpointKey: dev/* }
    maxLifetime: 25h
`;
const declared = `    workspace_name: ml-prod
    endpoints:
      churn-v1: { kind: webService }
      pricing-v1: { kind: webService }
      demo-v1: { kind: webService }
`;

let broker: TestBroker;
let token: string;

beforeAll(async () => {
  const policy = (await sandboxPolicy()).replace('    workspace_name: ml-prod\n', declared);
  broker = await startTestBroker({ policy: `${policy}${grant}`, settings: { ENDPOINT_LOOK_SECONDS: '1' } });
  token = await broker.sandbox.callerToken({ oid: TEAM });
});
afterAll(() => broker?.stop());

const ask = (what: 'token' | 'key', name: string, workspace = 'prod') =>
  broker.post(`/workspaces/${workspace}/endpoints/${name}/${what}`, { token });

async function score({ body }: Awaited<ReturnType<typeof ask>>): Promise<number> {
  const headers = {
    Authorization: `Bearer ${body.accessToken ?? body.key}`,
    'Content-Type': 'application/json',
  };
  return (await fetch(String(body.scoringUri), { method: 'POST', headers, body: '{"data":[[1,2]]}' })).status;
}

async function operate(name: string, body: object): Promise<void> {
  const answer = await broker.sandbox.control('POST', `/operations/${name}`, body);
  if (!answer.ok) throw new Error(await answer.text());
}

describe('web services of SDK v1 (kind: webService)', () => {
  it('serve a token in the shape of any endpoint, which scores there (P3)', async () => {
    const answer = await ask('token', 'churn-v1');
    expect(answer.status).toBe(200);
    expect(answer.body).toEqual({
      accessToken: expect.any(String),
      tokenType: 'Bearer',
      expiresOn: expect.stringMatching(/Z$/),
      refreshBy: expect.stringMatching(/Z$/),
      scoringUri: expect.stringMatching(/service\/churn-v1\/score$/),
      authMode: 'aml_token',
      stale: false,
    });
    expect(await score(answer)).toBe(200);
  });

  it('serve a key where they take keys', async () => {
    const answer = await ask('key', 'pricing-v1');
    expect(answer.body).toMatchObject({ keyName: 'primary', validUntil: null });
    expect(await score(answer)).toBe(200);
  });

  it('have one way only: the other route is 409 wrong_auth_mode and names it', async () => {
    const [asKey, asToken] = [await ask('key', 'churn-v1'), await ask('token', 'pricing-v1')];
    expect(asKey.body).toMatchObject({ code: 'wrong_auth_mode', authMode: 'aml_token' });
    expect(asKey.body.detail).toContain('/token');
    expect(asToken.body).toMatchObject({ code: 'wrong_auth_mode', authMode: 'key' });
    expect(asToken.body.detail).toContain('/key');
  });

  it('with authentication off are 409 wrong_auth_mode on both routes: there is nothing to hand out', async () => {
    for (const what of ['token', 'key'] as const) {
      const { status, body } = await ask(what, 'demo-v1');
      expect([status, body]).toMatchObject([409, { code: 'wrong_auth_mode', authMode: 'none' }]);
      expect(body.detail).toContain('authentication is off');
    }
  });

  it('are listed and kept fresh by the timer like the others', async () => {
    const { workspaces } = (await broker.get('/workspaces', token)).body;
    expect(workspaces).toEqual([
      expect.objectContaining({
        name: 'prod',
        endpoints: expect.arrayContaining([
          { name: 'churn-v1', token: true, key: false },
          { name: 'demo-v1', token: false, key: false },
          { name: 'pricing-v1', token: false, key: true },
        ]),
      }),
      expect.objectContaining({ name: 'dev' }),
    ]);
    await broker.fire('refreshEndpointTokens');
    const before = (await broker.calls(/POST .*services\/churn-v1\/token/)).length;
    expect(before).toBeGreaterThan(0);
    await ask('token', 'churn-v1');
    expect(await broker.calls(/POST .*services\/churn-v1\/token/)).toHaveLength(before);
  });
});

describe('Kubernetes online endpoints', () => {
  it('serve their own token, and their key when the mode changes', async () => {
    const arm = await broker.sandbox.identityToken('https://management.azure.com', DEV_RUNNER_IDENTITY.clientId);
    const workspace =
      '/subscriptions/00000000-0000-4000-8000-00000000000a/resourceGroups/ml-platform/providers/Microsoft.MachineLearningServices/workspaces/ml-dev';
    const made = await fetch(
      `${broker.sandbox.endpoints.arm}${workspace}/onlineEndpoints/churn-k8s?api-version=2022-10-01`,
      {
        method: 'PUT',
        headers: { Authorization: `Bearer ${arm}`, 'Content-Type': 'application/json' },
        body: JSON.stringify({
          location: 'westeurope',
          properties: {
            authMode: 'AMLToken',
            compute: `${workspace}/computes/cluster-1`,
            traffic: { blue: 100 },
          },
        }),
      },
    );
    expect(made.status).toBe(201);
    broker.sandbox.advance(2);
    const answer = await ask('token', 'churn-k8s', 'dev');
    expect(answer.body).toMatchObject({ authMode: 'aml_token', stale: false });
    await operate('set-auth-mode', { workspace: 'dev', endpoint: 'churn-k8s', authMode: 'Key' });
    await expect
      .poll(async () => (await ask('key', 'churn-k8s', 'dev')).status, { timeout: 5000, interval: 200 })
      .toBe(200);
    expect((await ask('token', 'churn-k8s', 'dev')).body).toMatchObject({ code: 'wrong_auth_mode', authMode: 'key' });
  });
});

describe('an endpoint that changed', () => {
  const mode = (authMode: string) => operate('set-auth-mode', { workspace: 'prod', endpoint: 'fraud-aml', authMode });
  const served = async () => (await ask('token', 'fraud-aml')).body;

  it('serves what its mode of now takes after the next look: aml_token, aad_token, key', async () => {
    expect(await served()).toMatchObject({ authMode: 'aml_token' });
    await mode('AADToken');
    await expect.poll(async () => (await served()).authMode, { timeout: 5000, interval: 200 }).toBe('aad_token');
    expect(await score(await ask('token', 'fraud-aml'))).toBe(200);
    await mode('Key');
    await expect.poll(async () => (await served()).code, { timeout: 5000, interval: 200 }).toBe('wrong_auth_mode');
    expect(await score(await ask('key', 'fraud-aml'))).toBe(200);
    await mode('AMLToken');
    await expect.poll(async () => (await served()).authMode, { timeout: 5000, interval: 200 }).toBe('aml_token');
  });

  it('made anew under its name never yields the old one’s token after the next look', async () => {
    const old = await served();
    await operate('recreate-endpoint', { workspace: 'prod', endpoint: 'fraud-aml' });
    await expect
      .poll(async () => (await served()).accessToken !== old.accessToken, { timeout: 5000, interval: 200 })
      .toBe(true);
    expect(await score(await ask('token', 'fraud-aml'))).toBe(200);
  });
});
