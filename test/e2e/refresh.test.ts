import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { startTestBroker, type TestBroker } from '../support/broker.ts';

const TOKEN = '/workspaces/prod/endpoints/fraud-aml/token';
const tokenCalls = /POST .*\/onlineEndpoints\/fraud-aml\/token$/i;
const hash = (text: unknown) => createHash('sha256').update(String(text)).digest('hex');

describe('P5: one upstream token call per endpoint per refresh', () => {
  let broker: TestBroker;
  let token: string;
  beforeAll(async () => {
    broker = await startTestBroker();
    token = await broker.sandbox.callerToken();
  });
  afterAll(() => broker?.stop());

  it('100 callers at once on a cold instance cost one call and all get the same token', async () => {
    // Slow, so that all callers wait at the same time.
    await broker.fault({ service: 'arm', match: 'POST .*fraud-aml/token', delayMs: 500 });
    const answers = await Promise.all(Array.from({ length: 100 }, () => broker.post(TOKEN, { token })));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
    expect(new Set(answers.map(({ body }) => hash(body.accessToken))).size).toBe(1);
    expect(await broker.calls(tokenCalls)).toHaveLength(1);
  });

  it('the timer and callers at the same time cost no further call while the token is fresh', async () => {
    await Promise.all([
      broker.fire('refreshEndpointTokens'),
      ...Array.from({ length: 20 }, () => broker.post(TOKEN, { token })),
    ]);
    expect(await broker.calls(tokenCalls)).toHaveLength(1);
  });

  it('another instance takes the token from the store instead of asking Azure ML', async () => {
    const first = await broker.post(TOKEN, { token });
    const other = await broker.anotherInstance();
    try {
      const second = await other.post(TOKEN, { token });
      expect(hash(second.body.accessToken)).toBe(hash(first.body.accessToken));
      expect(await broker.calls(tokenCalls)).toHaveLength(1);
    } finally {
      await other.stop();
    }
  });

  it('the timer asks for tokens only of endpoints in token mode that a grant can reach', async () => {
    await broker.fire('refreshEndpointTokens');
    await vi.waitFor(async () => expect(await broker.calls(/GET .*onlineEndpoints$/i)).not.toHaveLength(0), 10_000);
    const asked = await broker.calls(/POST .*\/token$/i);
    const names = asked.filter(({ service }) => service === 'arm').map(({ path }) => path.split('/').at(-2));
    expect(new Set(names)).toEqual(new Set(['fraud-aml']));
  });
});

describe('P4: the timer obtains the next token before refresh_by', () => {
  let broker: TestBroker;
  let token: string;
  beforeAll(async () => {
    broker = await startTestBroker({
      sandbox: { SANDBOX_ENDPOINT_REFRESH_AFTER_SECONDS: '8', REFRESH_SCHEDULE: '* * * * * *' },
    });
    token = await broker.sandbox.callerToken();
  });
  afterAll(() => broker?.stop());

  it('no answer is past its refreshBy, the token changes, and each change cost one call', async () => {
    const seen = new Set<string>();
    await vi.waitFor(
      async () => {
        const { status, body } = await broker.post(TOKEN, { token });
        expect([status, body.stale]).toEqual([200, false]);
        // An answer past its refreshBy ends the wait at once, as a failure.
        if (Date.parse(String(body.refreshBy)) <= Date.now()) seen.add('past refreshBy');
        seen.add(hash(body.accessToken));
        expect(seen.size).toBeGreaterThanOrEqual(3);
      },
      { timeout: 28_000, interval: 100 },
    );
    expect(seen).not.toContain('past refreshBy');
    const calls = await broker.calls(tokenCalls);
    expect(calls.length).toBeGreaterThanOrEqual(seen.size);
    expect(calls.length).toBeLessThanOrEqual(seen.size + 1);
  });
});

describe('an endpoint that changes', () => {
  it('P3: made anew under its name, it never yields its predecessor’s token beyond the next look', async () => {
    const broker = await startTestBroker({ settings: { ENDPOINT_LOOK_SECONDS: '1' } });
    try {
      const token = await broker.sandbox.callerToken();
      const before = await broker.post(TOKEN, { token });
      const endpoint = { workspace: 'prod', endpoint: 'fraud-aml' };
      expect((await broker.sandbox.control('POST', '/operations/recreate-endpoint', endpoint)).ok).toBe(true);
      const after = await vi.waitFor(async () => {
        const answer = await broker.post(TOKEN, { token });
        expect(answer.status).toBe(200);
        expect(hash(answer.body.accessToken)).not.toBe(hash(before.body.accessToken));
        return answer;
      }, 10_000);
      const scored = await fetch(String(after.body.scoringUri), {
        method: 'POST',
        headers: { Authorization: `Bearer ${after.body.accessToken}`, 'Content-Type': 'application/json' },
        body: '{"data":[[1]]}',
      });
      expect(scored.status).toBe(200);

      await broker.sandbox.control('POST', '/operations/set-auth-mode', { ...endpoint, authMode: 'key' });
      await vi.waitFor(
        async () => expect((await broker.post(TOKEN, { token })).body.code).toBe('wrong_auth_mode'),
        10_000,
      );
      await broker.sandbox.control('POST', '/operations/delete-endpoint', endpoint);
      await vi.waitFor(async () => expect((await broker.post(TOKEN, { token })).body.code).toBe('not_granted'), 10_000);
    } finally {
      await broker.stop();
    }
  });
});
