import { afterAll, beforeAll, expect, it } from 'vitest';
import { createArm } from '../../sandbox/arm/arm.ts';
import { faultBody } from '../../sandbox/arm/arm-errors.ts';
import { createEndpointStore } from '../../sandbox/arm/endpoint-store.ts';
import { callPlain, createLocalAzure, type LocalAzure } from './local-azure.ts';

const entraUrl = 'https://login.example';

let azure: LocalAzure;
let arm: string;
beforeAll(async () => {
  azure = await createLocalAzure();
  const { keys: entra, clock } = azure;
  const seconds = { endpointTokenSeconds: 60, endpointRefreshAfterSeconds: 30 };
  const store = createEndpointStore({ clock });
  arm = await azure.serve(
    'arm',
    createArm({ store, entra, entraUrl, scoringUrl: 'https://localhost:9', clock, ...seconds }),
    faultBody,
  );
});
afterAll(() => azure.stop());

it('ARM describes its cloud to tools that have no token yet', async () => {
  const { status, body } = await callPlain('GET', `${arm}/metadata/endpoints?api-version=2019-05-01`);
  expect(status).toBe(200);
  expect(body).toMatchObject([
    {
      name: expect.not.stringMatching(/^Azure(Cloud|ChinaCloud|USGovernment)$/),
      portal: 'https://portal.azure.com',
      resourceManager: `${arm}/`,
      authentication: { loginEndpoint: `${entraUrl}/`, audiences: expect.arrayContaining([expect.any(String)]) },
      suffixes: { storage: 'core.windows.net' },
    },
  ]);
});

it('ARM names no cloud where the api-version is missing, and none to other methods', async () => {
  const missing = await callPlain('GET', `${arm}/metadata/endpoints`);
  expect(missing).toMatchObject({ status: 400, body: { error: { code: 'MissingApiVersionParameter' } } });
  const post = await callPlain('POST', `${arm}/metadata/endpoints?api-version=2019-05-01`);
  expect(post).toMatchObject({ status: 401, body: { error: { code: 'AuthenticationFailed' } } });
});
