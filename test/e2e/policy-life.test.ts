import { setTimeout as delay } from 'node:timers/promises';
import { describe, it } from 'vitest';
import { sandboxPolicy, startTestBroker, type TestBroker } from '../support/broker.ts';

/** What the owner of the policy changes acts within this long, as the issue of tokens promises. */
const ACTS_WITHIN_MS = 15_000;
const SOON_MS = 250;

const route = '/workspaces/prod/token';
const caller = 'e0000000-0000-4000-8000-0000000000f1';

/** Repeats a look until it shows what is wanted; gives the milliseconds that took. */
async function until(wanted: (status: number, code: unknown) => boolean, broker: TestBroker, token: string) {
  const begun = performance.now();
  for (;;) {
    const answer = await broker.post(route, { token });
    const took = performance.now() - begun;
    if (wanted(answer.status, answer.body.code)) return took;
    if (took > 2 * ACTS_WITHIN_MS) throw new Error(`Still ${answer.status} ${String(answer.body.code)}.`);
    await delay(SOON_MS);
  }
}

/** More of this, on a clock that can be moved, is in test/compose. */
describe.concurrent.each([
  ['a file', false],
  ['a blob', true],
])('the policy in %s', (_where, policyInBlob) => {
  it('P1: deny acts within 15 s and without a restart; a broken version is refused loudly and changes nothing', async ({
    expect,
  }) => {
    const broker = await startTestBroker({ policyInBlob });
    try {
      const good = await sandboxPolicy();
      const token = await broker.sandbox.callerToken();
      expect(await broker.post(route, { token })).toMatchObject({ status: 200 });
      await broker.writePolicy(`${good}\ndeny: [{ issuer: contoso, class: app, oid: ${caller} }]\n`);
      expect(await until((_status, code) => code === 'caller_denied', broker, token)).toBeLessThan(ACTS_WITHIN_MS);
      await broker.writePolicy(`${good}\ndenied: []\n`);
      await until(() => broker.host.output().includes('"policy_refused"'), broker, token);
      expect(await broker.post(route, { token })).toMatchObject({ status: 403, body: { code: 'caller_denied' } });
      expect(broker.host.output()).toContain(`line ${good.split('\n').length + 1}: denied: is not a known key`);
      const ready = await broker.get('/health/ready');
      expect(ready).toMatchObject({ status: 200, body: { status: 'degraded', parts: { policy: 'degraded' } } });
    } finally {
      await broker.stop();
    }
  }, 60_000);
});

describe.concurrent('a policy that is not good at the start', () => {
  it('503 policy_unavailable with Retry-After while its blob cannot be read; served when it can, without a restart', async ({
    expect,
  }) => {
    const broker = await startTestBroker({ policyInBlob: true });
    await broker.fault({ service: 'blobs', status: 503 });
    const late = await broker.anotherInstance();
    try {
      const token = await broker.sandbox.callerToken();
      const answer = await late.post(route, { token });
      expect(answer).toMatchObject({ status: 503, body: { code: 'policy_unavailable' } });
      expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0);
      expect(await late.get('/health/ready')).toMatchObject({ status: 503, body: { code: 'policy_unavailable' } });
      await broker.clearFaults();
      await delay(Number(answer.headers.get('retry-after')) * 1000);
      expect(await late.post(route, { token })).toMatchObject({ status: 200 });
    } finally {
      await late.stop();
      await broker.stop();
    }
  });

  it('a broken file is mended without a restart', async ({ expect }) => {
    const broker = await startTestBroker({ policy: 'issuers: 1\n' });
    try {
      const token = await broker.sandbox.callerToken();
      expect(await broker.post(route, { token })).toMatchObject({ status: 503, body: { code: 'config_invalid' } });
      await broker.writePolicy(await sandboxPolicy());
      expect(await until((status) => status === 200, broker, token)).toBeLessThan(ACTS_WITHIN_MS);
    } finally {
      await broker.stop();
    }
  });
});

describe.concurrent('CALLER_REQUESTS_PER_MINUTE', () => {
  it('429 rate_limited with Retry-After for the caller who asks too often, and for nobody else', async ({ expect }) => {
    const broker = await startTestBroker({ settings: { CALLER_REQUESTS_PER_MINUTE: '3' } });
    try {
      const token = await broker.sandbox.callerToken();
      for (let request = 0; request < 3; request++) expect((await broker.get('/workspaces', token)).status).toBe(200);
      const answer = await broker.post(route, { token });
      expect(answer).toMatchObject({ status: 429, body: { code: 'rate_limited' } });
      expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(15);
      // A new token of the same caller is the same caller.
      expect((await broker.post(route, { token: await broker.sandbox.callerToken() })).status).toBe(429);
      const other = await broker.sandbox.callerToken({
        roles: ['Operator'],
        oid: 'e0000000-0000-4000-8000-00000000beef',
      });
      expect((await broker.get('/rotations', other)).status).toBe(200);
    } finally {
      await broker.stop();
    }
  });
});

describe.concurrent('POST /explain', () => {
  it('tells operators which grant matches or why none does, issues nothing, and tells nobody else', async ({
    expect,
  }) => {
    const broker = await startTestBroker();
    try {
      const operator = await broker.sandbox.callerToken({ roles: ['Operator'] });
      const asked = { caller: { issuer: 'contoso', class: 'app', oid: caller }, target: 'prod/fraud-aml token' };
      const tokenCalls = /onlineEndpoints\/.*\/token|oauth2/;
      await broker.get('/health/ready');
      const before = await broker.calls(tokenCalls);
      const granted = await broker.post('/explain', { token: operator, body: asked });
      expect(granted).toMatchObject({ status: 200, body: { allowed: true, grant: 'checkout-scores-fraud' } });
      const claims = JSON.parse(
        Buffer.from((await broker.sandbox.callerToken()).split('.')[1] ?? '', 'base64url').toString(),
      );
      const byClaims = await broker.post('/explain', { token: operator, body: { ...asked, caller: claims } });
      expect(byClaims.body).toEqual(granted.body);
      const denied = await broker.post('/explain', {
        token: operator,
        body: { ...asked, target: 'prod/churn-aml key' },
      });
      expect(denied.body).toMatchObject({ allowed: false, code: 'not_granted', reason: 'no_grant_for_target' });
      expect(await broker.calls(tokenCalls)).toEqual(before);
      const token = await broker.sandbox.callerToken();
      expect(await broker.post('/explain', { token, body: asked })).toMatchObject({
        status: 403,
        body: { code: 'operator_required' },
      });
    } finally {
      await broker.stop();
    }
  });
});
