import { afterAll, beforeAll, expect, it } from 'vitest';
import { TENANT_ID, TRAINER } from '../../sandbox/seed.ts';
import { startTestBroker, type TestBroker } from '../support/broker.ts';
import {
  encodeForm,
  goodClientCredentials,
  goodExchange,
  malformedTokenRequests,
  type TokenWorld,
} from '../support/malformed-token-requests.ts';

let broker: TestBroker;
let world: TokenWorld;
beforeAll(async () => {
  broker = await startTestBroker();
  world = {
    publicUrl: 'https://localhost',
    amlScope: 'https://ml.azure.com/.default',
    armScope: 'https://management.azure.com/.default',
    token: await broker.sandbox.callerToken(),
    clientId: TRAINER.appId,
    tenantId: TENANT_ID,
  };
});
afterAll(() => broker?.stop());

const send = (tenant: string | undefined, init: RequestInit, query = '') => {
  const path = tenant === undefined ? 'oauth2/token' : `${tenant}/oauth2/v2.0/token`;
  return fetch(`${broker.host.url}/${path}${query}`, { method: 'POST', ...init });
};

it('grants the two requests of which every malformed one is a change', async () => {
  const headers = { 'content-type': 'application/x-www-form-urlencoded' };
  for (const form of [goodExchange(world), goodClientCredentials(world)]) {
    for (const tenant of [undefined, TENANT_ID]) {
      const answer = await send(tenant, { headers, body: encodeForm(form) });
      expect(await answer.json()).toMatchObject({ token_type: 'Bearer' });
    }
  }
});

it('P2, P7: answers each malformed request with its exact error, and logs nothing of it', async () => {
  const requests = malformedTokenRequests(world);
  const answers: unknown[] = [];
  for (const { name, tenant, query, headers, body } of requests) {
    const answer = await send(tenant, { headers, body }, query);
    const text = await answer.text();
    expect(text).not.toContain('a-secret-that-must-not-be-shown');
    const { error }: { error?: unknown } = JSON.parse(text);
    answers.push({ name, status: answer.status, error });
  }
  expect(answers).toEqual(requests.map(({ name, status, error }) => ({ name, status, error })));
  const output = broker.host.output();
  for (const { reason } of requests) expect(output).toContain(`"reason":"${reason}"`);
  for (const part of ['a-secret-that-must-not-be-shown', ...world.token.split('.').slice(1)]) {
    expect(output).not.toContain(part.slice(0, 100));
  }
});

it('has no other method at its addresses', async () => {
  for (const method of ['GET', 'PUT', 'DELETE']) {
    expect((await send(undefined, { method })).status).toBe(404);
    expect((await send(TENANT_ID, { method })).status).toBe(404);
  }
});

it('leaves the other routes theirs', async () => {
  const { token } = world;
  expect((await broker.post('/workspaces/prod/token', { token })).status).toBe(200);
  expect((await broker.get('/health/live')).status).toBe(200);
  expect((await broker.get('/openapi.json')).body).toMatchObject({ openapi: '3.1.0' });
  expect((await broker.get('/rotations/v2.0', token)).body).toMatchObject({ code: 'invalid_request' });
  expect((await broker.get('/nowhere/v2.0/.well-known/openid-configuration')).body).toMatchObject({
    error: 'invalid_tenant',
  });
});
