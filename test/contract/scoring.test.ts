import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import * as z from 'zod';
import { createArm } from '../../sandbox/arm/arm.ts';
import { faultBody as armFaultBody } from '../../sandbox/arm/arm-errors.ts';
import { createEndpointOperations, type EndpointOperations } from '../../sandbox/arm/endpoint-operations.ts';
import { createEndpointStore, type EndpointStore } from '../../sandbox/arm/endpoint-store.ts';
import { workspaceIdOf } from '../../sandbox/arm/resource-ids.ts';
import { createScoring, faultBody } from '../../sandbox/scoring/scoring.ts';
import { DEV_RUNNER_IDENTITY, FRAUD_SCORER_IDENTITY, READER_IDENTITY, REGION } from '../../sandbox/seed.ts';
import { callPlain, createLocalAzure, type LocalAzure, type PlainAnswer, type Principal } from './local-azure.ts';

const reader = { appId: READER_IDENTITY.clientId, oid: READER_IDENTITY.oid };
const devRunner = { appId: DEV_RUNNER_IDENTITY.clientId, oid: DEV_RUNNER_IDENTITY.oid };
const scorer = { appId: FRAUD_SCORER_IDENTITY.clientId, oid: FRAUD_SCORER_IDENTITY.oid };
const endpointTokenSeconds = 60;

let azure: LocalAzure;
let store: EndpointStore;
let operations: EndpointOperations;
let arm: string;
let scoring: string;

beforeAll(async () => {
  azure = await createLocalAzure();
});
afterAll(() => azure.stop());

beforeEach(async () => {
  const { clock, keys: entra } = azure;
  store = createEndpointStore({ clock });
  operations = createEndpointOperations(store, clock);
  scoring = await azure.serve('scoring', createScoring({ store, entra, clock }), faultBody);
  const handler = createArm({
    store,
    entra,
    clock,
    entraUrl: 'https://login.example',
    scoringUrl: scoring,
    endpointTokenSeconds,
    endpointRefreshAfterSeconds: 30,
  });
  arm = await azure.serve('arm', handler, armFaultBody);
});

async function ask(method: string, path: string, as: Principal, json?: unknown): Promise<PlainAnswer> {
  const url = `${arm}${path}?api-version=2022-10-01`;
  const token = await azure.token(as, 'https://management.azure.com');
  return callPlain(method, url, { token, ...(json === undefined ? {} : { json }) });
}

async function tokenOf(endpoint: string): Promise<string> {
  const answer = await ask('POST', `${workspaceIdOf('ml-prod')}/onlineEndpoints/${endpoint}/token`, reader);
  return z.object({ accessToken: z.string() }).parse(answer.body).accessToken;
}

async function keysOf(endpoint: string): Promise<string[]> {
  const answer = await ask('POST', `${workspaceIdOf('ml-prod')}/onlineEndpoints/${endpoint}/listKeys`, reader);
  const { primaryKey, secondaryKey } = z
    .object({ primaryKey: z.string(), secondaryKey: z.string() })
    .parse(answer.body);
  return [primaryKey, secondaryKey];
}

const rows = {
  data: [
    [1, 2, 3, 4, 5],
    [10, 9, 8],
  ],
};

/** Scores in workspace prod. */
function score(endpoint: string, credential?: string, headers: Record<string, string> = {}): Promise<PlainAnswer> {
  const url = `${scoring}/ml-prod/${endpoint}/score`;
  return callPlain('POST', url, { ...(credential === undefined ? {} : { token: credential }), json: rows, headers });
}

describe('Scoring: an answer', () => {
  it('carries one number per row and the headers of the service', async () => {
    const answer = await score('fraud-aml', await tokenOf('fraud-aml'));
    expect(answer.status).toBe(200);
    expect(answer.body).toEqual([expect.any(Number), expect.any(Number)]);
    expect(answer.headers).toMatchObject({
      'content-type': 'application/json',
      server: 'azureml-frontdoor',
      'azureml-model-deployment': 'blue',
      'x-ms-run-fn-exec-ms': expect.stringMatching(/^\d+\.\d+$/),
      'x-ms-run-function-failed': 'False',
      'x-request-id': expect.stringMatching(/^[0-9a-f-]{36}$/),
    });
  });

  it('comes at the scoringUri that ARM tells', async () => {
    const answer = await ask('GET', `${workspaceIdOf('ml-prod')}/onlineEndpoints/fraud-aml`, reader);
    const { scoringUri } = z.object({ properties: z.object({ scoringUri: z.string() }) }).parse(answer.body).properties;
    const scored = await callPlain('POST', scoringUri, { token: await tokenOf('fraud-aml'), json: rows });
    expect(scored.status).toBe(200);
  });

  it('is 400 for a body that is not JSON, 405 for GET, 404 for an address without endpoint', async () => {
    const token = await tokenOf('fraud-aml');
    const url = `${scoring}/ml-prod/fraud-aml/score`;
    expect((await callPlain('POST', url, { token, text: '{"data":' })).status).toBe(400);
    expect((await callPlain('GET', url, { token })).status).toBe(405);
    expect((await score('none', token)).status).toBe(404);
    expect((await callPlain('POST', `${scoring}/ml-dev/fraud-aml/score`, { token, json: rows })).status).toBe(404);
  });

  it('comes from the deployment that the caller names, 404 when there is none', async () => {
    const token = await tokenOf('fraud-aml');
    expect((await score('fraud-aml', token, { 'azureml-model-deployment': 'blue' })).status).toBe(200);
    expect((await score('fraud-aml', token, { 'azureml-model-deployment': 'green' })).status).toBe(404);
  });

  it('is 404 from an endpoint without a deployment that has traffic', async () => {
    const path = `${workspaceIdOf('ml-dev')}/onlineEndpoints/new-endpoint`;
    const properties = { authMode: 'AADToken', traffic: {} };
    await ask('PUT', path, devRunner, { location: REGION, properties });
    azure.advanceSeconds(2);
    const token = await azure.token(devRunner, 'https://ml.azure.com');
    const answer = await callPlain('POST', `${scoring}/ml-dev/new-endpoint/score`, { token, json: rows });
    expect(answer.status).toBe(404);
  });
});

describe('Scoring: an endpoint in AMLToken mode', () => {
  it('takes every token that it was given until it expires', async () => {
    const [first, second] = [await tokenOf('fraud-aml'), await tokenOf('fraud-aml')];
    expect((await score('fraud-aml', first)).status).toBe(200);
    expect((await score('fraud-aml', second)).status).toBe(200);
    azure.advanceSeconds(endpointTokenSeconds + 1);
    expect((await score('fraud-aml', first)).status).toBe(401);
    expect((await score('fraud-aml', second)).status).toBe(401);
  });

  it('refuses the token of another endpoint', async () => {
    expect((await score('fraud-aml', await tokenOf('churn-aml'))).status).toBe(401);
  });

  it('refuses no credential, a changed token, an Entra token and a key', async () => {
    const token = await tokenOf('fraud-aml');
    const entra = await azure.token(scorer, 'https://ml.azure.com');
    const [key] = await keysOf('fraud-scorer');
    for (const bad of [undefined, `${token}A`, entra, key]) expect((await score('fraud-aml', bad)).status).toBe(401);
  });

  it('refuses the tokens of its namesake that was deleted', async () => {
    const token = await tokenOf('fraud-aml');
    operations.recreateEndpoint({ workspace: 'prod', endpoint: 'fraud-aml' });
    expect((await score('fraud-aml', token)).status).toBe(401);
    expect((await score('fraud-aml', await tokenOf('fraud-aml'))).status).toBe(200);
  });

  it('refuses its tokens once its auth mode is another one', async () => {
    const token = await tokenOf('fraud-aml');
    operations.setAuthMode({ workspace: 'prod', endpoint: 'fraud-aml', authMode: 'Key' });
    expect((await score('fraud-aml', token)).status).toBe(401);
  });
});

describe('Scoring: an endpoint in Key mode', () => {
  it('takes both of its keys and nothing else', async () => {
    for (const key of await keysOf('fraud-scorer')) expect((await score('fraud-scorer', key)).status).toBe(200);
    const bad = [undefined, 'guess', await tokenOf('fraud-aml'), await azure.token(scorer, 'https://ml.azure.com')];
    for (const credential of bad) expect((await score('fraud-scorer', credential)).status).toBe(401);
  });

  it('takes the old key until its regeneration is complete, then only the new one', async () => {
    const [old = ''] = await keysOf('fraud-scorer');
    const path = `${workspaceIdOf('ml-prod')}/onlineEndpoints/fraud-scorer/regenerateKeys`;
    await ask('POST', path, reader, { keyType: 'Primary' });
    expect((await score('fraud-scorer', old)).status).toBe(200);
    azure.advanceSeconds(2);
    expect((await score('fraud-scorer', old)).status).toBe(401);
    const [next] = await keysOf('fraud-scorer');
    expect((await score('fraud-scorer', next)).status).toBe(200);
  });
});

describe('Scoring: an endpoint in AADToken mode', () => {
  it('takes an Entra token for Azure ML of a principal with the score data action', async () => {
    const token = await azure.token(scorer, 'https://ml.azure.com');
    expect((await score('fraud-aad', token)).status).toBe(200);
  });

  it('refuses a principal without that data action, another audience, and an expired token', async () => {
    const bad = [
      await azure.token(reader, 'https://ml.azure.com'),
      await azure.token(scorer, 'https://management.azure.com'),
      await azure.token(scorer, 'https://ml.azure.com', -600),
      await tokenOf('fraud-aml'),
    ];
    for (const token of bad) expect((await score('fraud-aad', token)).status).toBe(401);
  });
});

describe('Scoring: a planned fault', () => {
  it('answers with the planned status and leaves the next call alone', async () => {
    const token = await tokenOf('fraud-aml');
    azure.faults.add({ service: 'scoring', status: 424, code: 'ModelError', times: 1 });
    expect(await score('fraud-aml', token)).toMatchObject({ status: 424, body: { error: { code: 'ModelError' } } });
    expect((await score('fraud-aml', token)).status).toBe(200);
  });
});
