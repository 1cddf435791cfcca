import { decodeJwt } from 'jose';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  BROKER_IDENTITY,
  DEV_RUNNER_IDENTITY,
  FRAUD_SCORER_IDENTITY,
  READER_IDENTITY,
  RESOURCE_GROUP,
  SUBSCRIPTION_ID,
} from '../../sandbox/seed.ts';
import { asTokenCredential, createObtainToken } from '../../src/azure/credentials.ts';
import { createMachineLearning } from '../../src/azure/machine-learning.ts';
import { addSeconds, secondsBetween } from '../../src/clock.ts';
import type { Identity } from '../../src/config/policy-schema.ts';
import { endpointId } from '../../src/freshness/ports.ts';
import { createAppTokens } from '../../src/issuing/app-tokens.ts';
import { nameError } from '../../src/log.ts';
import { aWorkspace } from '../support/builders.ts';
import { createMovableClock } from '../support/clock.ts';
import { createLogSpy, rejectionOf } from '../support/ports.ts';
import { startAzure, type TestAzure, upstreamError, wordsOf } from './azure.ts';

const arm = 'https://management.azure.com';
const armScope = `${arm}/.default`;
const endpointTokenSeconds = 3600;
const refreshAfterSeconds = 2400;
const prod = aWorkspace();
const dev = aWorkspace({ workspace_name: 'ml-dev' });

const fetchIdentity = (clientId?: string): Identity => ({
  use: 'fetch',
  managedIdentity: clientId === undefined ? {} : { clientId },
});

let azure: TestAzure;

beforeAll(async () => {
  azure = await startAzure({
    SANDBOX_ENDPOINT_TOKEN_SECONDS: String(endpointTokenSeconds),
    SANDBOX_ENDPOINT_REFRESH_AFTER_SECONDS: String(refreshAfterSeconds),
  });
});
beforeEach(() => azure.reset());
afterAll(() => azure.stop());

const unwatched = <T>(call: () => Promise<T>): Promise<T> => call();

/** The adapter as main.ts builds it, from the managed identities up. */
function machineLearning({
  armEndpoint = azure.endpoints.arm,
  clock = azure.now,
  watched = unwatched,
  /** Instead of waiting between two polls. */
  sleep = async (seconds: number) => azure.advance(seconds),
} = {}) {
  const identities = {
    reader: fetchIdentity(READER_IDENTITY.clientId),
    roleless: fetchIdentity(BROKER_IDENTITY.clientId),
    scorer: fetchIdentity(FRAUD_SCORER_IDENTITY.clientId),
    unknown: fetchIdentity('c0000000-0000-4000-8000-0000000000ff'),
  };
  const readSecret = () => Promise.reject(new Error('no identity here has a secret'));
  const authorityHost = azure.endpoints.entra;
  const obtain = createObtainToken({
    ...{ identities, authorityHost, instanceDiscovery: false, readSecret },
    getClientAssertion: () => Promise.reject(new Error('no identity here is federated')),
  });
  const { log } = createLogSpy();
  const getAppToken = createAppTokens({ identities: Object.keys(identities), obtain, clock: azure.now, log });
  const credentialOf = (identity: string) => asTokenCredential(getAppToken, identity);
  const regenerationWait = { waitSeconds: 20, pollSeconds: 2, sleep };
  return createMachineLearning({ armEndpoint, armScope, credentialOf, clock, watched, regenerationWait });
}

/** What a platform team does: makes an endpoint in the workspace dev. */
async function putEndpoint(name: string, properties: object = {}): Promise<void> {
  const token = await azure.identityToken(arm, DEV_RUNNER_IDENTITY.clientId);
  const url = `${azure.endpoints.arm}${endpointId(dev, name)}?api-version=2022-10-01`;
  const answer = await fetch(url, {
    method: 'PUT',
    headers: { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' },
    body: JSON.stringify({ location: 'westeurope', properties: { authMode: 'AMLToken', ...properties } }),
  });
  if (!answer.ok) throw new Error(`ARM answered ${answer.status}.`);
}

describe('online endpoints of Azure ML', () => {
  it('lists the endpoints of a workspace in the broker’s words', async () => {
    const endpoints = await machineLearning().listEndpoints(prod);
    expect(endpoints.map(({ name, authMode }) => `${name} ${authMode}`)).toEqual([
      'churn-aml aml_token',
      'fraud-aad aad_token',
      'fraud-aml aml_token',
      'fraud-scorer key',
      'fraud-turns key',
    ]);
    for (const { id, name, createdAt, scoringUri } of endpoints) {
      const group = `/subscriptions/${SUBSCRIPTION_ID}/resourcegroups/${RESOURCE_GROUP}`;
      expect(id).toBe(
        `${group}/providers/microsoft.machinelearningservices/workspaces/ml-prod/onlineendpoints/${name}`,
      );
      expect(createdAt).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
      expect(scoringUri).toBe(`${azure.endpoints.scoring}/ml-prod/${name}/score`);
    }
  });

  it('gets one endpoint as it is listed, whatever the case of its name', async () => {
    const adapter = machineLearning();
    const listed = await adapter.listEndpoints(prod);
    expect(await adapter.getEndpoint(prod, 'fraud-scorer')).toEqual(listed.find(({ name }) => name === 'fraud-scorer'));
    expect(await adapter.getEndpoint(prod, 'FRAUD-Scorer')).toEqual(listed.find(({ name }) => name === 'fraud-scorer'));
  });

  it('follows the pages of a long list', async () => {
    const adapter = machineLearning();
    const names = Array.from({ length: 64 }, (_, index) => `many-${String(index).padStart(2, '0')}`);
    for (const name of names) await putEndpoint(name);
    azure.advance(2);
    await azure.reset();
    const listed = await adapter.listEndpoints(dev);
    expect(listed.map(({ name }) => name)).toEqual(['dev-aml', ...names]);
    expect(await azure.outcomes('arm')).toEqual(['GET 200', 'GET 200', 'GET 200']);

    await azure.fault({ service: 'arm', delayMs: 0, times: 1 });
    await azure.fault({ service: 'arm', status: 503 });
    await expect(adapter.listEndpoints(dev)).rejects.toMatchObject(upstreamError({ kind: 'unavailable', status: 503 }));
  });

  it('leaves out an endpoint that is still being created; to get it is not_found', async () => {
    const adapter = machineLearning();
    await adapter.listEndpoints(dev);
    // The creation takes a second of the sandbox's clock: it begins a minute ahead, and the clock goes back.
    azure.advance(60);
    await putEndpoint('being-created');
    azure.advance(-30);
    const listed = await adapter.listEndpoints(dev);
    expect(listed.map(({ name }) => name)).not.toContain('being-created');
    await expect(adapter.getEndpoint(dev, 'being-created')).rejects.toMatchObject(
      upstreamError({ kind: 'not_found', upstreamCode: 'NotCreatedYet' }),
    );
    azure.advance(35);
    expect(await adapter.getEndpoint(dev, 'being-created')).toMatchObject({ name: 'being-created' });
  });

  it('tells a Kubernetes endpoint from a managed one, by its cluster', async () => {
    const adapter = machineLearning();
    await putEndpoint('on-cluster', { compute: `${arm}/computes/cluster-1` });
    azure.advance(2);
    expect(await adapter.getEndpoint(dev, 'on-cluster')).toMatchObject({ kind: 'kubernetes', authMode: 'aml_token' });
    expect(await adapter.getEndpoint(dev, 'dev-aml')).toMatchObject({ kind: 'managed' });
    const { accessToken } = await adapter.getToken(dev, 'on-cluster');
    expect(decodeJwt(accessToken)).toMatchObject({ endpointName: 'on-cluster' });
  });

  it('shows another auth mode at the next look', async () => {
    const adapter = machineLearning();
    const change = { workspace: 'dev', endpoint: 'dev-aml' };
    for (const [azures, ours] of [
      ['Key', 'key'],
      ['AADToken', 'aad_token'],
      ['AMLToken', 'aml_token'],
    ] as const) {
      await azure.operate('set-auth-mode', { ...change, authMode: azures });
      expect(await adapter.getEndpoint(dev, 'dev-aml')).toMatchObject({ authMode: ours });
    }
  });

  it('P3: an endpoint that was made anew under its name has another createdAt; a deleted one is not_found', async () => {
    const adapter = machineLearning();
    const name = { workspace: 'prod', endpoint: 'churn-aml' };
    const before = await adapter.getEndpoint(prod, 'churn-aml');
    await azure.operate('set-auth-mode', { ...name, authMode: 'AMLToken' });
    expect(await adapter.getEndpoint(prod, 'churn-aml')).toEqual(before);

    await azure.operate('recreate-endpoint', name);
    const after = await adapter.getEndpoint(prod, 'churn-aml');
    expect(after).toEqual({ ...before, createdAt: expect.any(String) });
    expect(after.createdAt > before.createdAt).toBe(true);

    await azure.operate('delete-endpoint', name);
    const gone = upstreamError({ kind: 'not_found', status: 404 });
    await expect(adapter.getEndpoint(prod, 'churn-aml')).rejects.toMatchObject(gone);
    await expect(adapter.getToken(prod, 'churn-aml')).rejects.toMatchObject(gone);
    await expect(adapter.listKeys(prod, 'churn-aml')).rejects.toMatchObject(gone);
  });
});

describe('tokens and keys of an endpoint', () => {
  it('P3: the token is the endpoint’s own; its times are Azure’s seconds as instants', async () => {
    const adapter = machineLearning();
    const asked = azure.now();
    const { accessToken, obtainedAt, refreshBy, expiresOn } = await adapter.getToken(prod, 'fraud-aml');
    const { endpointName, exp = 0, oid } = decodeJwt(accessToken);
    expect({ endpointName, oid }).toEqual({ endpointName: 'fraud-aml', oid: READER_IDENTITY.oid });
    expect(expiresOn).toEqual(new Date(exp * 1000));
    expect(secondsBetween(refreshBy, expiresOn)).toBe(endpointTokenSeconds - refreshAfterSeconds);
    expect(obtainedAt >= asked && obtainedAt <= azure.now()).toBe(true);
    expect(secondsBetween(obtainedAt, expiresOn)).toBeGreaterThan(endpointTokenSeconds - 10);
    expect(secondsBetween(obtainedAt, expiresOn)).toBeLessThanOrEqual(endpointTokenSeconds);
  });

  it('gives another token on each call, each by one POST', async () => {
    const adapter = machineLearning();
    const tokens = [await adapter.getToken(prod, 'fraud-aml'), await adapter.getToken(prod, 'fraud-aml')];
    expect(new Set(tokens.map(({ accessToken }) => accessToken))).toHaveLength(2);
    const calls = await azure.calls('arm');
    expect(calls.map(({ method, status, client }) => [method, status, client])).toEqual([
      ['POST', 200, READER_IDENTITY.clientId],
      ['POST', 200, READER_IDENTITY.clientId],
    ]);
  });

  const answer = { accessToken: 'opaque', tokenType: 'Bearer', expiryTimeUtc: 1_800_000_000 };
  const headers = { 'content-type': 'application/json' };

  it.each([
    ['names none', {}],
    ['names 0', { refreshAfterTimeUtc: 0 }],
    ['names one after the end', { refreshAfterTimeUtc: answer.expiryTimeUtc + 1 }],
  ])('P4: takes half of the life as refreshBy where Azure %s', async (_case, more) => {
    const odd = await azure.serveOdd({ status: 200, headers, text: JSON.stringify({ ...answer, ...more }) });
    const expiresOn = new Date(answer.expiryTimeUtc * 1000);
    const { clock } = createMovableClock(addSeconds(expiresOn, -1000));
    expect(await machineLearning({ armEndpoint: odd.url, clock }).getToken(prod, 'fraud-aml')).toEqual({
      accessToken: 'opaque',
      obtainedAt: addSeconds(expiresOn, -1000),
      refreshBy: addSeconds(expiresOn, -500),
      expiresOn,
    });
  });

  it.each([
    ['accessToken', { accessToken: undefined }],
    ['accessToken', { accessToken: '' }],
    ['tokenType', { tokenType: 'PoP' }],
    ['expiryTimeUtc', { expiryTimeUtc: undefined }],
    ['expiryTimeUtc', { expiryTimeUtc: 0 }],
    ['expiryTimeUtc', { expiryTimeUtc: 1.5 }],
    ['refreshAfterTimeUtc', { refreshAfterTimeUtc: -1 }],
  ])('P3: refuses a token answer with an odd %s (%j)', async (field, more) => {
    const odd = await azure.serveOdd({ status: 200, headers, text: JSON.stringify({ ...answer, ...more }) });
    await expect(machineLearning({ armEndpoint: odd.url }).getToken(prod, 'fraud-aml')).rejects.toMatchObject(
      upstreamError({ kind: 'unexpected', upstreamCode: `contract:${field}` }),
    );
  });

  it('gives both keys of an endpoint in key mode, the same on each call', async () => {
    const adapter = machineLearning();
    const keys = await adapter.listKeys(prod, 'fraud-scorer');
    expect(keys).toEqual({ primaryKey: expect.stringMatching(/^\S+$/), secondaryKey: expect.stringMatching(/^\S+$/) });
    expect(keys.primaryKey).not.toBe(keys.secondaryKey);
    expect(await adapter.listKeys(prod, 'fraud-scorer')).toEqual(keys);
  });

  it('P7: what the auth mode does not have is an unexpected answer: no key of a token endpoint, no token of a key endpoint', async () => {
    const adapter = machineLearning();
    const refused = upstreamError({ kind: 'unexpected', status: 400 });
    await expect(adapter.listKeys(prod, 'fraud-aml')).rejects.toMatchObject(refused);
    await expect(adapter.getToken(prod, 'fraud-scorer')).rejects.toMatchObject(refused);
  });
});

describe('the regeneration of a key', () => {
  const regenerate = (adapter: ReturnType<typeof machineLearning>, key: 'primary' | 'secondary' = 'secondary') =>
    adapter.regenerateKey(prod, 'fraud-scorer', key);
  /** The operation begins on a clock that is ahead, which then goes back: it does not end while the test looks. */
  const AHEAD_SECONDS = 600;
  const neverEnding = () => {
    azure.advance(AHEAD_SECONDS);
    let back = false;
    return async () => {
      if (!back) azure.advance(-AHEAD_SECONDS);
      back = true;
    };
  };
  const polls = async () => (await azure.calls('arm')).filter(({ path }) => path.includes('mfeOperationResults'));

  it.each(['primary', 'secondary'] as const)(
    'gives %s another value, waits for the end, and leaves the other key',
    async (key) => {
      const adapter = machineLearning();
      const before = await adapter.listKeys(prod, 'fraud-scorer');
      expect(await regenerate(adapter, key)).toBe('ended');
      const { primaryKey, secondaryKey } = await adapter.listKeys(prod, 'fraud-scorer');
      expect(primaryKey === before.primaryKey).toBe(key === 'secondary');
      expect(secondaryKey === before.secondaryKey).toBe(key === 'primary');
    },
  );

  it('one that does not end is running after the wait, and busy for the next; at its end the key has changed', async () => {
    const adapter = machineLearning({ sleep: neverEnding() });
    const before = await adapter.listKeys(prod, 'fraud-scorer');
    expect(await regenerate(adapter)).toBe('running');
    expect((await polls()).map(({ status }) => status)).toEqual(Array.from({ length: 21 }, () => 202));
    expect(await regenerate(adapter, 'primary')).toBe('busy');
    expect(await adapter.listKeys(prod, 'fraud-scorer')).toEqual(before);
    azure.advance(AHEAD_SECONDS + 1);
    const { primaryKey, secondaryKey } = await adapter.listKeys(prod, 'fraud-scorer');
    expect(primaryKey).toBe(before.primaryKey);
    expect(secondaryKey).not.toBe(before.secondaryKey);
    azure.advance(-AHEAD_SECONDS - 1);
  });

  it.each([
    ['403', { status: 403 }],
    ['404', { status: 404 }],
    ['503', { status: 503 }],
    ['429', { status: 429, retryAfterSeconds: 5 }],
    ['no answer', { commitThenDrop: true }],
  ])('where a poll gets %s, it is running all the same: Azure ML has taken it', async (_what, fault) => {
    await azure.fault({ service: 'arm', match: 'mfeOperationResults', times: 1, ...fault });
    const adapter = machineLearning();
    const before = await adapter.listKeys(prod, 'fraud-scorer');
    expect(await regenerate(adapter)).toBe('running');
    azure.advance(2);
    expect((await adapter.listKeys(prod, 'fraud-scorer')).secondaryKey).not.toBe(before.secondaryKey);
  });

  it('does not wait past its time for a Retry-After', async () => {
    const headers = { location: '', 'retry-after': '30' };
    const odd = await azure.serveOdd({ status: 202, headers, text: '' });
    headers.location = `${odd.url}/elsewhere`;
    const waits: number[] = [];
    const sleep = async (seconds: number) => void waits.push(seconds);
    expect(await regenerate(machineLearning({ armEndpoint: odd.url, sleep }))).toBe('running');
    expect(waits).toEqual([]);
    expect(odd.requests.map((request) => request.split(' ')[0])).toEqual(['POST', 'GET']);
  });

  it('P2: a polling address on another host gets no token', async () => {
    const target = await azure.serveOdd({ status: 200, text: '{}' });
    const odd = await azure.serveOdd({ status: 202, headers: { location: `${target.url}/poll` }, text: '' });
    expect(await regenerate(machineLearning({ armEndpoint: odd.url }))).toBe('running');
    expect(target.requests).toEqual([]);
  });

  it('P2: nor does the next page of a list on another host', async () => {
    const target = await azure.serveOdd({ status: 200, text: '{"value":[]}' });
    const text = JSON.stringify({ value: [], nextLink: `${target.url}/next` });
    const odd = await azure.serveOdd({ status: 200, headers: { 'content-type': 'application/json' }, text });
    await expect(machineLearning({ armEndpoint: odd.url }).listEndpoints(prod)).rejects.toMatchObject(
      upstreamError({ kind: 'unexpected', upstreamCode: 'link_to_another_host' }),
    );
    expect(target.requests).toEqual([]);
  });

  it('P7: an operation that Azure ML reports as failed is unexpected, without Azure’s text', async () => {
    const headers = { 'content-type': 'application/json', 'azure-asyncoperation': '' };
    const failed = { status: 'Failed', error: { code: 'Secret', message: 'a-secret-text' } };
    const odd = await azure.serveOdd({ status: 200, headers, text: JSON.stringify(failed) });
    headers['azure-asyncoperation'] = `${odd.url}/status`;
    const error = await rejectionOf(regenerate(machineLearning({ armEndpoint: odd.url })));
    expect(error).toMatchObject(upstreamError({ kind: 'unexpected', upstreamCode: 'OperationFailed' }));
    expect(nameError(error)).not.toContain('ecret');
  });

  it('of an endpoint in another mode is unexpected, and nothing is taken', async () => {
    await expect(machineLearning().regenerateKey(prod, 'fraud-aml', 'primary')).rejects.toMatchObject(
      upstreamError({ kind: 'unexpected', status: 400 }),
    );
  });

  it('P2: a key leaves no trace in the words of an error', async () => {
    await azure.fault({ service: 'arm', match: 'regenerateKeys', commitThenDrop: true, times: 1 });
    const adapter = machineLearning();
    const error = await rejectionOf(regenerate(adapter));
    azure.advance(2);
    const { primaryKey, secondaryKey } = await adapter.listKeys(prod, 'fraud-scorer');
    for (const key of [primaryKey, secondaryKey]) expect(wordsOf(error)).not.toContain(key);
    expect(error).toMatchObject(upstreamError({ kind: 'unavailable' }));
  });
});

describe('Resource Manager: refusals and failures', () => {
  const uses = {
    listEndpoints: (adapter: ReturnType<typeof machineLearning>, workspace = prod) => adapter.listEndpoints(workspace),
    getEndpoint: (adapter: ReturnType<typeof machineLearning>, workspace = prod) =>
      adapter.getEndpoint(workspace, 'fraud-aml'),
    getToken: (adapter: ReturnType<typeof machineLearning>, workspace = prod) =>
      adapter.getToken(workspace, 'fraud-aml'),
    listKeys: (adapter: ReturnType<typeof machineLearning>, workspace = prod) =>
      adapter.listKeys(workspace, 'fraud-scorer'),
    regenerateKey: (adapter: ReturnType<typeof machineLearning>, workspace = prod) =>
      adapter.regenerateKey(workspace, 'fraud-scorer', 'secondary'),
  };
  const each = Object.entries(uses);

  it.each(each)('P7: %s in a workspace that does not exist is not_found', async (_name, use) => {
    const nowhere = aWorkspace({ workspace_name: 'ml-nowhere' });
    await expect(use(machineLearning(), nowhere)).rejects.toMatchObject(
      upstreamError({ kind: 'not_found', status: 404, service: 'azure machine learning' }),
    );
  });

  it.each(each)('P7: %s without a role is forbidden', async (_name, use) => {
    for (const fetch of ['roleless', 'scorer']) {
      await expect(use(machineLearning(), aWorkspace({ fetch }))).rejects.toMatchObject(
        upstreamError({ kind: 'forbidden', status: 403, upstreamCode: 'AuthorizationFailed' }),
      );
    }
  });

  it.each(each)(
    'P7: %s with an identity that does not exist is a failed sign-in, and ARM is not asked',
    async (_name, use) => {
      await expect(use(machineLearning(), aWorkspace({ fetch: 'unknown' }))).rejects.toMatchObject(
        upstreamError({ kind: 'credential_refused', service: 'managed identity (sign-in)' }),
      );
      expect(await azure.calls('arm')).toEqual([]);
    },
  );

  it.each(each)('%s is watched, and its failure is seen as the broker words it', async (_name, use) => {
    const seen: unknown[] = [];
    const watched = async <T>(call: () => Promise<T>): Promise<T> => {
      try {
        const result = await call();
        seen.push('ok');
        return result;
      } catch (error) {
        seen.push(error);
        throw error;
      }
    };
    const adapter = machineLearning({ watched });
    await use(adapter);
    await azure.fault({ service: 'arm', status: 503, times: 1 });
    const failure = await rejectionOf(use(adapter));
    expect(seen).toEqual(['ok', failure]);
    expect(failure).toMatchObject(upstreamError({ kind: 'unavailable' }));
  });

  it('P7: a list page without its list is unexpected, not an empty list', async () => {
    for (const text of ['{}', '{"value":null}']) {
      const odd = await azure.serveOdd({ status: 200, headers: { 'content-type': 'application/json' }, text });
      await expect(machineLearning({ armEndpoint: odd.url }).listEndpoints(prod)).rejects.toMatchObject(
        upstreamError({ kind: 'unexpected', upstreamCode: 'contract:value' }),
      );
    }
  });

  it('an empty list is one', async () => {
    const odd = await azure.serveOdd({
      status: 200,
      headers: { 'content-type': 'application/json' },
      text: '{"value":[]}',
    });
    expect(await machineLearning({ armEndpoint: odd.url }).listEndpoints(prod)).toEqual([]);
  });

  it.each(each)('P7: %s is throttled at once, with the seconds that ARM names, or without', async (_name, use) => {
    const adapter = machineLearning();
    await azure.fault({ service: 'arm', status: 429, retryAfterSeconds: 30, times: 1 });
    await azure.fault({ service: 'arm', status: 429, times: 1 });
    const throttled = { kind: 'throttled', status: 429 } as const;
    await expect(use(adapter)).rejects.toMatchObject(upstreamError({ ...throttled, retryAfterSeconds: 30 }));
    await expect(use(adapter)).rejects.toMatchObject(upstreamError({ ...throttled, retryAfterSeconds: undefined }));
    expect(await azure.calls('arm')).toHaveLength(2);
  });

  it.each(each)('P7: %s is unavailable after one call when ARM is down or its answer is lost', async (_name, use) => {
    const adapter = machineLearning();
    await azure.fault({ service: 'arm', status: 500, times: 1 });
    await azure.fault({ service: 'arm', status: 503, times: 1 });
    await azure.fault({ service: 'arm', commitThenDrop: true, times: 1 });
    await expect(use(adapter)).rejects.toMatchObject(upstreamError({ kind: 'unavailable', status: 500 }));
    await expect(use(adapter)).rejects.toMatchObject(upstreamError({ kind: 'unavailable', status: 503 }));
    await expect(use(adapter)).rejects.toMatchObject(upstreamError({ kind: 'unavailable', status: undefined }));
    expect(await azure.calls('arm')).toHaveLength(3);
    await expect(use(adapter)).resolves.toBeDefined();
  });

  // Nothing is read from the answer of regenerateKey: the key's value tells what came of it.
  it.each(each.filter(([name]) => name !== 'regenerateKey'))(
    'P7: to %s, an answer of another shape is unexpected',
    async (_name, use) => {
      for (const text of ['{"error":{}}', '<html></html>', 'null']) {
        const odd = await azure.serveOdd({ status: 200, headers: { 'content-type': 'application/json' }, text });
        const adapter = machineLearning({ armEndpoint: odd.url });
        await expect(use(adapter)).rejects.toMatchObject(upstreamError({ kind: 'unexpected' }));
      }
    },
  );

  it('P7: says the code inside Azure ML’s envelope, not only whose fault it was', async () => {
    const adapter = machineLearning();
    const nowhere = aWorkspace({ workspace_name: 'ml-nowhere' });
    const messages = await Promise.all(
      [adapter.listEndpoints(nowhere), adapter.getEndpoint(prod, 'nowhere')].map(async (use) =>
        nameError(await rejectionOf(use)),
      ),
    );
    expect(messages).toEqual([
      'azure machine learning: not_found (404 NotFound) < RestError(UserError)',
      'azure machine learning: not_found (404 NotFound) < RestError(UserError)',
    ]);
  });

  it('P2: a token leaves no trace in the words of an error: neither the endpoint’s nor the identity’s', async () => {
    const adapter = machineLearning();
    const { accessToken } = await adapter.getToken(prod, 'fraud-aml');
    const ours = await azure.identityToken(arm, READER_IDENTITY.clientId);
    const text = JSON.stringify({ accessToken, tokenType: 'Bearer' });
    const odd = await azure.serveOdd({ status: 200, headers: { 'content-type': 'application/json' }, text });
    const broken = await azure.serveOdd({
      status: 200,
      headers: { 'content-type': 'application/json' },
      text: text.slice(0, -1),
    });
    for (const { url } of [odd, broken]) {
      const error = await rejectionOf(machineLearning({ armEndpoint: url }).getToken(prod, 'fraud-aml'));
      expect(nameError(error)).toMatch(/^azure machine learning: unexpected \(/);
      for (const token of [accessToken, ours]) expect(nameError(error)).not.toContain(token.slice(0, 20));
      expect(wordsOf(error)).not.toContain(ours.slice(0, 20));
    }
  });

  it('P2: follows no redirect, which could carry the token elsewhere: to the same host or to another one', async () => {
    const target = await azure.serveOdd({ status: 200, text: '{}' });
    for (const location of ['/elsewhere', target.url]) {
      const odd = await azure.serveOdd({ status: 307, headers: { location }, text: '' });
      const adapter = machineLearning({ armEndpoint: odd.url });
      const use = adapter.getEndpoint(prod, 'fraud-aml');
      await expect(use).rejects.toMatchObject(upstreamError({ kind: 'unexpected', status: 307 }));
      expect(odd.requests).toHaveLength(1);
    }
    expect(target.requests).toEqual([]);
  });
});
