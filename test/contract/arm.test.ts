import { AzureMachineLearningWorkspaces } from '@azure/arm-machinelearning';
import { decodeJwt, decodeProtectedHeader } from 'jose';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import * as z from 'zod';
import { createArm } from '../../sandbox/arm/arm.ts';
import { faultBody } from '../../sandbox/arm/arm-errors.ts';
import { createEndpointOperations, type EndpointOperations } from '../../sandbox/arm/endpoint-operations.ts';
import { createEndpointStore, type EndpointStore } from '../../sandbox/arm/endpoint-store.ts';
import {
  BROKER_IDENTITY,
  DEV_RUNNER_IDENTITY,
  READER_IDENTITY,
  REGION,
  RESOURCE_GROUP,
  SUBSCRIPTION_ID,
  TENANT_ID,
  TRAINER,
} from '../../sandbox/seed.ts';
import { callPlain, createLocalAzure, type LocalAzure, type PlainAnswer, type Principal } from './local-azure.ts';

const audience = 'https://management.azure.com';
const reader = { appId: READER_IDENTITY.clientId, oid: READER_IDENTITY.oid };
const devRunner = { appId: DEV_RUNNER_IDENTITY.clientId, oid: DEV_RUNNER_IDENTITY.oid };
const trainer = { appId: TRAINER.appId, oid: TRAINER.servicePrincipalId };
const stranger = { appId: BROKER_IDENTITY.clientId, oid: BROKER_IDENTITY.oid };

const group = `/subscriptions/${SUBSCRIPTION_ID}/resourceGroups/${RESOURCE_GROUP}`;
const prod = `${group}/providers/Microsoft.MachineLearningServices/workspaces/ml-prod`;
const dev = `${group}/providers/Microsoft.MachineLearningServices/workspaces/ml-dev`;
const scoringUrl = 'https://localhost:9';
const endpointTokenSeconds = 86_400;
const endpointRefreshAfterSeconds = 43_200;
const operationSeconds = 5;

const tokenBody = z.object({
  accessToken: z.string(),
  tokenType: z.literal('Bearer'),
  expiryTimeUtc: z.int(),
  refreshAfterTimeUtc: z.int(),
});
const keysBody = z.object({ primaryKey: z.string(), secondaryKey: z.string() });
const listBody = z.object({ value: z.array(z.looseObject({ name: z.string() })), nextLink: z.string().optional() });

let azure: LocalAzure;
let store: EndpointStore;
let operations: EndpointOperations;
let arm: string;

beforeAll(async () => {
  azure = await createLocalAzure();
});
afterAll(() => azure.stop());

beforeEach(() => serveArm(createEndpointStore({ clock: azure.clock, operationSeconds })));

async function serveArm(made: EndpointStore, clock = azure.clock): Promise<void> {
  store = made;
  operations = createEndpointOperations(store, clock);
  const times = { endpointTokenSeconds, endpointRefreshAfterSeconds, clock };
  const handler = createArm({ store, entra: azure.keys, entraUrl: 'https://login.example', scoringUrl, ...times });
  arm = await azure.serve('arm', handler, faultBody);
}

async function call(method: string, path: string, as: Principal, json?: unknown): Promise<PlainAnswer> {
  const url = `${arm}${path}${path.includes('?') ? '&' : '?'}api-version=2022-10-01`;
  return callPlain(method, url, { token: await azure.token(as, audience), ...(json === undefined ? {} : { json }) });
}

async function follow(url: string | undefined, as: Principal): Promise<PlainAnswer> {
  return callPlain('GET', url ?? '', { token: await azure.token(as, audience) });
}

async function keysOf(endpoint: string, as: Principal = reader): Promise<z.infer<typeof keysBody>> {
  return keysBody.parse((await call('POST', `${prod}/onlineEndpoints/${endpoint}/listKeys`, as)).body);
}

/** The innermost code of the provider's error envelope: the one that tells. */
function innermostCode(answer: PlainAnswer): string | undefined {
  const nested = z.object({ code: z.string(), innerError: z.json() });
  let current: unknown = z.object({ error: z.json() }).parse(answer.body).error;
  let code: string | undefined;
  for (let parsed = nested.safeParse(current); parsed.success; parsed = nested.safeParse(current)) {
    code = parsed.data.code;
    current = parsed.data.innerError;
  }
  return code;
}

describe('ARM: who may call', () => {
  it('answers 401 AuthenticationFailed without a token, from the gateway and with a challenge', async () => {
    const answer = await callPlain('GET', `${arm}${prod}?api-version=2022-10-01`);
    expect(answer).toMatchObject({ status: 401, body: { error: { code: 'AuthenticationFailed' } } });
    expect(answer.headers['x-ms-failure-cause']).toBe('gateway');
    expect(answer.headers['www-authenticate']).toContain(
      `Bearer authorization_uri="https://login.example/${TENANT_ID}", error="invalid_token"`,
    );
  });

  it('tells an expired token (ExpiredAuthenticationToken) from one for another audience', async () => {
    const url = `${arm}${prod}?api-version=2022-10-01`;
    const expired = await callPlain('GET', url, { token: await azure.token(reader, audience, -600) });
    expect(expired).toMatchObject({ status: 401, body: { error: { code: 'ExpiredAuthenticationToken' } } });
    const wrong = await callPlain('GET', url, { token: await azure.token(reader, 'https://vault.azure.net') });
    expect(wrong).toMatchObject({ status: 401, body: { error: { code: 'InvalidAuthenticationToken' } } });
  });

  it.each(['https://management.azure.com', 'https://management.azure.com/', 'https://management.core.windows.net/'])(
    'takes the audience %s',
    async (accepted) => {
      const url = `${arm}${prod}?api-version=2022-10-01`;
      expect((await callPlain('GET', url, { token: await azure.token(reader, accepted) })).status).toBe(200);
    },
  );

  it('refuses an action that no role allows with 403 AuthorizationFailed naming client, action and scope', async () => {
    const answer = await call('POST', `${prod}/onlineEndpoints/fraud-aml/token`, stranger);
    expect(answer).toMatchObject({ status: 403, body: { error: { code: 'AuthorizationFailed' } } });
    expect(answer.text).toContain(`The client '${stranger.appId}' with object id '${stranger.oid}'`);
    expect(answer.text).toContain("'Microsoft.MachineLearningServices/workspaces/onlineEndpoints/token/action'");
    expect(answer.text).toContain(`over scope '${prod}/onlineEndpoints/fraud-aml'`);
    expect(answer.headers['x-ms-failure-cause']).toBe('gateway');
  });

  it('keeps roles to their scope and to their actions', async () => {
    expect((await call('GET', dev, devRunner)).status).toBe(200);
    expect((await call('GET', prod, devRunner)).status).toBe(403);
    expect((await call('GET', dev, trainer)).status).toBe(403);
    expect((await call('POST', `${prod}/onlineEndpoints/fraud-aml/token`, trainer)).status).toBe(200);
    expect((await call('DELETE', `${prod}/onlineEndpoints/fraud-aml`, reader)).status).toBe(403);
    expect((await call('DELETE', `${prod}/onlineEndpoints/fraud-aml`, trainer)).status).toBe(403);
  });

  it('needs an api-version that looks like one', async () => {
    const token = await azure.token(reader, audience);
    const missing = await callPlain('GET', `${arm}${prod}`, { token });
    expect(missing).toMatchObject({ status: 400, body: { error: { code: 'MissingApiVersionParameter' } } });
    const odd = await callPlain('GET', `${arm}${prod}?api-version=v1`, { token });
    expect(odd).toMatchObject({ status: 400, body: { error: { code: 'InvalidApiVersionParameter' } } });
  });
});

describe('ARM: what is not there', () => {
  it('tells a missing subscription, resource group and workspace apart, in the envelope of the gateway', async () => {
    const subscription = prod.replace(SUBSCRIPTION_ID, '00000000-0000-4000-8000-00000000000b');
    expect(await call('GET', subscription, reader)).toMatchObject({
      status: 404,
      body: { error: { code: 'SubscriptionNotFound' } },
    });
    const workspace = await call('GET', prod.replace('ml-prod', 'ml-none'), reader);
    expect(workspace).toMatchObject({ status: 404, body: { error: { code: 'ResourceNotFound' } } });
    expect(workspace.headers['x-ms-failure-cause']).toBe('gateway');
  });

  it('answers for what would be inside a missing workspace in the envelope of the provider', async () => {
    const answer = await call('GET', `${prod.replace('ml-prod', 'ml-none')}/onlineEndpoints/a`, reader);
    expect(answer.status).toBe(404);
    expect(answer.body).toEqual({
      error: {
        code: 'UserError',
        severity: null,
        message: 'Workspace not found.',
        messageFormat: expect.any(String),
        messageParameters: {},
        referenceCode: null,
        detailsUri: null,
        target: null,
        details: [],
        innerError: { code: 'NotFound', innerError: { code: 'WorkspaceNotFound', innerError: null } },
        debugInfo: null,
        additionalInfo: null,
      },
      correlation: {
        operation: expect.stringMatching(/^[0-9a-f]{32}$/),
        request: expect.stringMatching(/^[0-9a-f]{16}$/),
      },
      environment: REGION,
      location: REGION,
      componentName: 'managementfrontend',
      statusCode: 404,
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{7}\+00:00$/),
    });
  });

  it('hides from a caller without role whether something exists', async () => {
    expect((await call('GET', `${prod}/onlineEndpoints/none`, devRunner)).status).toBe(403);
  });

  it.each([
    ['GET', ''],
    ['POST', '/token'],
    ['POST', '/listKeys'],
    ['GET', '/deployments'],
  ])('answers %s %s of a missing endpoint with 404', async (method, action) => {
    const answer = await call(method, `${prod}/onlineEndpoints/none${action}`, reader);
    expect(answer).toMatchObject({ status: 404, body: { error: { code: 'UserError' } } });
    expect(innermostCode(answer)).toBe('EndpointNotFound');
  });

  it('answers 404 InvalidResourceType where there is no operation', async () => {
    for (const path of [`${prod}/computes`, `${prod}/onlineEndpoints/fraud-aml/deployments/blue/logs`]) {
      const answer = await call('GET', path, reader);
      expect(answer).toMatchObject({ status: 404, body: { error: { code: 'InvalidResourceType' } } });
    }
  });
});

describe('ARM: workspaces and endpoints', () => {
  it('shows a workspace with its GUID, region, and instants of seven fraction digits in Z', async () => {
    const answer = await call('GET', prod, reader);
    expect(answer).toMatchObject({
      status: 200,
      body: {
        id: prod,
        name: 'ml-prod',
        type: 'Microsoft.MachineLearningServices/workspaces',
        location: REGION,
        properties: {
          workspaceId: expect.stringMatching(/^[0-9a-f-]{36}$/),
          tenantId: TENANT_ID,
          provisioningState: 'Succeeded',
          keyVault: expect.stringContaining('/providers/Microsoft.Keyvault/vaults/'),
          discoveryUrl: `https://${REGION}.api.azureml.ms/discovery`,
        },
        systemData: { createdAt: expect.stringMatching(/\.\d{7}Z$/) },
      },
    });
  });

  it('shows an endpoint with auth mode, scoring address, and instants of seven fraction digits with an offset', async () => {
    const answer = await call('GET', `${prod}/onlineEndpoints/fraud-aml`, reader);
    expect(answer).toMatchObject({
      status: 200,
      body: {
        id: `${prod}/onlineEndpoints/fraud-aml`,
        name: 'fraud-aml',
        type: 'Microsoft.MachineLearningServices/workspaces/onlineEndpoints',
        properties: {
          authMode: 'AMLToken',
          scoringUri: `${scoringUrl}/ml-prod/fraud-aml/score`,
          provisioningState: 'Succeeded',
          traffic: { blue: 100 },
          properties: { 'azureml.onlineendpointid': expect.stringContaining('/resourcegroups/') },
        },
        systemData: { createdAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{7}\+00:00$/) },
        kind: 'Managed',
      },
    });
  });

  it('finds resources whatever the case of the path', async () => {
    const path = `${prod}/onlineEndpoints/fraud-aml`;
    for (const spelling of [path.toUpperCase(), path.toLowerCase()]) {
      const answer = await call('GET', spelling, reader);
      expect(answer).toMatchObject({ status: 200, body: { name: 'fraud-aml', id: path } });
    }
  });

  it('carries the headers of ARM', async () => {
    const answer = await call('GET', prod, reader);
    expect(answer.headers).toMatchObject({
      'content-type': 'application/json; charset=utf-8',
      'cache-control': 'no-cache',
      'x-ms-response-type': 'standard',
      'x-ms-correlation-request-id': expect.stringMatching(/^[0-9a-f-]{36}$/),
      'x-ms-routing-request-id': expect.stringMatching(/^WESTEUROPE:\d{8}T\d{6}Z:[0-9a-f-]{36}$/),
    });
    expect(answer.headers).not.toHaveProperty('x-ms-failure-cause');
  });

  it('lists endpoints, and pages by count with a nextLink to this host that keeps the query', async () => {
    const all = listBody.parse((await call('GET', `${prod}/onlineEndpoints`, reader)).body);
    expect(all.value.map(({ name }) => name)).toEqual([
      'churn-aml',
      'fraud-aad',
      'fraud-aml',
      'fraud-scorer',
      'fraud-turns',
    ]);
    expect(all).not.toHaveProperty('nextLink');
    const first = listBody.parse((await call('GET', `${prod}/onlineEndpoints?count=3`, reader)).body);
    expect(first.value).toHaveLength(3);
    const next = new URL(first.nextLink ?? '');
    expect(next.origin).toBe(arm);
    expect(next.searchParams.get('api-version')).toBe('2022-10-01');
    expect(next.searchParams.get('count')).toBe('3');
    expect(next.searchParams.get('$skip')).not.toBeNull();
    const second = listBody.parse((await follow(first.nextLink, reader)).body);
    expect(second.value.map(({ name }) => name)).toEqual(['fraud-scorer', 'fraud-turns']);
    expect(second).not.toHaveProperty('nextLink');
  });

  it('filters by name and compute type, orders by creation', async () => {
    const names = async (query: string) =>
      listBody
        .parse((await call('GET', `${prod}/onlineEndpoints?${query}`, reader)).body)
        .value.map(({ name }) => name);
    expect(await names('name=FRAUD-aml')).toEqual(['fraud-aml']);
    expect(await names('computeType=Kubernetes')).toEqual([]);
    azure.advanceSeconds(60);
    operations.recreateEndpoint({ workspace: 'prod', endpoint: 'fraud-aad' });
    expect((await names('orderBy=CreatedAtDesc&count=1'))[0]).toBe('fraud-aad');
    expect((await names('orderBy=CreatedAtAsc')).at(-1)).toBe('fraud-aad');
  });

  it.each(['count=0', 'count=x', 'orderBy=Name'])('refuses the list query %s with 400', async (query) => {
    expect((await call('GET', `${prod}/onlineEndpoints?${query}`, reader)).status).toBe(400);
  });

  it('lists the deployments of an endpoint', async () => {
    const answer = await call('GET', `${prod}/onlineEndpoints/fraud-aml/deployments`, reader);
    expect(answer.body).toMatchObject({
      value: [{ name: 'blue', properties: { provisioningState: 'Succeeded', endpointComputeType: 'Managed' } }],
    });
  });

  it('shows the batch endpoint of a workspace and its keys', async () => {
    const listed = listBody.parse((await call('GET', `${dev}/batchEndpoints`, devRunner)).body);
    expect(listed.value.map(({ name }) => name)).toEqual(['nightly']);
    const one = await call('GET', `${dev}/batchEndpoints/nightly`, devRunner);
    expect(one.body).toMatchObject({ name: 'nightly', properties: { authMode: 'AADToken' } });
    const keys = await call('POST', `${dev}/batchEndpoints/nightly/listkeys`, devRunner);
    expect(keysBody.safeParse(keys.body).success).toBe(true);
    expect((await call('GET', `${dev}/batchEndpoints/none`, devRunner)).status).toBe(404);
  });
});

describe('ARM: endpoint tokens', () => {
  it('gives a token with its end and its refresh instant in epoch seconds', async () => {
    const seconds = () => Math.floor(azure.clock().getTime() / 1000);
    const before = seconds();
    const answer = await call('POST', `${prod}/onlineEndpoints/fraud-aml/token`, reader);
    expect(answer.status).toBe(200);
    const { expiryTimeUtc, refreshAfterTimeUtc } = tokenBody.parse(answer.body);
    expect(expiryTimeUtc - endpointTokenSeconds).toBeGreaterThanOrEqual(before);
    expect(expiryTimeUtc - endpointTokenSeconds).toBeLessThanOrEqual(seconds());
    expect(expiryTimeUtc - refreshAfterTimeUtc).toBe(endpointTokenSeconds - endpointRefreshAfterSeconds);
  });

  it('makes the token a JWT with the claims of the service: no iat, no nbf, actions as text', async () => {
    const answer = await call('POST', `${prod}/onlineEndpoints/fraud-aml/token`, reader);
    const { accessToken, expiryTimeUtc } = tokenBody.parse(answer.body);
    expect(decodeProtectedHeader(accessToken)).toEqual({
      alg: 'RS256',
      typ: 'JWT',
      kid: expect.stringMatching(/^[0-9A-F]{40}$/),
    });
    expect(decodeJwt(accessToken)).toEqual({
      canRefresh: 'False',
      tid: TENANT_ID,
      oid: reader.oid,
      iss: 'azureml',
      aud: 'azureml',
      exp: expiryTimeUtc,
      endpointName: 'fraud-aml',
      serviceId: 'fraud-aml',
      workspaceId: store.workspaces[0]?.workspaceId,
      actions: '["Microsoft.MachineLearningServices/workspaces/onlineEndpoints/score/action"]',
    });
  });

  it('never gives the same token twice, not even within one second', async () => {
    const tokens = new Set<string>();
    for (let count = 0; count < 20; count += 1) {
      const answer = await call('POST', `${prod}/onlineEndpoints/fraud-aml/token`, reader);
      tokens.add(tokenBody.parse(answer.body).accessToken);
    }
    expect(tokens.size).toBe(20);
  });

  it.each(['fraud-scorer', 'fraud-aad'])(
    'answers 400 UserError for %s, which is not in AMLToken mode',
    async (name) => {
      const answer = await call('POST', `${prod}/onlineEndpoints/${name}/token`, reader);
      expect(answer).toMatchObject({ status: 400, body: { error: { code: 'UserError' } } });
      expect(answer.headers).not.toHaveProperty('x-ms-failure-cause');
    },
  );

  it('follows a change of the auth mode by hand at once', async () => {
    operations.setAuthMode({ workspace: 'prod', endpoint: 'fraud-aml', authMode: 'Key' });
    expect((await call('POST', `${prod}/onlineEndpoints/fraud-aml/token`, reader)).status).toBe(400);
    expect((await call('POST', `${prod}/onlineEndpoints/fraud-aml/listKeys`, reader)).status).toBe(200);
  });
});

describe('ARM: endpoint keys', () => {
  it('lists two different keys of an endpoint in Key mode, and none of another', async () => {
    const { primaryKey, secondaryKey } = await keysOf('fraud-scorer');
    expect(primaryKey).not.toBe(secondaryKey);
    expect(primaryKey.length).toBeGreaterThan(20);
    expect((await call('POST', `${prod}/onlineEndpoints/fraud-aml/listKeys`, reader)).status).toBe(400);
  });

  it('regenerates one key as a long-running operation; the old key stands until its end', async () => {
    const before = await keysOf('fraud-scorer');
    const path = `${prod}/onlineEndpoints/fraud-scorer/regenerateKeys`;
    const started = await call('POST', path, reader, { keyType: 'Primary' });
    expect(started.status).toBe(202);
    expect(started.headers['retry-after']).toMatch(/^\d+$/);
    const location = started.headers.location;
    expect(location).toContain('/mfeOperationResults/oeidp:');
    expect((await follow(location, reader)).status).toBe(202);
    expect(await keysOf('fraud-scorer')).toEqual(before);
    azure.advanceSeconds(operationSeconds);
    expect((await follow(location, reader)).status).toBe(200);
    const after = await keysOf('fraud-scorer');
    expect(after.primaryKey).not.toBe(before.primaryKey);
    expect(after.secondaryKey).toBe(before.secondaryKey);
  });

  it('takes the key that the caller names', async () => {
    const path = `${prod}/onlineEndpoints/fraud-scorer/regenerateKeys`;
    await call('POST', path, reader, { keyType: 'Secondary', keyValue: 'chosen-by-the-caller' });
    azure.advanceSeconds(operationSeconds);
    expect((await keysOf('fraud-scorer')).secondaryKey).toBe('chosen-by-the-caller');
  });

  it('refuses a second operation while one runs (409 Conflict), and an unknown key type (400)', async () => {
    const path = `${prod}/onlineEndpoints/fraud-scorer/regenerateKeys`;
    expect((await call('POST', path, reader, { keyType: 'Third' })).status).toBe(400);
    await call('POST', path, reader, { keyType: 'Primary' });
    const second = await call('POST', path, reader, { keyType: 'Secondary' });
    expect(second.status).toBe(409);
    expect(innermostCode(second)).toBe('Conflict');
  });
});

describe('ARM: long-running operations', () => {
  const definition = { location: REGION, tags: {}, properties: { authMode: 'AMLToken', traffic: {} } };

  it('creates an endpoint: 201 without an address, then status Updating, then Succeeded and an address', async () => {
    const path = `${dev}/onlineEndpoints/new-endpoint`;
    const created = await call('PUT', path, devRunner, definition);
    expect(created).toMatchObject({
      status: 201,
      body: { properties: { provisioningState: 'Creating', scoringUri: null, swaggerUri: null } },
    });
    expect(created.headers.location).toBe(`${arm}${path}?api-version=2022-10-01`);
    expect(created.headers['x-ms-async-operation-timeout']).toBe('PT30M');
    const poll = created.headers['azure-asyncoperation'];
    const running = await follow(poll, devRunner);
    expect(running).toMatchObject({
      status: 200,
      body: { status: 'Updating', percentComplete: 0, endTime: '0001-01-01T00:00:00+00:00' },
    });
    azure.advanceSeconds(operationSeconds);
    const done = await follow(poll, devRunner);
    expect(done.body).toEqual({
      id: expect.stringMatching(/\/locations\/westeurope\/mfeOperationsStatus\/oeidp:[0-9a-f-]{36}:[0-9a-f-]{36}$/),
      name: expect.stringMatching(/^oeidp:/),
      startTime: expect.stringMatching(/\.\d{7}\+00:00$/),
      endTime: expect.stringMatching(/\.\d{7}\+00:00$/),
      percentComplete: 0,
      status: 'Succeeded',
    });
    expect((await call('GET', path, devRunner)).body).toMatchObject({
      properties: { provisioningState: 'Succeeded', scoringUri: `${scoringUrl}/ml-dev/new-endpoint/score` },
    });
  });

  it('gives polling URLs of more than a kilobyte, signed: a changed one is refused', async () => {
    const created = await call('PUT', `${dev}/onlineEndpoints/new-endpoint`, devRunner, definition);
    const poll = new URL(created.headers['azure-asyncoperation'] ?? '');
    expect(poll.href.length).toBeGreaterThan(1024);
    expect([...poll.searchParams.keys()]).toEqual(['api-version', 't', 'c', 's', 'h']);
    poll.searchParams.set('t', '1');
    expect((await follow(poll.href, devRunner)).status).toBe(400);
    const unknown = poll.pathname.replace(/[^:]+$/, '00000000-0000-4000-8000-000000000000');
    expect((await call('GET', unknown, devRunner)).status).toBe(404);
  });

  it('changes the auth mode by PUT and by PATCH, at the end of the operation', async () => {
    const path = `${dev}/onlineEndpoints/dev-aml`;
    const modeOf = async () =>
      z.object({ properties: z.object({ authMode: z.string() }) }).parse((await call('GET', path, devRunner)).body)
        .properties.authMode;
    const put = await call('PUT', path, devRunner, { ...definition, properties: { authMode: 'Key' } });
    expect(put).toMatchObject({ status: 200, body: { properties: { provisioningState: 'Updating' } } });
    expect(await modeOf()).toBe('AMLToken');
    azure.advanceSeconds(operationSeconds);
    expect(await modeOf()).toBe('Key');
    const patch = await call('PATCH', path, devRunner, { properties: { authMode: 'AADToken' }, tags: { a: 'b' } });
    expect(patch.status).toBe(202);
    azure.advanceSeconds(operationSeconds);
    expect((await call('GET', path, devRunner)).body).toMatchObject({
      properties: { authMode: 'AADToken' },
      tags: { a: 'b' },
    });
  });

  it('deletes an endpoint: 202 with the body null and both links, gone at the end, 204 when it is missing', async () => {
    const path = `${dev}/onlineEndpoints/dev-aml`;
    const deletion = await call('DELETE', path, devRunner);
    expect(deletion).toMatchObject({ status: 202, text: 'null' });
    expect(deletion.headers['azure-asyncoperation']).toContain('/mfeOperationsStatus/');
    expect(deletion.headers.location).toContain('/mfeOperationResults/');
    expect((await call('GET', path, devRunner)).body).toMatchObject({ properties: { provisioningState: 'Deleting' } });
    azure.advanceSeconds(operationSeconds);
    expect((await call('GET', path, devRunner)).status).toBe(404);
    expect((await follow(deletion.headers.location, devRunner)).status).toBe(204);
    expect((await call('DELETE', path, devRunner)).status).toBe(204);
  });

  it.each([
    ['an unknown auth mode', 'ok-name', { ...definition, properties: { authMode: 'None' } }],
    ['no location', 'ok-name', { properties: { authMode: 'Key' } }],
    ['a name that starts with a digit', '1-endpoint', definition],
    ['a name of 33 characters', 'e'.repeat(33), definition],
  ])('refuses %s with 400 and creates nothing', async (_what, name, json) => {
    expect(await call('PUT', `${dev}/onlineEndpoints/${name}`, devRunner, json)).toMatchObject({
      status: 400,
      body: { error: { code: 'UserError' } },
    });
    expect((await call('GET', `${dev}/onlineEndpoints/${name}`, devRunner)).status).toBe(404);
  });
});

describe('ARM: request limits', () => {
  const left = (answer: PlainAnswer, kind: string) =>
    answer.headers[`x-ms-ratelimit-remaining-subscription-${kind}`] ?? 'absent';

  it('counts reads, writes and deletes apart; POST /token is a write', async () => {
    expect(left(await call('GET', prod, reader), 'reads')).toBe('249');
    expect(left(await call('GET', prod, reader), 'global-reads')).toMatch(/^374[89]$/);
    const token = await call('POST', `${prod}/onlineEndpoints/fraud-aml/token`, reader);
    expect(left(token, 'writes')).toBe('199');
    expect(left(token, 'global-writes')).toBe('2999');
    expect(left(token, 'reads')).toBe('absent');
    expect(left(await call('DELETE', `${dev}/onlineEndpoints/none`, devRunner), 'deletes')).toBe('199');
  });

  it('answers 429 with Retry-After when a principal has used up its writes, and refills 10 a second', async () => {
    // Both before the clock stands: a token of later is not valid yet.
    const token = await azure.token(reader, audience);
    const otherToken = await azure.token(trainer, audience);
    const frozen = azure.clock();
    let now = frozen;
    await serveArm(store, () => now);
    const url = `${arm}${prod}/onlineEndpoints/none/token?api-version=2022-10-01`;
    const write = () => callPlain('POST', url, { token });
    for (let count = 0; count < 200; count += 1) expect((await write()).status).toBe(404);
    const limited = await write();
    expect(limited).toMatchObject({ status: 429, body: { error: { code: 'SubscriptionRequestsThrottled' } } });
    expect(limited.headers['retry-after']).toBe('1');
    expect(left(limited, 'writes')).toBe('0');
    const other = await callPlain('POST', url, { token: otherToken });
    expect(other.status).toBe(404);
    now = new Date(frozen.getTime() + 1000);
    for (let count = 0; count < 10; count += 1) expect((await write()).status).toBe(404);
    expect((await write()).status).toBe(429);
  });
});

describe('ARM: through @azure/arm-machinelearning', () => {
  const client = (as: Principal) => {
    const credential = azure.credential(as);
    const workspaces = new AzureMachineLearningWorkspaces(credential, SUBSCRIPTION_ID, {
      endpoint: arm,
      credentialScopes: [`${audience}/.default`],
      retryOptions: { maxRetries: 0 },
    });
    return { workspaces, credential };
  };

  it('gets a workspace and an endpoint', async () => {
    const { workspaces, credential } = client(reader);
    expect((await workspaces.workspaces.get(RESOURCE_GROUP, 'ml-prod')).provisioningState).toBe('Succeeded');
    const endpoint = await workspaces.onlineEndpoints.get(RESOURCE_GROUP, 'ml-prod', 'fraud-scorer');
    expect(endpoint.properties.authMode).toBe('Key');
    expect(endpoint.systemData?.createdAt).toBeInstanceOf(Date);
    expect(credential.scopes).toContain('https://management.azure.com/.default');
  });

  it('lists endpoints over several pages', async () => {
    const names = [];
    const { workspaces } = client(reader);
    for await (const { name } of workspaces.onlineEndpoints.list(RESOURCE_GROUP, 'ml-prod', { count: 1 })) {
      names.push(name);
    }
    expect(names).toEqual(['churn-aml', 'fraud-aad', 'fraud-aml', 'fraud-scorer', 'fraud-turns']);
  });

  it('gets a token and keys', async () => {
    const { workspaces } = client(reader);
    const token = await workspaces.onlineEndpoints.getToken(RESOURCE_GROUP, 'ml-prod', 'fraud-aml');
    expect(tokenBody.safeParse(token).success).toBe(true);
    const keys = await workspaces.onlineEndpoints.listKeys(RESOURCE_GROUP, 'ml-prod', 'fraud-scorer');
    expect(keys).toEqual(await keysOf('fraud-scorer'));
  });

  it('waits for the end of a creation, a key regeneration and a deletion', async () => {
    // In real time: the client waits by the machine's clock.
    await serveArm(createEndpointStore({ clock: azure.clock, operationSeconds: 0.05 }));
    const at = [RESOURCE_GROUP, 'ml-dev', 'new-endpoint'] as const;
    const { onlineEndpoints } = client(devRunner).workspaces;
    const options = { updateIntervalInMs: 10 };
    const properties = { authMode: 'Key', traffic: { green: 100 } };
    const made = await onlineEndpoints.beginCreateOrUpdateAndWait(...at, { location: REGION, properties }, options);
    expect(made.properties.provisioningState).toBe('Succeeded');
    const before = await onlineEndpoints.listKeys(...at);
    await onlineEndpoints.beginRegenerateKeysAndWait(...at, { keyType: 'Primary' }, options);
    expect((await onlineEndpoints.listKeys(...at)).primaryKey).not.toBe(before.primaryKey);
    await onlineEndpoints.beginDeleteAndWait(...at, options);
    await expect(onlineEndpoints.get(...at)).rejects.toMatchObject({ statusCode: 404, code: 'UserError' });
  });

  it('shows status and code of a refusal, and of a planned one', async () => {
    const { onlineEndpoints } = client(stranger).workspaces;
    const ask = () => onlineEndpoints.getToken(RESOURCE_GROUP, 'ml-prod', 'fraud-aml');
    await expect(ask()).rejects.toMatchObject({ statusCode: 403, code: 'AuthorizationFailed' });
    azure.faults.add({ service: 'arm', match: /token$/, status: 429, retryAfterSeconds: 17, times: 1 });
    await expect(ask()).rejects.toMatchObject({ statusCode: 429, code: 'TooManyRequests' });
  });

  it('loses an answer on purpose after the work was done', async () => {
    const before = await keysOf('fraud-scorer');
    azure.faults.add({ service: 'arm', match: /regenerateKeys$/, commitThenDrop: true, times: 1 });
    const { onlineEndpoints } = client(reader).workspaces;
    const body = { keyType: 'Primary' } as const;
    const lost = onlineEndpoints.beginRegenerateKeys(RESOURCE_GROUP, 'ml-prod', 'fraud-scorer', body);
    await expect(lost).rejects.toThrow();
    azure.advanceSeconds(operationSeconds);
    expect((await keysOf('fraud-scorer')).primaryKey).not.toBe(before.primaryKey);
  });
});

describe('ARM: what an administrator does by hand', () => {
  it('deletes an endpoint at once', async () => {
    operations.deleteEndpoint({ workspace: 'prod', endpoint: 'fraud-aml' });
    expect((await call('GET', `${prod}/onlineEndpoints/fraud-aml`, reader)).status).toBe(404);
  });

  it('recreates an endpoint under its name with another creation instant and other keys', async () => {
    const path = `${prod}/onlineEndpoints/fraud-scorer`;
    const createdAt = async () =>
      z.object({ systemData: z.object({ createdAt: z.string() }) }).parse((await call('GET', path, reader)).body)
        .systemData.createdAt;
    const [instant, keys] = [await createdAt(), await keysOf('fraud-scorer')];
    operations.recreateEndpoint({ workspace: 'prod', endpoint: 'fraud-scorer' });
    expect(await createdAt()).not.toBe(instant);
    const { primaryKey, secondaryKey } = await keysOf('fraud-scorer');
    expect([keys.primaryKey, keys.secondaryKey]).not.toContain(primaryKey);
    expect([keys.primaryKey, keys.secondaryKey]).not.toContain(secondaryKey);
  });

  it('lists endpoints by the names of the policy, without keys', async () => {
    const { primaryKey } = await keysOf('fraud-scorer');
    const listed = operations.list();
    expect(listed).toContainEqual({
      workspace: 'prod',
      name: 'fraud-scorer',
      authMode: 'Key',
      provisioningState: 'Succeeded',
      created: expect.any(Date),
    });
    expect(JSON.stringify(listed)).not.toContain(primaryKey);
  });

  it('says what to correct when the endpoint is not there', () => {
    const name = { workspace: 'prod', endpoint: 'none' };
    expect(() => operations.deleteEndpoint(name)).toThrow('There is no endpoint prod/none');
    expect(() => operations.recreateEndpoint(name)).toThrow('There is no endpoint prod/none');
    expect(() => operations.setAuthMode({ ...name, authMode: 'Key' })).toThrow('There is no endpoint prod/none');
  });
});
