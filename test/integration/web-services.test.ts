import type { TokenCredential } from '@azure/core-auth';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { BROKER_IDENTITY, READER_IDENTITY } from '../../sandbox/seed.ts';
import { createMachineLearning } from '../../src/azure/machine-learning.ts';
import { withWebServices } from '../../src/azure/web-services.ts';
import { secondsBetween } from '../../src/clock.ts';
import { endpointId, type MachineLearning } from '../../src/freshness/ports.ts';
import { aWorkspace } from '../support/builders.ts';
import { createLogSpy, rejectionOf } from '../support/ports.ts';
import { startAzure, type TestAzure, upstreamError, wordsOf } from './azure.ts';

const arm = 'https://management.azure.com';
const armScope = `${arm}/.default`;
const kind = 'webService' as const;
const endpoints = { 'churn-v1': { kind }, 'pricing-v1': { kind }, 'demo-v1': { kind } };
const prod = aWorkspace({ endpoints });

let azure: TestAzure;

beforeAll(async () => {
  azure = await startAzure({
    SANDBOX_ENDPOINT_TOKEN_SECONDS: '3600',
    SANDBOX_ENDPOINT_REFRESH_AFTER_SECONDS: '2400',
  });
});
beforeEach(() => azure.reset());
afterAll(() => azure.stop());

/** The adapter as main.ts builds it, apart from the identities; `region` is where Azure ML’s own API is asked. */
function setUp({ region = (_name: string) => azure.endpoints.arm } = {}): MachineLearning & { lines: string[] } {
  const clientIds: Record<string, string | undefined> = {
    reader: READER_IDENTITY.clientId,
    roleless: BROKER_IDENTITY.clientId,
  };
  const credentialOf = (identity: string): TokenCredential => ({
    async getToken(scopes) {
      expect(scopes).toEqual([armScope]);
      return { token: await azure.identityToken(arm, clientIds[identity]), expiresOnTimestamp: Date.now() + 3_600_000 };
    },
  });
  const { log, lines } = createLogSpy();
  const clock = azure.now;
  const basis = { armEndpoint: azure.endpoints.arm, armScope, credentialOf, clock };
  const onlineEndpoints = createMachineLearning({ ...basis, watched: (call) => call() });
  return { ...withWebServices({ ...basis, onlineEndpoints, amlRegionEndpoint: region, log }), lines };
}

async function score(uri: string, credential: string): Promise<number> {
  const headers = { Authorization: `Bearer ${credential}`, 'Content-Type': 'application/json' };
  return (await fetch(uri, { method: 'POST', headers, body: '{"data":[[1]]}' })).status;
}

/** A whole list of answers of an API that is not the sandbox. */
async function withOdd(status: number, body: unknown): Promise<MachineLearning> {
  const odd = await azure.serveOdd({
    status,
    headers: { 'Content-Type': 'application/json' },
    text: typeof body === 'string' ? body : JSON.stringify(body),
  });
  return setUp({ region: () => odd.url });
}

describe('web services of SDK v1', () => {
  it('are described in the broker’s words: AKS by token or key, ACI with nothing while authentication is off', async () => {
    const adapter = setUp();
    expect(await adapter.getEndpoint(prod, 'churn-v1')).toEqual({
      id: `${endpointId(aWorkspace(), 'x').replace('/onlineendpoints/x', '')}/services/churn-v1`,
      name: 'churn-v1',
      kind: 'webService',
      authMode: 'aml_token',
      createdAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      scoringUri: `${azure.endpoints.scoring}/ml-prod/api/v1/service/churn-v1/score`,
    });
    expect(await adapter.getEndpoint(prod, 'PRICING-v1')).toMatchObject({ name: 'pricing-v1', authMode: 'key' });
    expect(await adapter.getEndpoint(prod, 'demo-v1')).toMatchObject({ authMode: 'none' });
  });

  it('are asked for at the host of the workspace’s region, which is asked for once', async () => {
    const asked: string[] = [];
    const adapter = setUp({
      region: (name) => {
        asked.push(name);
        return azure.endpoints.arm;
      },
    });
    await adapter.getEndpoint(prod, 'churn-v1');
    await adapter.getToken(prod, 'churn-v1');
    expect(asked).toEqual(['westeurope', 'westeurope']);
    expect(await azure.outcomes('arm')).toEqual(['GET 200', 'GET 200', 'POST 201']);
  });

  it('P3: give a token (201, other names than online endpoints have) with Azure’s seconds as instants, which scores there', async () => {
    const adapter = setUp();
    const { accessToken, obtainedAt, refreshBy, expiresOn } = await adapter.getToken(prod, 'churn-v1');
    expect(secondsBetween(refreshBy, expiresOn)).toBe(1200);
    expect(Math.abs(secondsBetween(obtainedAt, expiresOn) - 3600)).toBeLessThan(5);
    const { scoringUri } = await adapter.getEndpoint(prod, 'churn-v1');
    expect(await score(scoringUri, accessToken)).toBe(200);
  });

  it('give both keys, and another one after regeneration', async () => {
    const adapter = setUp();
    const before = await adapter.listKeys(prod, 'pricing-v1');
    expect(await adapter.regenerateKey(prod, 'pricing-v1', 'secondary')).toBe('ended');
    const after = await adapter.listKeys(prod, 'pricing-v1');
    expect(after.primaryKey).toBe(before.primaryKey);
    expect(after.secondaryKey).not.toBe(before.secondaryKey);
    const { scoringUri } = await adapter.getEndpoint(prod, 'pricing-v1');
    expect(await score(scoringUri, after.secondaryKey)).toBe(200);
  });

  it('stand in the list beside the online endpoints, and only those that the policy declares', async () => {
    const names = async (workspace: typeof prod) =>
      (await setUp().listEndpoints(workspace)).map(({ name }) => name).filter((name) => name.endsWith('-v1'));
    expect(await names(prod)).toEqual(['churn-v1', 'pricing-v1', 'demo-v1']);
    expect(await names(aWorkspace({ endpoints: { 'churn-v1': { kind }, 'gone-v1': { kind } } }))).toEqual(['churn-v1']);
    expect(await names(aWorkspace())).toEqual([]);
  });

  it('do not hide the online endpoints when they cannot be read: they are listed as last seen', async () => {
    const adapter = setUp();
    await azure.fault({ service: 'arm', match: 'modelmanagement.*churn-v1', status: 503 });
    const first = (await adapter.listEndpoints(prod)).map(({ name }) => name);
    expect(first).toContain('fraud-aml');
    expect(first).not.toContain('churn-v1');
    expect(adapter.lines.join('\n')).toContain('web_service_not_listed');
    await azure.clearFaults();
    await adapter.listEndpoints(prod);
    await azure.fault({ service: 'arm', match: 'modelmanagement', status: 503 });
    expect((await adapter.listEndpoints(prod)).map(({ name }) => name)).toContain('churn-v1');
  });

  it('are no longer listed once they are gone', async () => {
    const adapter = setUp();
    await adapter.listEndpoints(prod);
    await azure.fault({ service: 'arm', match: 'modelmanagement.*churn-v1', status: 404 });
    const names = (await adapter.listEndpoints(prod)).map(({ name }) => name);
    expect(names).not.toContain('churn-v1');
    expect(names).toContain('pricing-v1');
  });

  it('hide an online endpoint of a name that the policy declares: one name is one thing', async () => {
    const listed = await setUp().listEndpoints(aWorkspace({ endpoints: { 'fraud-aml': { kind } } }));
    expect(listed.map(({ name }) => name)).not.toContain('fraud-aml');
    expect(listed.map(({ name }) => name)).toContain('fraud-aad');
  });

  it('leave every other name to the online endpoints', async () => {
    const adapter = setUp();
    expect(await adapter.getEndpoint(prod, 'fraud-aml')).toMatchObject({ kind: 'managed', authMode: 'aml_token' });
    expect((await adapter.getToken(prod, 'fraud-aml')).accessToken).not.toBe('');
    expect(await adapter.listKeys(prod, 'fraud-scorer')).toMatchObject({ primaryKey: expect.any(String) });
    expect((await azure.calls('arm')).filter(({ path }) => path.includes('modelmanagement'))).toEqual([]);
  });
});

const described = {
  name: 'churn-v1',
  computeType: 'AKS',
  createdTime: '2020-01-01T00:00:00.1234567+00:00',
  scoringUri: 'http://10.0.0.4:80/api/v1/service/churn-v1/score',
};

describe('the authentication of a service', () => {
  it.each([
    ['AKS where nothing is said: keys', {}, 'key'],
    ['AKS with keys switched off', { authEnabled: false, aadAuthEnabled: false }, 'none'],
    ['AKS with tokens', { authEnabled: false, aadAuthEnabled: true }, 'aml_token'],
    ['ACI where nothing is said: off', { computeType: 'ACI' }, 'none'],
    ['ACI with keys', { computeType: 'ACI', authEnabled: true }, 'key'],
    ['ACI never has tokens', { computeType: 'ACI', authEnabled: false, aadAuthEnabled: true }, 'none'],
  ])('%s', async (_what, given, authMode) => {
    const adapter = await withOdd(200, { ...described, ...given });
    expect(await adapter.getEndpoint(prod, 'churn-v1')).toMatchObject({
      authMode,
      createdAt: '2020-01-01T00:00:00.123Z',
    });
  });

  it.each([
    ['keys and tokens at once', { authEnabled: true, aadAuthEnabled: true }, 'keys_and_tokens_at_once'],
    ['another compute', { computeType: 'IOT' }, 'neither_AKS_nor_ACI'],
    ['no time of creation', { createdTime: null }, 'contract:createdTime'],
  ])('P7: with %s is unexpected', async (_what, given, upstreamCode) => {
    const adapter = await withOdd(200, { ...described, ...given });
    await expect(adapter.getEndpoint(prod, 'churn-v1')).rejects.toMatchObject(
      upstreamError({ kind: 'unexpected', upstreamCode }),
    );
  });

  it('of one that is not deployed yet is not_found', async () => {
    const adapter = await withOdd(200, { ...described, scoringUri: null });
    await expect(adapter.getEndpoint(prod, 'churn-v1')).rejects.toMatchObject(upstreamError({ kind: 'not_found' }));
  });
});

describe('refusals and failures', () => {
  it.each([
    [400, 'BadRequest', 'unexpected'],
    [401, 'Unauthorized', 'credential_refused'],
    [403, 'Forbidden', 'forbidden'],
    [404, 'NotFound', 'not_found'],
    [429, 'TooManyRequests', 'throttled'],
    [503, 'ServiceUnavailable', 'unavailable'],
  ] as const)('P7: %i %s, whose code is not wrapped, is %s', async (status, code, told) => {
    const adapter = await withOdd(status, { code, statusCode: status, message: 'secret text', details: [] });
    const error = await rejectionOf(adapter.getToken(prod, 'churn-v1'));
    expect(error).toMatchObject(upstreamError({ kind: told, status, upstreamCode: code }));
    expect(wordsOf(error)).not.toContain('secret text');
  });

  it.each([
    ['a token in the fields of online endpoints', { accessToken: 'secret', tokenType: 'Bearer', expiryTimeUtc: 1 }],
    ['milliseconds for seconds, as a text', { accessToken: 'secret', tokenType: 'Bearer', expiryOn: '1798761600' }],
    ['no JSON', '<p>gateway</p>'],
  ])('P7: %s is unexpected', async (_what, body) => {
    const error = await rejectionOf((await withOdd(201, body)).getToken(prod, 'churn-v1'));
    expect(error).toMatchObject(upstreamError({ kind: 'unexpected' }));
    expect(wordsOf(error)).not.toContain('secret');
  });

  it('a token without a time to refresh is to be refreshed at its half-life', async () => {
    const expiryOn = Math.floor(azure.now().getTime() / 1000) + 1000;
    const adapter = await withOdd(201, { accessToken: 'opaque', tokenType: 'Bearer', expiryOn, refreshAfter: 0 });
    const { obtainedAt, refreshBy, expiresOn } = await adapter.getToken(prod, 'churn-v1');
    expect(secondsBetween(obtainedAt, refreshBy)).toBeCloseTo(secondsBetween(obtainedAt, expiresOn) / 2, 2);
  });

  it('P2: a redirect is not followed', async () => {
    const odd = await azure.serveOdd({ status: 307, headers: { Location: azure.endpoints.arm }, text: '' });
    await expect(setUp({ region: () => odd.url }).getToken(prod, 'churn-v1')).rejects.toMatchObject(
      upstreamError({ kind: 'unexpected' }),
    );
    expect(odd.requests).toHaveLength(1);
  });

  it('the regeneration that goes on is running, and one that is refused for now is busy', async () => {
    expect(await (await withOdd(202, 'null')).regenerateKey(prod, 'pricing-v1', 'primary')).toBe('running');
    const refusal = { code: 'Conflict', statusCode: 409, message: '' };
    expect(await (await withOdd(409, refusal)).regenerateKey(prod, 'pricing-v1', 'primary')).toBe('busy');
  });

  it('P1: an identity without rights on the workspace is forbidden', async () => {
    const foreign = { ...prod, fetch: 'roleless' };
    await expect(setUp().getToken(foreign, 'churn-v1')).rejects.toMatchObject(upstreamError({ kind: 'forbidden' }));
  });
});
