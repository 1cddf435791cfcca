import { AzureMachineLearningWorkspaces } from '@azure/arm-machinelearning';
import { decodeJwt } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BrokerCredential, BrokerCredentialError } from '../../client/broker-credential.ts';
import { BROKER_API, DEFAULT_CALLER, SUBSCRIPTION_ID, TRAINER } from '../../sandbox/seed.ts';
import { findFreePort } from '../../sandbox/start/ports.ts';
import { startTestBroker, type TestBroker } from '../support/broker.ts';
import { rejectionOf } from '../support/ports.ts';
import { AML, ARM } from './broker-in-memory.ts';

/** BrokerCredential against the bundled broker over TLS, in clients of the Azure SDK. */

let broker: TestBroker;
let brokerUrl: string;
beforeAll(async () => {
  brokerUrl = `https://localhost:${await findFreePort()}`;
  broker = await startTestBroker({ settings: { PUBLIC_URL: brokerUrl } });
});
afterAll(() => broker?.stop());

const credentialOf = (who: Record<string, unknown> = {}, workspace = 'prod', endpoint?: string) =>
  new BrokerCredential({
    brokerUrl,
    workspace,
    ...(endpoint === undefined ? {} : { endpoint }),
    caller: () => broker.sandbox.callerToken(who),
  });

const issuedRows = async () => (await broker.calls(/^POST .*\/oauth2\/v2.0\/token/)).length;

describe('BrokerCredential over TLS', () => {
  it('opens Azure for @azure/arm-machinelearning', async () => {
    const client = new AzureMachineLearningWorkspaces(credentialOf(), SUBSCRIPTION_ID, {
      endpoint: broker.sandbox.endpoints.arm,
      credentialScopes: ARM,
    });
    const names: string[] = [];
    for await (const { name = '' } of client.onlineEndpoints.list('ml-platform', 'ml-prod')) names.push(name);
    expect(names).toContain('fraud-aml');
  });

  it('gives a service principal’s token with its life, and the same one again', async () => {
    const credential = credentialOf();
    const token = await credential.getToken(AML);
    expect(decodeJwt(token.token)).toMatchObject({
      aud: expect.stringMatching(/ml\.azure\.com/),
      appid: TRAINER.appId,
    });
    expect(token.expiresOnTimestamp).toBeGreaterThan(Date.now() + 3_000_000);
    expect(token.refreshAfterTimestamp).toBeLessThan(token.expiresOnTimestamp);
    const before = await issuedRows();
    expect(await credential.getToken(AML)).toEqual(token);
    expect(await issuedRows()).toBe(before);
  });

  it('P3: gives a user a token of that user’s own', async () => {
    const { token } = await credentialOf({ class: 'user' }).getToken(ARM);
    expect(decodeJwt(token)).toMatchObject({ oid: DEFAULT_CALLER.userOid, appid: BROKER_API.appId });
  });

  it('scores at an endpoint with the endpoint’s own token', async () => {
    const credential = credentialOf({}, 'prod', 'fraud-aml');
    const { token } = await credential.getToken(credential.resource);
    const asked = await broker.post('/workspaces/prod/endpoints/fraud-aml/token', {
      token: await broker.sandbox.callerToken(),
    });
    const answer = await fetch(String(asked.body.scoringUri), {
      method: 'POST',
      headers: { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' },
      body: '{"data":[[1]]}',
    });
    expect(answer.status).toBe(200);
  });

  it.each([
    ['a workspace that no grant names', {}, 'nowhere', 400, 'invalid_target', 'not_granted'],
    ['a caller whose token has expired', { lifetimeSeconds: -3600 }, 'prod', 400, 'invalid_request', 'invalid_token'],
  ])('P1: throws for %s, with the broker’s error', async (_what, who, workspace, status, error, code) => {
    const thrown = await rejectionOf(credentialOf(who, workspace).getToken(AML));
    expect(thrown).toBeInstanceOf(BrokerCredentialError);
    expect(thrown).toMatchObject({ status, error, code, correlationId: expect.stringMatching(/^[\da-f-]{36}$/) });
  });

  it('P7: tells a user who must sign in again which claims to ask for', async () => {
    await broker.fault({ service: 'entra', match: '^POST', status: 400, code: 'AADSTS50076', times: 1 });
    const thrown = await rejectionOf(credentialOf({ class: 'user', oid: crypto.randomUUID() }).getToken(AML));
    expect(thrown).toMatchObject({ error: 'interaction_required', claims: expect.stringMatching(/"access_token"/) });
  });
});
