import { decodeJwt } from 'jose';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { BROKER_API, DEFAULT_CALLER, DEPLOYER, FEDERATION_IDENTITY } from '../../sandbox/seed.ts';
import { type Instance, startTestBroker, type TestBroker } from '../support/broker.ts';

let broker: TestBroker;
const others: Instance[] = [];

beforeAll(async () => {
  broker = await startTestBroker();
});
afterEach(() => broker.clearFaults());
afterAll(async () => {
  await Promise.all(others.map((instance) => instance.stop()));
  await broker?.stop();
});

const route = '/workspaces/prod/token';
const userToken = (oid: string, more: Record<string, unknown> = {}) =>
  broker.sandbox.callerToken({ class: 'user', oid, ...more });
const deployToken = () => broker.sandbox.callerToken({ oid: crypto.randomUUID(), roles: ['Deploy'] });
const claimsOf = ({ body }: { body: Record<string, unknown> }) => decodeJwt(String(body.accessToken));

/** A process that holds no token yet. */
async function freshInstance(): Promise<Instance> {
  const instance = await broker.anotherInstance();
  others.push(instance);
  return instance;
}

describe('a federated identity', () => {
  it('P3: serves tokens of the application, without any secret', async () => {
    const answer = await broker.post(route, { token: await deployToken(), body: { audience: 'arm' } });
    expect(answer.status).toBe(200);
    expect(answer.body).toMatchObject({ identity: 'deployer', audience: 'arm' });
    expect(claimsOf(answer)).toMatchObject({
      aud: 'https://management.azure.com',
      appid: DEPLOYER.appId,
      appidacr: '2',
    });
  });

  it.each([
    ['AADSTS70021', 400],
    ['AADSTS700213', 401],
  ])('P7: while its credential propagates (%s) the answer is 503 with Retry-After at once', async (code, status) => {
    const fresh = await freshInstance();
    await broker.fault({ service: 'entra', match: '^POST', status, code });
    const token = await deployToken();
    const begun = performance.now();
    const answer = await fresh.post(route, { token });
    expect(performance.now() - begun).toBeLessThan(5_000);
    expect(answer).toMatchObject({ status: 503, body: { code: 'identity_not_ready' } });
    expect(answer.headers.get('retry-after')).toBe('30');

    await broker.clearFaults();
    expect((await fresh.post(route, { token })).status).toBe(200);
  });
});

describe('a user', () => {
  it('P3: gets a token of their own access: their roles decide what it opens', async () => {
    const workspace =
      '/subscriptions/00000000-0000-4000-8000-00000000000a/resourceGroups/ml-platform/providers/Microsoft.MachineLearningServices/workspaces/ml-prod';
    const read = async (oid: string) => {
      const answer = await broker.post(route, { token: await userToken(oid), body: { audience: 'arm' } });
      expect(answer.body).toMatchObject({ identity: 'user', audience: 'arm' });
      expect(claimsOf(answer)).toMatchObject({ appid: BROKER_API.appId, oid, scp: 'user_impersonation' });
      const headers = { Authorization: `Bearer ${answer.body.accessToken}` };
      return (await fetch(`${broker.sandbox.endpoints.arm}${workspace}?api-version=2024-10-01`, { headers })).status;
    };
    expect(await read(DEFAULT_CALLER.userOid)).toBe(200);
    expect(await read(crypto.randomUUID())).toBe(403);
  });

  it('P3: never gets a token that was obtained for another: two at once in one instance, 200 requests', async () => {
    const [anna, bert] = [crypto.randomUUID(), crypto.randomUUID()];
    const tokens = new Map<string, string[]>([
      [anna, [await userToken(anna), await userToken(anna, { version: '1.0' })]],
      [bert, [await userToken(bert), await userToken(bert, { version: '1.0' })]],
    ]);
    // Slow answers, so that requests of both are under way together, on a cold cache and on a warm one.
    await broker.fault({ service: 'entra', match: '^POST', delayMs: 50, times: 4 });
    const ask = async (index: number) => {
      const oid = index % 2 === 0 ? anna : bert;
      const token = tokens.get(oid)?.[index % 3 === 0 ? 1 : 0] ?? '';
      const audience = index % 5 === 0 ? 'arm' : 'aml';
      const answer = await broker.post(route, { token, body: { audience } });
      const { oid: owner, tid, aud } = claimsOf(answer);
      return { asked: { oid, audience }, got: { owner, tid, aud } };
    };
    const rounds = [await Promise.all(Array.from({ length: 100 }, (_, index) => ask(index)))];
    rounds.push(await Promise.all(Array.from({ length: 100 }, (_, index) => ask(index))));
    for (const { asked, got } of rounds.flat()) {
      const aud = asked.audience === 'arm' ? 'https://management.azure.com' : 'https://ml.azure.com';
      expect(got).toMatchObject({ owner: asked.oid, aud });
    }
  });

  it('P5: is asked about once per own token, scope and instance', async () => {
    const token = await userToken(crypto.randomUUID());
    const before = (await broker.calls(/^POST .*oauth2/)).length;
    const first = await broker.post(route, { token });
    expect((await broker.post(route, { token })).body.accessToken).toBe(first.body.accessToken);
    expect(await broker.calls(/^POST .*oauth2/)).toHaveLength(before + 1);
  });

  it('P7: who must sign in again gets 401 with the claims to ask for, and is served after that', async () => {
    const oid = crypto.randomUUID();
    await broker.fault({ service: 'entra', match: '^POST', status: 400, code: 'AADSTS50076', times: 1 });
    const answer = await broker.post(route, { token: await userToken(oid) });
    expect(answer).toMatchObject({ status: 401, body: { code: 'step_up_required' } });
    const [, encoded = ''] =
      answer.headers.get('www-authenticate')?.match(/^Bearer .*error="insufficient_claims", claims="([^"]+)"$/) ?? [];
    expect(JSON.parse(Buffer.from(encoded, 'base64').toString())).toEqual({
      access_token: { polids: { essential: true, values: [expect.any(String)] } },
    });
    expect((await broker.post(route, { token: await userToken(oid) })).status).toBe(200);
  });

  it('P7: whose own token has expired in Entra’s eyes gets 401 invalid_token', async () => {
    const answer = await broker.post(route, { token: await userToken(crypto.randomUUID(), { lifetimeSeconds: -30 }) });
    expect(answer).toMatchObject({ status: 401, body: { code: 'invalid_token' } });
  });

  it('P1: without a grant of their own gets nothing through other identities', async () => {
    const token = await userToken(crypto.randomUUID(), { roles: ['Deploy', 'Batch'] });
    expect((await broker.post('/workspaces/dev/token', { token })).body.code).toBe('not_granted');
    expect((await broker.post('/workspaces/prod/endpoints/fraud-aml/token', { token })).body.code).toBe('not_granted');
    expect((await broker.post(route, { token })).body).toMatchObject({ identity: 'user' });
  });
});

it('P2: no user’s token, client assertion or token obtained with them reaches the output, whatever goes wrong', async () => {
  const secrets = [
    await broker.sandbox.identityToken('api://AzureADTokenExchange', FEDERATION_IDENTITY.clientId),
    await deployToken(),
  ];
  const answers: string[] = [];
  for (const code of [undefined, 'AADSTS50076', 'AADSTS500133', 'AADSTS700213', 'AADSTS65001']) {
    const token = await userToken(crypto.randomUUID());
    secrets.push(token);
    if (code !== undefined) await broker.fault({ service: 'entra', match: '^POST', status: 400, code });
    const answer = await broker.post(route, { token });
    if (answer.status === 200) secrets.push(String(answer.body.accessToken));
    else answers.push(answer.text, JSON.stringify([...answer.headers]));
    await broker.clearFaults();
  }
  const shown = [broker.host.output(), ...answers].join();
  expect(shown).toContain('step_up_required');
  expect(secrets).toHaveLength(8);
  for (const secret of secrets) {
    for (const part of secret.split('.').slice(1)) expect(shown.includes(part.slice(0, 100))).toBe(false);
  }
});
