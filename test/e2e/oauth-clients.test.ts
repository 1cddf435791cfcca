import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { AzureMachineLearningWorkspaces } from '@azure/arm-machinelearning';
import {
  AuthenticationRequiredError,
  ClientAssertionCredential,
  type TokenCredential,
  WorkloadIdentityCredential,
} from '@azure/identity';
import { decodeJwt } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  BROKER_API,
  DEFAULT_CALLER,
  DEPLOYER,
  DEV_RUNNER_IDENTITY,
  SUBSCRIPTION_ID,
  TENANT_ID,
  TRAINER,
} from '../../sandbox/seed.ts';
import { findFreePort } from '../../sandbox/start/ports.ts';
import { startTestBroker, type TestBroker } from '../support/broker.ts';

import { rejectionOf } from '../support/ports.ts';

/** Stock credentials of `@azure/identity`, told nothing but the broker's address and whose token they want. */

const AML = 'https://ml.azure.com/.default';
const ARM = 'https://management.azure.com/.default';

/** Named in the sandbox's policy. */
const FABRIKAM = '33333333-3333-4333-8333-333333333333';
const FABRIKAM_CALLER = 'e0000000-0000-4000-8000-0000000000f9';
const SOMEBODY = '99999999-0000-4000-8000-000000000000';

let broker: TestBroker;
let authority: { authorityHost: string; disableInstanceDiscovery: true };
beforeAll(async () => {
  const authorityHost = `https://localhost:${await findFreePort()}`;
  authority = { authorityHost, disableInstanceDiscovery: true };
  broker = await startTestBroker({ settings: { PUBLIC_URL: authorityHost } });
});
afterAll(() => broker?.stop());

/** The credential of somebody whose own token is made by `POST /callers`. */
function credentialFor(clientId: string, caller: Record<string, unknown> = {}): TokenCredential {
  return new ClientAssertionCredential(TENANT_ID, clientId, () => broker.sandbox.callerToken(caller), authority);
}

async function claimsOf(credential: TokenCredential, scope: string, options = {}) {
  const token = await credential.getToken(scope, options);
  if (token === null) throw new Error('There was no token.');
  return { ...decodeJwt<{ appid?: string; oid?: string; scp?: string }>(token.token), token };
}

describe('ClientAssertionCredential', () => {
  it.each([
    [AML, 'https://ml.azure.com'],
    [ARM, 'https://management.azure.com'],
  ])('gets a token of the service principal for %s, with its life', async (scope, resource) => {
    const { aud, appid, token } = await claimsOf(credentialFor(TRAINER.appId), scope);
    expect([String(aud).replace(/\/$/, ''), appid]).toEqual([resource, TRAINER.appId]);
    const secondsLeft = (token.expiresOnTimestamp - Date.now()) / 1000;
    expect(secondsLeft).toBeGreaterThan(3000);
    expect(secondsLeft).toBeLessThanOrEqual(3601);
    expect(token.refreshAfterTimestamp).toBeLessThan(token.expiresOnTimestamp);
  });

  it.each([
    ['an app with a v1 token', { version: '1.0' }, TRAINER.appId],
    ['an app of another tenant', { tenant: FABRIKAM, oid: FABRIKAM_CALLER }, TRAINER.appId],
    ['an app that a federated identity serves', { oid: SOMEBODY, roles: ['Deploy'] }, DEPLOYER.appId],
    ['a GitHub Actions job', { class: 'workload' }, TRAINER.appId],
  ])('gets a token for every class of caller: %s', async (_who, caller, clientId) => {
    expect((await claimsOf(credentialFor(clientId, caller), ARM)).appid).toBe(clientId);
  });

  it('gets a token of a managed identity by its client id', async () => {
    const { appid } = await claimsOf(credentialFor(DEV_RUNNER_IDENTITY.clientId), AML);
    expect(appid).toBe(DEV_RUNNER_IDENTITY.clientId);
  });

  it('gets a token where the client is capable of continuous access', async () => {
    const { appid } = await claimsOf(credentialFor(TRAINER.appId), ARM, { enableCae: true });
    expect(appid).toBe(TRAINER.appId);
  });

  it('P3: gets a signed-in user a token of that user’s own', async () => {
    const { oid, scp } = await claimsOf(credentialFor(BROKER_API.appId, { class: 'user' }), AML);
    expect([oid, typeof scp]).toEqual([DEFAULT_CALLER.userOid, 'string']);
  });

  it('gets an ARM token for the scope that is made of the address of a custom cloud’s Resource Manager', async () => {
    const { arm } = broker.sandbox.endpoints;
    expect((await claimsOf(credentialFor(TRAINER.appId), `${arm}/.default`)).aud).toBe('https://management.azure.com');
    const other = await rejectionOf(
      credentialFor(TRAINER.appId).getToken(`${broker.sandbox.endpoints.graph}/.default`),
    );
    expect(other).toMatchObject({ cause: { errorCode: 'invalid_scope' } });
  });

  it('opens Azure with the token that it got', async () => {
    const client = new AzureMachineLearningWorkspaces(credentialFor(TRAINER.appId), SUBSCRIPTION_ID, {
      endpoint: broker.sandbox.endpoints.arm,
      credentialScopes: ARM,
    });
    const names: string[] = [];
    for await (const { name = '' } of client.onlineEndpoints.list('ml-platform', 'ml-prod')) names.push(name);
    expect(names).toContain('fraud-aml');
  });

  it.each([
    ['a client id that no grant names', TRAINER.objectId, {}, 'invalid_target'],
    ['a caller whom no grant names', TRAINER.appId, { oid: SOMEBODY }, 'invalid_target'],
    ['a caller whose token has expired', TRAINER.appId, { lifetimeSeconds: -3600 }, 'invalid_client'],
  ])('P1: throws for %s, with the broker’s error', async (_what, clientId, caller, errorCode) => {
    const error = await rejectionOf(credentialFor(clientId, caller).getToken(AML));
    expect(error).toBeInstanceOf(AuthenticationRequiredError);
    expect(error).toMatchObject({ cause: { errorCode, correlationId: expect.stringMatching(/^[\da-f-]{36}$/) } });
  });
});

it('WorkloadIdentityCredential gets a token from a token file', async () => {
  const tokenFilePath = path.join(broker.sandbox.folder, 'caller-token');
  await writeFile(tokenFilePath, await broker.sandbox.callerToken());
  const options = { tenantId: TENANT_ID, clientId: TRAINER.appId, tokenFilePath, ...authority };
  expect((await claimsOf(new WorkloadIdentityCredential(options), AML)).appid).toBe(TRAINER.appId);
});

it('publishes metadata whose token endpoint answers (RFC 8414)', async () => {
  const { authorityHost } = authority;
  const metadata: unknown = await (await fetch(`${authorityHost}/.well-known/oauth-authorization-server`)).json();
  expect(metadata).toMatchObject({ issuer: authorityHost, token_endpoint: `${authorityHost}/oauth2/token` });
  const form = new URLSearchParams({
    grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
    subject_token: await broker.sandbox.callerToken(),
    subject_token_type: 'urn:ietf:params:oauth:token-type:access_token',
    resource: `${authorityHost}/workspaces/prod/endpoints/fraud-aml`,
  });
  const answer = await fetch(`${authorityHost}/oauth2/token`, { method: 'POST', body: form });
  expect(answer.status).toBe(200);
  expect(answer.headers.get('pragma')).toBe('no-cache');
  expect(await answer.json()).toMatchObject({
    token_type: 'Bearer',
    access_token: expect.any(String),
    expires_in: expect.any(Number),
    refresh_in: expect.any(Number),
  });
});
