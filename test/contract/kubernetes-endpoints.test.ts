import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createArm } from '../../sandbox/arm/arm.ts';
import { faultBody } from '../../sandbox/arm/arm-errors.ts';
import { createEndpointOperations } from '../../sandbox/arm/endpoint-operations.ts';
import { createEndpointStore, type EndpointStore } from '../../sandbox/arm/endpoint-store.ts';
import { DEV_RUNNER_IDENTITY, RESOURCE_GROUP, SUBSCRIPTION_ID } from '../../sandbox/seed.ts';
import { callPlain, createLocalAzure, type LocalAzure } from './local-azure.ts';

/** Online endpoints on a Kubernetes cluster: keys and their own tokens, no Entra tokens. */

const workspace = `/subscriptions/${SUBSCRIPTION_ID}/resourceGroups/${RESOURCE_GROUP}/providers/Microsoft.MachineLearningServices/workspaces/ml-dev`;
const compute = `${workspace}/computes/cluster-1`;
const devRunner = { appId: DEV_RUNNER_IDENTITY.clientId, oid: DEV_RUNNER_IDENTITY.oid };

let azure: LocalAzure;
let store: EndpointStore;
let arm: string;

beforeAll(async () => {
  azure = await createLocalAzure();
  const { clock } = azure;
  store = createEndpointStore({ clock, operationSeconds: 1 });
  const times = { endpointTokenSeconds: 60, endpointRefreshAfterSeconds: 30, clock };
  const scoringUrl = 'https://localhost:9';
  const handler = createArm({ store, entra: azure.keys, entraUrl: 'https://login.example', scoringUrl, ...times });
  arm = await azure.serve('arm', handler, faultBody);
});
afterAll(() => azure.stop());

const call = async (method: string, name: string, json?: object) =>
  callPlain(method, `${arm}${workspace}/onlineEndpoints${name}api-version=2022-10-01`, {
    token: await azure.token(devRunner, 'https://management.azure.com'),
    ...(json === undefined ? {} : { json }),
  });

const put = (name: string, properties: object) => call('PUT', `/${name}?`, { location: 'westeurope', properties });

describe('an endpoint with a compute', () => {
  it('names its cluster and its kind, and is found by compute type', async () => {
    expect((await put('churn-k8s', { authMode: 'AMLToken', compute })).status).toBe(201);
    azure.advanceSeconds(2);
    const { body } = await call('GET', '/churn-k8s?');
    expect(body).toMatchObject({ kind: 'K8S', properties: { compute, authMode: 'AMLToken' } });
    expect((await call('GET', '?computeType=Kubernetes&')).body).toMatchObject({ value: [{ name: 'churn-k8s' }] });
    expect((await call('GET', '?computeType=Managed&')).body).toMatchObject({ value: [{ name: 'dev-aml' }] });
  });

  it('gives tokens', async () => {
    expect((await call('POST', '/churn-k8s/token?')).status).toBe(200);
  });

  it('cannot be made, changed or set to AADToken', async () => {
    expect((await put('other-k8s', { authMode: 'AADToken', compute })).status).toBe(400);
    expect((await call('PATCH', '/churn-k8s?', { properties: { authMode: 'AADToken' } })).status).toBe(400);
    const { setAuthMode } = createEndpointOperations(store, azure.clock);
    const set = (authMode: 'AADToken' | 'Key') => setAuthMode({ workspace: 'dev', endpoint: 'churn-k8s', authMode });
    expect(() => set('AADToken')).toThrow('AMLToken or Key');
    set('Key');
    expect((await call('POST', '/churn-k8s/listKeys?')).status).toBe(200);
  });
});
