import { decodeJwt } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import * as z from 'zod';
import {
  BROKER_API,
  DEFAULT_CALLER,
  PARTNER_TENANT_ID,
  RESOURCE_GROUP,
  SUBSCRIPTION_ID,
  TENANT_ID,
  TRAINER,
} from '../../sandbox/seed.ts';
import { findFreePort } from '../../sandbox/start/ports.ts';
import { recipe } from '../docs/callers-page.ts';
import { sandboxPolicy, startTestBroker, type TestBroker } from '../support/broker.ts';
import { type Bench, createBench, type MetadataEndpoint, startMetadataEndpoint } from './callers-stand-ins.ts';

/** Every row of docs/callers.md: its recipe, as the page has it, with a token of that exact shape. */

const AML = 'https://ml.azure.com/.default';
const ARM = 'https://management.azure.com/.default';
const AZURE_CLI = '04b07795-8ddb-461a-bbee-02f9e1bf7b46';
const AZURE_POWERSHELL = '1950a258-227b-4e31-a9cf-717495945fc2';
/** A public client of the platform team: where people sign in to ask the broker. */
const PUBLIC_CLIENT = 'f0000000-0000-4000-8000-000000000001';

const SUBSCRIPTION = `/subscriptions/${SUBSCRIPTION_ID}/resourcegroups/${RESOURCE_GROUP}/providers`;
const WORKSPACE = `${SUBSCRIPTION}/Microsoft.MachineLearningServices/workspaces/ml-prod`;

const grants = `
  service-principal-trains:
    caller: { issuer: contoso, class: app, oid: ${TRAINER.servicePrincipalId} }
    allow:
      - { workspace: prod, audience: aml, identity: trainer }
      - { workspace: prod, audience: arm, identity: trainer }
    maxLifetime: 90m
  checkout-scores-web-services:
    caller: { issuer: contoso, class: app, oid: ${DEFAULT_CALLER.oid} }
    allow:
      - { endpointToken: prod/*-v1 }
      - { endpointKey: prod/*-v1 }
    maxLifetime: 25h
`;
const declared = `    workspace_name: ml-prod
    endpoints:
      churn-v1: { kind: webService }
      pricing-v1: { kind: webService }
`;

let broker: TestBroker;
let bench: Bench;
const metadata: MetadataEndpoint[] = [];

beforeAll(async () => {
  const brokerUrl = `https://localhost:${await findFreePort()}`;
  const policy = `${(await sandboxPolicy()).replace('    workspace_name: ml-prod\n', declared)}${grants}`;
  broker = await startTestBroker({
    policy,
    settings: { PUBLIC_URL: brokerUrl },
    sandbox: { SANDBOX_PROPAGATION_SECONDS: '0' },
  });
  bench = await createBench({
    places: {
      'https://<broker>': brokerUrl,
      'api://<appId>': BROKER_API.identifierUri,
      '<tenantId>': TENANT_ID,
      '<clientId>': PUBLIC_CLIENT,
    },
    caCertificate: broker.sandbox.caCertificate,
    authority: broker.sandbox.endpoints.entra,
    callerScope: `${BROKER_API.identifierUri}/.default`,
  });
});
afterAll(async () => {
  await Promise.all(metadata.map((endpoint) => endpoint.stop()));
  await bench?.stop();
  await broker?.stop();
});

const tokenFor = (who: Record<string, unknown> = {}) => broker.sandbox.callerToken(who);

/** A token that a public client obtained for a person. */
const userToken = async (clientId: string, version: '1.0' | '2.0' = '2.0') => {
  const token = await tokenFor({ class: 'user', oid: DEFAULT_CALLER.userOid, appId: clientId, version });
  const { scp, appid = undefined, azp = appid, appidacr = undefined, azpacr = appidacr } = decodeJwt(token);
  expect({ scp, azp, azpacr }).toEqual({ scp: 'user_impersonation', azp: clientId, azpacr: '0' });
  return token;
};

/** A token of a managed identity: proved by the platform’s certificate, without roles, valid for a day. */
const managedIdentityToken = (resourceId: string) =>
  tokenFor({
    oid: DEFAULT_CALLER.oid,
    appId: 'f0000000-0000-4000-8000-000000000002',
    lifetimeSeconds: 86_400,
    claims: { idtyp: 'app', azpacr: '2', xms_mirid: resourceId },
  });

async function metadataEndpointFor(resourceId: string): Promise<MetadataEndpoint> {
  const endpoint = await startMetadataEndpoint(await managedIdentityToken(resourceId));
  metadata.push(endpoint);
  return endpoint;
}

/** The token is the user’s own, for the resource that was asked for. */
function expectUsersOwn(token: string, resource: string): void {
  const { aud, oid, appid, scp } = decodeJwt<{ oid?: string; appid?: string; scp?: string }>(token);
  expect(String(aud).replace(/\/$/, '')).toBe(resource);
  expect({ oid, appid, scp }).toEqual({
    oid: DEFAULT_CALLER.userOid,
    appid: BROKER_API.appId,
    scp: 'user_impersonation',
  });
}

/** The token is that of the identity which the grant names, for Azure ML. */
function expectTrainer(token: string): void {
  expect(decodeJwt(token)).toMatchObject({ appid: TRAINER.appId, idtyp: 'app' });
  expect(String(decodeJwt(token).aud).replace(/\/$/, '')).toBe('https://ml.azure.com');
}

const answerSchema = z.looseObject({
  access_token: z.string().optional(),
  accessToken: z.string().optional(),
  key: z.string().optional(),
  scoringUri: z.string().optional(),
  authMode: z.string().optional(),
  code: z.string().optional(),
  status: z.number().optional(),
});

async function score({ accessToken, key, scoringUri = '' }: z.output<typeof answerSchema>): Promise<number> {
  const headers = { Authorization: `Bearer ${accessToken ?? key}`, 'Content-Type': 'application/json' };
  return (await fetch(scoringUri, { method: 'POST', headers, body: '{"data":[[1]]}' })).status;
}

async function newPassword(): Promise<string> {
  const answer = await broker.sandbox.control('POST', '/operations/add-password', { application: TRAINER.objectId });
  return z.looseObject({ secretText: z.string() }).parse(await answer.json()).secretText;
}

const logicAppAction = z.strictObject({
  type: z.literal('Http'),
  inputs: z.strictObject({
    method: z.string(),
    uri: z.string(),
    headers: z.record(z.string(), z.string()),
    body: z.record(z.string(), z.unknown()),
    authentication: z.strictObject({ type: z.literal('ManagedServiceIdentity'), audience: z.string() }),
  }),
  runtimeConfiguration: z.unknown(),
});

describe('people', () => {
  it('a person at a browser gets a token of their own access', async () => {
    const RECIPE_CALLER = await userToken(PUBLIC_CLIENT);
    expectUsersOwn(await bench.runJs('browser', AML, { RECIPE_CALLER }), 'https://ml.azure.com');
  });

  it('a person at another device gets a token of their own access', async () => {
    const RECIPE_CALLER = await userToken(PUBLIC_CLIENT);
    expectUsersOwn(await bench.runJs('device', ARM, { RECIPE_CALLER }), 'https://management.azure.com');
  });

  it('an az session gets a token of its user’s own access', async () => {
    for (const version of ['1.0', '2.0'] as const) {
      const answer = await bench.runSh('az', { RECIPE_CALLER: await userToken(AZURE_CLI, version) });
      expectUsersOwn(answerSchema.parse(JSON.parse(answer)).access_token ?? answer, 'https://ml.azure.com');
    }
  });

  it('Azure PowerShell gets a token of its user’s own access', async () => {
    for (const version of ['1.0', '2.0'] as const) {
      const RECIPE_CALLER = await userToken(AZURE_POWERSHELL, version);
      expectUsersOwn(await bench.runJs('powershell', AML, { RECIPE_CALLER }), 'https://ml.azure.com');
    }
  });

  it('a guest’s token of the home tenant is another caller', async () => {
    const body = { audience: 'aml' };
    const home = await tokenFor({ class: 'user', oid: DEFAULT_CALLER.userOid, tenant: PARTNER_TENANT_ID });
    expect(await broker.post('/workspaces/prod/token', { token: home, body })).toMatchObject({
      status: 403,
      body: { code: 'not_granted' },
    });
    const token = await tokenFor({ class: 'user', oid: DEFAULT_CALLER.userOid, claims: { idp: 'fabrikam.example' } });
    expect((await broker.post('/workspaces/prod/token', { token, body })).status).toBe(200);
  });
});

describe('service principals', () => {
  it('a service principal of the AZURE_ variables gets what its grant says', async () => {
    const variables = {
      AZURE_TENANT_ID: TENANT_ID,
      AZURE_CLIENT_ID: TRAINER.appId,
      AZURE_CLIENT_SECRET: await newPassword(),
    };
    expectTrainer(await bench.runJs('environment', AML, variables));
  });

  it('a service principal of the AML_ variables gets what its grant says', async () => {
    const variables = {
      AML_TENANT_ID: TENANT_ID,
      AML_PRINCIPAL_ID: TRAINER.appId,
      AML_PRINCIPAL_PASS: await newPassword(),
    };
    expectTrainer(await bench.runJs('environment-v1', AML, variables));
  });
});

describe('managed identities', () => {
  it('the managed identity of a virtual machine gets what its grant says', async () => {
    const { url, asked } = await metadataEndpointFor(`${SUBSCRIPTION}/Microsoft.Compute/virtualMachines/vm-1`);
    expectTrainer(await bench.runJs('virtual-machine', AML, { AZURE_POD_IDENTITY_AUTHORITY_HOST: url }));
    expect(asked.at(-1)).toMatchObject({
      path: '/metadata/identity/oauth2/token',
      query: { resource: BROKER_API.identifierUri },
      metadata: 'true',
    });
  });

  it('the managed identity of a compute cluster gets what its grant says', async () => {
    const { url, asked } = await metadataEndpointFor(`${WORKSPACE}/computes/cluster-1`);
    const variables = {
      MSI_ENDPOINT: `${url}/msi`,
      MSI_SECRET: 'of-the-node',
      DEFAULT_IDENTITY_CLIENT_ID: PUBLIC_CLIENT,
    };
    expectTrainer(await bench.runJs('compute-cluster', AML, variables));
    expect(asked).toMatchObject([
      { path: '/msi', query: { resource: BROKER_API.identifierUri, clientid: PUBLIC_CLIENT }, secret: 'of-the-node' },
    ]);
  });

  it('the managed identity of a compute instance gets what its grant says', async () => {
    const { url, asked } = await metadataEndpointFor(
      `${SUBSCRIPTION}/Microsoft.ManagedIdentity/userAssignedIdentities/notebooks`,
    );
    const variables = {
      MSI_ENDPOINT: `${url}/msi`,
      MSI_SECRET: 'of-the-node',
      DEFAULT_IDENTITY_CLIENT_ID: PUBLIC_CLIENT,
    };
    expectTrainer(await bench.runJs('compute-instance', AML, variables));
    expect(asked).toMatchObject([{ query: { resource: BROKER_API.identifierUri, clientid: PUBLIC_CLIENT } }]);
  });

  it('the managed identity of a Logic App gets what its grant says', async () => {
    const { inputs } = logicAppAction.parse(JSON.parse(recipe('logic-app')));
    expect(inputs.authentication.audience).toBe('api://<appId>');
    const token = await managedIdentityToken(`${SUBSCRIPTION}/Microsoft.Logic/workflows/nightly`);
    const { pathname } = new URL(inputs.uri.replace('<broker>', 'broker.example'));
    const { headers, body } = inputs;
    expect(inputs.method).toBe('POST');
    const answer = await broker.post(pathname, { token, headers, body });
    expect(answer).toMatchObject({ status: 200, body: { audience: 'arm', identity: 'trainer' } });
  });
});

describe('tokens of other making', () => {
  it('own code that has a token gets what its grant says', async () => {
    const tokens: string[] = [];
    for (const scope of [AML, ARM]) {
      tokens.push(await bench.runJs('own-code', scope, { RECIPE_CALLER: await tokenFor({ version: '1.0' }) }));
    }
    expectTrainer(tokens[0] ?? '');
    expect(tokens.map((token) => String(decodeJwt(token).aud).replace(/\/$/, ''))).toEqual([
      'https://ml.azure.com',
      'https://management.azure.com',
    ]);
  });

  it('a run-scoped Azure ML token is refused with invalid_token', async () => {
    // Signed with Entra’s key, which Azure ML does not have: even so it is of no issuer that the policy trusts.
    const AZUREML_RUN_TOKEN = await tokenFor({
      claims: {
        ...{ iss: 'azureml', aud: 'azureml', role: 'Contributor', scope: WORKSPACE, runId: 'run-1' },
        ...{ ver: null, azp: null, azpacr: null, idtyp: null, sub: null, uti: null, rh: null, aio: null },
      },
    });
    const answer = answerSchema.parse(JSON.parse(await bench.runSh('run-token', { AZUREML_RUN_TOKEN })));
    expect(answer).toMatchObject({ status: 401, code: 'invalid_token' });
  });
});

describe('web services', () => {
  it('a client of a token-based web service gets its token and scores', async () => {
    const answer = await bench.runSh('web-service-token', { CALLER: await tokenFor() });
    const served = answerSchema.parse(JSON.parse(answer));
    expect(served).toMatchObject({ authMode: 'aml_token', accessToken: expect.any(String) });
    expect(await score(served)).toBe(200);
  });

  it('a client of a key-based web service gets its key and scores', async () => {
    const served = answerSchema.parse(JSON.parse(await bench.runSh('web-service-key', { CALLER: await tokenFor() })));
    expect(served.key).toEqual(expect.any(String));
    expect(await score(served)).toBe(200);
  });
});

it('no answer of the broker sets a cookie', async () => {
  const token = await tokenFor();
  const answers = [
    await broker.post('/workspaces/prod/token', { token }),
    await broker.post('/workspaces/prod/token'),
    await broker.post('/oauth2/token', { body: 'grant_type=password' }),
    await broker.get('/health/live'),
  ];
  expect(answers.map(({ status }) => status)).toEqual([200, 401, 400, 200]);
  for (const { headers } of answers) {
    expect(headers.getSetCookie()).toEqual([]);
    expect(headers.get('access-control-allow-origin')).toBeNull();
  }
});
