import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import * as z from 'zod';
import { TRAINER } from '../../sandbox/seed.ts';
import { sandboxPolicy, startTestBroker, type TestBroker } from '../support/broker.ts';

/** Rotation as operators see it: the timer, the routes, the real SDKs, and what people do by hand meanwhile. */

const QUICK = {
  sandbox: { SANDBOX_PROPAGATION_SECONDS: '0', ROTATE_SCHEDULE: '* * * * * *' },
  settings: { PROOF_SPREAD_SECONDS: '0', ROTATION_LOOK_SECONDS: '1' },
};
const NAME = 'trainer-password';
const ROTATION = `/rotations/${NAME}`;

const stateSchema = z.object({
  applications: z.array(
    z.object({
      id: z.string(),
      passwords: z.array(z.object({ keyId: z.string(), displayName: z.string().nullish() })),
    }),
  ),
  secrets: z.array(
    z.object({
      name: z.string(),
      versions: z.array(z.object({ current: z.boolean(), tags: z.record(z.string(), z.string()) })),
    }),
  ),
});

let broker: TestBroker;
let operator: string;

/** The sandbox's policy with a shorter overlap. */
const begin = async (change: (policy: string) => string = (policy) => policy) => {
  const policy = change((await sandboxPolicy()).replaceAll('overlap: 20s', 'overlap: 4s'));
  broker = await startTestBroker({ ...QUICK, policy });
  operator = await broker.sandbox.callerToken({ roles: ['Operator'] });
};

const byHand = async (operation: string, body: Record<string, unknown>) => {
  const answer = await broker.sandbox.control('POST', `/operations/${operation}`, body);
  if (!answer.ok) throw new Error(`${operation}: ${await answer.text()}`);
};
const seen = async () => stateSchema.parse(await (await broker.sandbox.control('GET', '/state')).json());
const passwords = async () => (await seen()).applications.find(({ id }) => id === TRAINER.objectId)?.passwords ?? [];
const current = async () =>
  (await seen()).secrets.find(({ name }) => name === NAME)?.versions.find((version) => version.current);

const until = <T>(check: () => Promise<T>, timeout = 40_000): Promise<T> =>
  vi.waitFor(check, { timeout, interval: 250 });
const waitForState = (state: string) =>
  until(async () => {
    const { body } = await broker.get(ROTATION, operator);
    expect(body).toMatchObject({ state });
    return body;
  });
/** Asks for a rotation and follows its Location until 200, as Logic Apps do. */
const rotateNow = async (reason = 'requested') => {
  const asked = await broker.post(ROTATION, { token: operator, body: { reason } });
  expect(asked.status, asked.text).toBe(202);
  const route = new URL(asked.headers.get('location') ?? '').pathname;
  await until(async () => expect((await broker.get(route, operator)).status).toBe(200));
  return { asked, done: await broker.get(route, operator) };
};

describe('a rotation through the broker', () => {
  beforeAll(() => begin());
  afterAll(() => broker.stop());

  it('R4, R5: a request is 202 until the new secret is current, then 200 for good; the old password goes after the overlap', async () => {
    await waitForState('settled');
    const before = await current();
    const { asked, done } = await rotateNow();
    expect(asked.headers.get('retry-after')).toMatch(/^\d+$/);
    expect(done.body).toMatchObject({ id: asked.body.id, status: 'succeeded', reason: 'requested' });
    const after = await current();
    expect(after?.tags.keyId).not.toBe(before?.tags.keyId);
    expect(after?.tags.rotationId).toBe(done.body.rotationId);
    expect(await passwords()).toHaveLength(2);
    await until(async () => expect((await passwords()).map(({ keyId }) => keyId)).toEqual([after?.tags.keyId]));
    await waitForState('settled');
  });

  it.each([
    ['429 with Retry-After', { status: 429, retryAfterSeconds: 1 }],
    ['429 without', { status: 429 }],
    ['400 concurrency', { status: 400, code: 'Directory_ConcurrencyViolation' }],
    ['409 concurrency', { status: 409, code: 'Directory_ConcurrencyViolation' }],
    ['500 concurrency', { status: 500, code: 'Directory_ConcurrencyViolation' }],
    ['503 concurrency', { status: 503, code: 'Directory_ConcurrencyViolation' }],
  ])('R5: goes on after Graph answered addPassword with %s', async (_shape, answer) => {
    await broker.fault({ service: 'graph', match: 'POST .*addPassword', times: 1, ...answer });
    const before = await current();
    await rotateNow();
    expect((await current())?.tags.keyId).not.toBe(before?.tags.keyId);
  });

  it('tries a shorter life where the tenant’s policy refuses the configured one, and says so', async () => {
    const code = 'CredentialInvalidLifetimeAsPerAppPolicy';
    await broker.fault({ service: 'graph', match: 'POST .*addPassword', times: 1, status: 400, code });
    await rotateNow();
    expect((await broker.get(ROTATION, operator)).body).toMatchObject({ shortenedLifetimeSeconds: 45 * 86_400 });
  });

  it('names lifetime_refused where every life is refused, and a new request tries again', async () => {
    const code = 'CredentialInvalidLifetimeAsPerAppPolicy';
    await broker.fault({ service: 'graph', match: 'POST .*addPassword', status: 400, code });
    const asked = await broker.post(ROTATION, { token: operator, body: {} });
    expect(await waitForState('lifetime_refused')).toMatchObject({ asks: expect.stringContaining('rotateEvery') });
    const run = await broker.get(new URL(asked.headers.get('location') ?? '').pathname, operator);
    expect(run.status).toBe(202);
    expect(run.body).toMatchObject({ present: { state: 'lifetime_refused' } });
    await broker.clearFaults();
    await rotateNow();
  });

  it('replaces a version that somebody wrote by hand', async () => {
    await byHand('set-secret', { name: NAME, value: 'typed by a person' });
    await until(async () => expect((await current())?.tags.rotation).toBe(NAME));
    const written = await current();
    expect((await passwords()).map(({ keyId }) => keyId)).toContain(written?.tags.keyId);
  });

  it('R2: compromised says what it breaks, and removes the previous password as soon as the new one is proved', async () => {
    const { asked } = await rotateNow('compromised');
    expect(asked.body.breaks).toMatch(/fail/);
    const { tags } = (await current()) ?? {};
    await until(async () => expect((await passwords()).map(({ keyId }) => keyId)).toEqual([tags?.keyId]), 15_000);
  });

  it('R3, R4: a second instance with the same timer does no harm', async () => {
    const two = await broker.anotherInstance();
    try {
      await byHand('add-password', { application: TRAINER.objectId, displayName: 'made in the portal' });
      for (let times = 0; times < 3; times++) await rotateNow();
      const foreign = (await passwords()).filter(({ displayName }) => displayName === 'made in the portal');
      expect(foreign).toHaveLength(1);
      await until(async () => expect(await passwords()).toHaveLength(2));
    } finally {
      await two.stop();
    }
  });

  it('secret_disabled, then secret_deleted: waits, names the way out, and goes on by itself afterwards', async () => {
    await byHand('disable-secret', { name: NAME });
    expect(await waitForState('secret_disabled')).toMatchObject({ asks: expect.stringContaining('--enabled true') });
    await byHand('set-secret', { name: NAME, value: 'a version that is enabled' });
    await until(async () => expect((await current())?.tags.rotation).toBe(NAME));
    await byHand('delete-secret', { name: NAME });
    expect(await waitForState('secret_deleted')).toMatchObject({
      asks: expect.stringContaining('az keyvault secret recover'),
    });
  });

  it('not_owned: names the administrator’s command', async () => {
    await byHand('drop-owner', { application: TRAINER.objectId });
    expect(await waitForState('not_owned')).toMatchObject({ asks: expect.stringContaining('az ad app owner add') });
  });
});

describe('a rotation of the wrong application', () => {
  afterAll(() => broker.stop());

  it('wrong_application: the object id’s application has another client id; nothing is written', async () => {
    const another = 'd0000000-0000-4000-8000-00000000000f';
    await begin((policy) => policy.replaceAll(TRAINER.appId, another));
    expect(await waitForState('wrong_application')).toMatchObject({ asks: expect.stringContaining('clientId') });
    expect(await broker.calls(/POST .*(add|remove)Password/)).toEqual([]);
  });
});
