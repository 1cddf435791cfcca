import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import * as z from 'zod';
import { faultBody } from '../../sandbox/arm/arm-errors.ts';
import { createEndpointStore } from '../../sandbox/arm/endpoint-store.ts';
import { createModelManagement } from '../../sandbox/model-management/model-management.ts';
import { createWebServiceStore } from '../../sandbox/model-management/service-store.ts';
import { createScoring } from '../../sandbox/scoring/scoring.ts';
import {
  BROKER_IDENTITY,
  FRAUD_SCORER_IDENTITY,
  READER_IDENTITY,
  RESOURCE_GROUP,
  SUBSCRIPTION_ID,
  TRAINER,
} from '../../sandbox/seed.ts';
import { systemRandom } from '../../sandbox/state/random.ts';
import { callPlain, createLocalAzure, type LocalAzure, type Principal } from './local-azure.ts';

/** Web services of SDK v1, as their specification (preview/2019-09-30) has them. */

const reader = { appId: READER_IDENTITY.clientId, oid: READER_IDENTITY.oid };
const trainer = { appId: TRAINER.appId, oid: TRAINER.servicePrincipalId };
const stranger = { appId: BROKER_IDENTITY.clientId, oid: BROKER_IDENTITY.oid };
const arm = 'https://management.azure.com';
const base = `/modelmanagement/v1.0/subscriptions/${SUBSCRIPTION_ID}/resourceGroups/${RESOURCE_GROUP}/providers/Microsoft.MachineLearningServices/workspaces/ml-prod/services`;

let azure: LocalAzure;
let api: string;

beforeAll(async () => {
  azure = await createLocalAzure();
  const { clock } = azure;
  const store = createWebServiceStore(clock, systemRandom);
  const scorer = createScoring({ store: createEndpointStore({ clock }), services: store, entra: azure.keys, clock });
  const scoringUrl = await azure.serve('scoring', scorer, faultBody);
  const common = { store, entra: azure.keys, scoringUrl, clock, random: systemRandom };
  const handler = createModelManagement({ ...common, tokenSeconds: 3600, refreshAfterSeconds: 1800 });
  api = await azure.serve('arm', handler, faultBody);
});
afterAll(() => azure.stop());

const call = async (method: string, path: string, as: Principal = reader, json?: object) =>
  callPlain(method, `${api}${base}${path}`, {
    token: await azure.token(as, arm),
    ...(json === undefined ? {} : { json }),
  });

const tokenAnswer = z.strictObject({
  accessToken: z.string(),
  tokenType: z.literal('Bearer'),
  expiryOn: z.int(),
  refreshAfter: z.int(),
});
const keysAnswer = z.strictObject({ primaryKey: z.string(), secondaryKey: z.string() });
const serviceAnswer = z.looseObject({ scoringUri: z.string() });

async function score(name: string, credential?: string): Promise<number> {
  const { scoringUri } = serviceAnswer.parse((await call('GET', `/${name}`)).body);
  const token = credential === undefined ? {} : { token: credential };
  return (await callPlain('POST', scoringUri, { ...token, json: { data: [[1]] } })).status;
}

const refused = (code: string, statusCode: number) => ({ code, statusCode, message: expect.any(String) });

describe('services of SDK v1', () => {
  it('are listed, one by one described, and filtered', async () => {
    const names = async (query: string) =>
      z
        .object({ value: z.array(z.looseObject({ name: z.string() })), nextLink: z.null() })
        .parse((await call('GET', query)).body)
        .value.map(({ name }) => name);
    expect(await names('')).toEqual(['churn-v1', 'pricing-v1', 'demo-v1']);
    expect(await names('?computeType=ACI')).toEqual(['demo-v1']);
    expect(await names('?name=churn-v1')).toEqual(['churn-v1']);
    expect((await call('GET', '/churn-v1')).body).toMatchObject({
      id: 'churn-v1',
      state: 'Healthy',
      computeType: 'AKS',
      authEnabled: false,
      aadAuthEnabled: true,
      createdTime: expect.stringMatching(/Z$/),
    });
    expect((await call('GET', '/demo-v1')).body).not.toHaveProperty('aadAuthEnabled');
  });

  it('give a token with 201, fields of their own and epoch seconds, which scores there until it expires', async () => {
    const answer = await call('POST', '/churn-v1/token');
    expect(answer.status).toBe(201);
    const { accessToken, expiryOn, refreshAfter } = tokenAnswer.parse(answer.body);
    expect(expiryOn - Math.floor(azure.clock().getTime() / 1000)).toBeGreaterThan(3590);
    expect(expiryOn - refreshAfter).toBe(1800);
    expect(await score('churn-v1', accessToken)).toBe(200);
    expect(await score('pricing-v1', accessToken)).toBe(401);
    expect(await score('churn-v1')).toBe(401);
    azure.advanceSeconds(3601);
    expect(await score('churn-v1', accessToken)).toBe(401);
    azure.advanceSeconds(-3601);
  });

  it('give two keys, which can be replaced one by one', async () => {
    const before = keysAnswer.parse((await call('POST', '/pricing-v1/listkeys')).body);
    expect(await score('pricing-v1', before.primaryKey)).toBe(200);
    expect(await score('pricing-v1', before.secondaryKey)).toBe(200);
    const answer = await call('POST', '/pricing-v1/regenerateKeys', reader, { keyType: 'Primary' });
    expect(answer.status).toBe(200);
    const after = keysAnswer.parse(answer.body);
    expect(after.secondaryKey).toBe(before.secondaryKey);
    expect(await score('pricing-v1', before.primaryKey)).toBe(401);
    const given = { keyType: 1, keyValue: 'a-key-of-our-own' };
    expect((await call('POST', '/pricing-v1/regenerateKeys', reader, given)).body).toMatchObject({
      secondaryKey: given.keyValue,
    });
    expect((await call('POST', '/pricing-v1/regenerateKeys', reader, { keyType: 'Third' })).status).toBe(400);
  });

  it('have tokens or keys, never both, and on ACI nothing while authentication is off', async () => {
    expect((await call('POST', '/pricing-v1/token')).body).toMatchObject(refused('BadRequest', 400));
    expect((await call('POST', '/churn-v1/listkeys')).body).toMatchObject(refused('BadRequest', 400));
    expect((await call('POST', '/demo-v1/token')).status).toBe(400);
    expect((await call('POST', '/demo-v1/listkeys')).status).toBe(400);
    expect(await score('demo-v1')).toBe(200);
  });

  it('refuse without a wrapper: no token, no right, no service, no operation', async () => {
    const bare = await callPlain('GET', `${api}${base}`);
    expect([bare.status, bare.body]).toMatchObject([401, refused('Unauthorized', 401)]);
    const scorer = { appId: FRAUD_SCORER_IDENTITY.clientId, oid: FRAUD_SCORER_IDENTITY.oid };
    for (const nobody of [stranger, scorer]) {
      expect((await call('GET', '/churn-v1', nobody)).body).toMatchObject(refused('Forbidden', 403));
      expect((await call('POST', '/churn-v1/token', nobody)).status).toBe(403);
    }
    // Reader is enough for tokens, not for keys.
    expect((await call('POST', '/churn-v1/token', trainer)).status).toBe(201);
    expect((await call('POST', '/pricing-v1/listkeys', trainer)).status).toBe(403);
    expect((await call('GET', '/nothing-v1')).body).toMatchObject(refused('NotFound', 404));
    expect((await call('DELETE', '/churn-v1')).status).toBe(404);
  });
});
