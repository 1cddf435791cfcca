import { describe, expect, it } from 'vitest';
import { addSeconds } from '../../src/clock.ts';
import type { UpstreamKind } from '../../src/errors.ts';
import { createEndpointTokens } from '../../src/freshness/endpoint-tokens.ts';
import { aFetchedWorkspace, aJwt, anEndpoint, anEndpointToken, upstream } from '../support/builders.ts';
import { createMovableClock } from '../support/clock.ts';
import {
  createDeferred,
  createFakeMachineLearning,
  createLogSpy,
  createMemoryTokenStore,
  rejectionOf,
  settle,
} from '../support/ports.ts';

const from = aFetchedWorkspace();
const endpoint = anEndpoint();
const row = `${endpoint.id} reader`;

/** Tokens live 3600 s and are to be refreshed after 1800 s. */
function setUp() {
  const time = createMovableClock();
  const { clock } = time;
  const machineLearning = createFakeMachineLearning(clock);
  const store = createMemoryTokenStore();
  const { log, lines } = createLogSpy();
  const start = () => createEndpointTokens({ machineLearning, store, clock, log, refreshAheadSeconds: 300 });
  return { time, machineLearning, store, lines, start, tokens: start() };
}

describe('where a token comes from', () => {
  it('is Azure ML at first: after a look into the store, and with a copy left there', async () => {
    const { tokens, machineLearning, store } = setUp();
    const served = await tokens.current(from, endpoint);
    expect(served).toEqual({ token: machineLearning.issued[0], stale: false });
    expect(store.calls).toEqual(['read', 'write']);
    expect(store.rows.get(row)).toEqual({ endpoint, identity: 'reader', token: served.token });
  });

  it('is memory from then on, without a look anywhere else', async () => {
    const { tokens, machineLearning, store } = setUp();
    const { token } = await tokens.current(from, endpoint);
    expect(await tokens.current(from, endpoint)).toEqual({ token, stale: false });
    expect(machineLearning.calls).toHaveLength(1);
    expect(store.calls).toEqual(['read', 'write']);
  });

  it('is the store in another instance, which then keeps it in memory too', async () => {
    const { tokens, start, machineLearning, store } = setUp();
    const { token } = await tokens.current(from, endpoint);
    const other = start();
    expect(await other.current(from, endpoint)).toEqual({ token, stale: false });
    expect(await other.current(from, endpoint)).toEqual({ token, stale: false });
    expect(machineLearning.calls).toHaveLength(1);
    expect(store.calls).toEqual(['read', 'write', 'read']);
  });

  it('is not memory for another identity, another workspace or another endpoint', async () => {
    const { tokens, machineLearning } = setUp();
    const dev = aFetchedWorkspace('dev');
    const other = anEndpoint({ name: 'fraud-other' });
    const served = [
      await tokens.current(from, endpoint),
      await tokens.current({ ...from, identity: 'other-reader' }, endpoint),
      await tokens.current(dev, anEndpoint({}, dev)),
      await tokens.current(from, other),
    ];
    expect(new Set(served.map(({ token }) => token.accessToken)).size).toBe(4);
    expect(machineLearning.calls).toHaveLength(4);
  });

  it('is never the predecessor of a recreated endpoint: neither its copy in memory …', async () => {
    const { tokens, machineLearning } = setUp();
    const old = await tokens.current(from, endpoint);
    const anew = { ...endpoint, createdAt: '2026-11-22T09:59:00.000Z' };
    const served = await tokens.current(from, anew);
    expect(served.token.accessToken).not.toBe(old.token.accessToken);
    expect(machineLearning.calls).toHaveLength(2);
  });

  it('… nor its row in the store, not even while Azure ML is out of reach', async () => {
    const { start, tokens, machineLearning } = setUp();
    await tokens.current(from, endpoint);
    machineLearning.fault = upstream('unavailable');
    const anew = { ...endpoint, createdAt: '2026-11-22T09:59:00.000Z' };
    expect(await rejectionOf(start().current(from, anew))).toBe(machineLearning.fault);
    expect(await rejectionOf(tokens.current(from, anew))).toBe(machineLearning.fault);
  });
});

describe('P5: one upstream call', () => {
  it('P5: serves 100 concurrent callers of a cold endpoint with one getToken', async () => {
    const { tokens, machineLearning, store } = setUp();
    const gate = createDeferred();
    machineLearning.before = () => gate.promise;
    const callers = Array.from({ length: 100 }, () => tokens.current(from, endpoint));
    await settle();
    gate.resolve();
    const served = await Promise.all(callers);
    expect(machineLearning.calls).toEqual(['getToken fraud-aml']);
    expect(new Set(served.map(({ token }) => token.accessToken)).size).toBe(1);
    expect(store.calls).toEqual(['read', 'write']);
  });

  it('P5: serves 100 concurrent callers after refreshBy with one getToken', async () => {
    const { tokens, machineLearning, time } = setUp();
    await tokens.current(from, endpoint);
    time.advance(1800);
    await Promise.all(Array.from({ length: 100 }, () => tokens.current(from, endpoint)));
    expect(machineLearning.calls).toHaveLength(2);
  });

  it('P5: callers and the timer share one getToken', async () => {
    const { tokens, machineLearning } = setUp();
    const gate = createDeferred();
    machineLearning.before = () => gate.promise;
    const both = Promise.all([
      tokens.refreshIfDue(from, endpoint),
      tokens.current(from, endpoint),
      tokens.refreshIfDue(from, endpoint),
    ]);
    await settle();
    gate.resolve();
    const [, served] = await both;
    expect(machineLearning.calls).toHaveLength(1);
    expect(served.token).toBe(machineLearning.issued[0]);
  });

  it('P5: 100 concurrent callers of a failing endpoint cost one getToken and hear the same', async () => {
    const { tokens, machineLearning } = setUp();
    machineLearning.fault = upstream('forbidden');
    const failures = await Promise.all(Array.from({ length: 100 }, () => rejectionOf(tokens.current(from, endpoint))));
    expect(new Set(failures)).toEqual(new Set([machineLearning.fault]));
    expect(machineLearning.calls).toHaveLength(1);
  });

  it('asks for two endpoints at the same time', async () => {
    const { tokens, machineLearning } = setUp();
    const gate = createDeferred();
    machineLearning.before = () => gate.promise;
    const both = Promise.all([
      tokens.current(from, endpoint),
      tokens.current(from, anEndpoint({ name: 'fraud-other' })),
    ]);
    await settle();
    expect(machineLearning.calls).toEqual(['getToken fraud-aml', 'getToken fraud-other']);
    gate.resolve();
    await both;
  });
});

describe('P4: what is served is fresh', () => {
  it('P4: serves a token until just before its refreshBy, and asks for the next one at it', async () => {
    const { tokens, machineLearning, time } = setUp();
    const first = await tokens.current(from, endpoint);
    time.advance(1799.999);
    expect(await tokens.current(from, endpoint)).toEqual(first);
    time.advance(0.001);
    expect(await tokens.current(from, endpoint)).toEqual({ token: machineLearning.issued[1], stale: false });
  });

  it.each<UpstreamKind>(['unavailable', 'throttled'])(
    'P4: serves a token past its refreshBy, marked stale, while Azure ML is out of reach (%s)',
    async (kind) => {
      const { tokens, machineLearning, time, lines } = setUp();
      const { token } = await tokens.current(from, endpoint);
      machineLearning.fault = upstream(kind);
      time.advance(1800);
      expect(await tokens.current(from, endpoint)).toEqual({ token, stale: true });
      expect(lines.join('\n')).toContain('endpoint_token_stale');
      time.advance(1799.999);
      expect(await tokens.current(from, endpoint)).toEqual({ token, stale: true });
    },
  );

  it('P4: serves a stored token past its refreshBy, marked stale, to an instance that has none', async () => {
    const { tokens, start, machineLearning, time } = setUp();
    const { token } = await tokens.current(from, endpoint);
    machineLearning.fault = upstream('unavailable');
    time.advance(2000);
    expect(await start().current(from, endpoint)).toEqual({ token, stale: true });
  });

  it.each([
    ['the instance that obtained it', false],
    ['an instance that finds it in the store', true],
  ])('P4: never serves an expired token: %s tells the failure instead', async (_who, restarted) => {
    const { tokens, start, machineLearning, time } = setUp();
    await tokens.current(from, endpoint);
    machineLearning.fault = upstream('unavailable');
    time.advance(3600);
    const instance = restarted ? start() : tokens;
    expect(await rejectionOf(instance.current(from, endpoint))).toBe(machineLearning.fault);
  });

  it('P4: a token that expires while Azure ML is being asked is not served', async () => {
    const { tokens, machineLearning, time } = setUp();
    await tokens.current(from, endpoint);
    time.advance(3599);
    machineLearning.before = async () => time.advance(10);
    machineLearning.fault = upstream('unavailable');
    expect(await rejectionOf(tokens.current(from, endpoint))).toBe(machineLearning.fault);
  });

  it.each<UpstreamKind>(['forbidden', 'credential_refused', 'not_found', 'conflict', 'unexpected'])(
    'P4: %s is not "out of reach": a valid token past its refreshBy is not served',
    async (kind) => {
      const { tokens, machineLearning, time } = setUp();
      await tokens.current(from, endpoint);
      machineLearning.fault = upstream(kind);
      time.advance(1800);
      expect(await rejectionOf(tokens.current(from, endpoint))).toBe(machineLearning.fault);
    },
  );

  it('P4: a fault of our own is not "out of reach" either', async () => {
    const { tokens, machineLearning, time } = setUp();
    await tokens.current(from, endpoint);
    machineLearning.fault = new TypeError('a bug');
    time.advance(1800);
    expect(await rejectionOf(tokens.current(from, endpoint))).toBe(machineLearning.fault);
  });

  it('P4: does not keep or serve a token that Azure ML gave already expired', async () => {
    const { tokens, machineLearning, store } = setUp();
    machineLearning.tokenSeconds = 0;
    machineLearning.refreshAfterSeconds = 0;
    expect(await rejectionOf(tokens.current(from, endpoint))).toMatchObject({
      code: 'unexpected_upstream_answer',
      reason: 'endpoint_token_already_expired',
    });
    expect(store.rows.size).toBe(0);
  });
});

describe('the pause after Azure ML was out of reach', () => {
  const countOf = ({ calls }: { calls: string[] }) => calls.length;

  it.each([
    ['5 seconds where Azure named none', undefined, 5],
    ['what Retry-After says', 60, 60],
    ['never less than 5 seconds', 1, 5],
  ])('lasts %s', async (_what, retryAfterSeconds, pauseSeconds) => {
    const { tokens, machineLearning, time } = setUp();
    const { token } = await tokens.current(from, endpoint);
    time.advance(1800);
    machineLearning.fault = upstream('throttled', { retryAfterSeconds });
    await tokens.current(from, endpoint);
    expect(countOf(machineLearning)).toBe(2);
    time.advance(pauseSeconds - 0.001);
    expect(await tokens.current(from, endpoint)).toEqual({ token, stale: true });
    expect(await tokens.refreshIfDue(from, endpoint)).toBe(false);
    expect(countOf(machineLearning)).toBe(2);
    time.advance(0.001);
    expect(await tokens.current(from, endpoint)).toEqual({ token, stale: true });
    expect(countOf(machineLearning)).toBe(3);
  });

  it('is begun by the timer too, and holds for callers', async () => {
    const { tokens, machineLearning, time } = setUp();
    const { token } = await tokens.current(from, endpoint);
    machineLearning.fault = upstream('throttled', { retryAfterSeconds: 400 });
    time.advance(1500);
    expect(await rejectionOf(tokens.refreshIfDue(from, endpoint))).toBe(machineLearning.fault);
    time.advance(300);
    expect(await tokens.current(from, endpoint)).toEqual({ token, stale: true });
    expect(countOf(machineLearning)).toBe(2);
  });

  it('does not keep a caller from a token that is to be had only from Azure ML', async () => {
    const { tokens, machineLearning, time } = setUp();
    await tokens.current(from, endpoint);
    machineLearning.fault = upstream('throttled', { retryAfterSeconds: 3600 });
    time.advance(1800);
    await tokens.current(from, endpoint);
    machineLearning.fault = undefined;
    time.advance(1800);
    expect(await tokens.current(from, endpoint)).toEqual({ token: machineLearning.issued[1], stale: false });
  });

  it('is not begun by a refusal: the next caller asks again', async () => {
    const { tokens, machineLearning } = setUp();
    machineLearning.fault = upstream('forbidden', { retryAfterSeconds: 60 });
    await rejectionOf(tokens.current(from, endpoint));
    machineLearning.fault = undefined;
    expect(await tokens.current(from, endpoint)).toMatchObject({ stale: false });
  });

  it('is that of one endpoint', async () => {
    const { tokens, machineLearning } = setUp();
    machineLearning.fault = upstream('throttled', { retryAfterSeconds: 60 });
    await rejectionOf(tokens.refreshIfDue(from, endpoint));
    machineLearning.fault = undefined;
    expect(await tokens.refreshIfDue(from, anEndpoint({ name: 'fraud-other' }))).toBe(true);
    expect(await tokens.refreshIfDue(from, endpoint)).toBe(false);
  });

  it('ends with the first token', async () => {
    const { tokens, machineLearning, time } = setUp();
    machineLearning.tokenSeconds = 20;
    machineLearning.refreshAfterSeconds = 10;
    machineLearning.fault = upstream('throttled', { retryAfterSeconds: 3600 });
    await rejectionOf(tokens.current(from, endpoint));
    machineLearning.fault = undefined;
    await tokens.current(from, endpoint);
    time.advance(10);
    expect(await tokens.current(from, endpoint)).toEqual({ token: machineLearning.issued[1], stale: false });
  });
});

describe('what other instances did', () => {
  it('P5: is looked up when the own token is due, before Azure ML is asked', async () => {
    const { tokens, start, machineLearning, time } = setUp();
    const other = start();
    await tokens.current(from, endpoint);
    await other.current(from, endpoint);
    time.advance(1500);
    expect(await other.refreshIfDue(from, endpoint)).toBe(true);
    time.advance(300);
    expect(await tokens.current(from, endpoint)).toEqual({ token: machineLearning.issued[1], stale: false });
    expect(machineLearning.calls).toHaveLength(2);
  });

  it('is found by the timer, which then leaves Azure ML alone', async () => {
    const { tokens, start, machineLearning, time } = setUp();
    await tokens.current(from, endpoint);
    time.advance(1500);
    await start().refreshIfDue(from, endpoint);
    expect(await tokens.refreshIfDue(from, endpoint)).toBe(false);
    expect(machineLearning.calls).toHaveLength(2);
    expect(await tokens.current(from, endpoint)).toMatchObject({ token: machineLearning.issued[1] });
  });

  it('is picked up in the middle of an outage, during the pause', async () => {
    const { tokens, machineLearning, store, time } = setUp();
    await tokens.current(from, endpoint);
    time.advance(1800);
    machineLearning.fault = upstream('throttled', { retryAfterSeconds: 600 });
    expect(await tokens.current(from, endpoint)).toMatchObject({ stale: true });
    const newer = anEndpointToken({ accessToken: 'of-another-instance', obtainedAt: time.clock() });
    store.rows.set(row, { endpoint, identity: 'reader', token: newer });
    expect(await tokens.current(from, endpoint)).toEqual({ token: newer, stale: false });
  });

  it('never replaces a newer token in memory by an older row', async () => {
    const { tokens, machineLearning, store, time } = setUp();
    const first = anEndpointToken({ accessToken: 'older', obtainedAt: addSeconds(time.clock(), -1000) });
    await tokens.current(from, endpoint);
    store.rows.set(row, { endpoint, identity: 'reader', token: first });
    time.advance(1800);
    machineLearning.fault = upstream('unavailable');
    expect(await tokens.current(from, endpoint)).toEqual({ token: machineLearning.issued[0], stale: true });
    expect(await tokens.current(from, endpoint)).toEqual({ token: machineLearning.issued[0], stale: true });
  });

  it('a slow look into the store does not hide the token that a fetch brought meanwhile', async () => {
    const { tokens, machineLearning, store, time } = setUp();
    await tokens.current(from, endpoint);
    time.advance(1800);
    const slow = createDeferred();
    const { read } = store;
    store.read = async (...key) => {
      const oldRow = await read(...key);
      store.read = read;
      await slow.promise;
      return oldRow;
    };
    const caller = tokens.current(from, endpoint);
    await settle();
    expect(await tokens.refreshIfDue(from, endpoint)).toBe(true);
    slow.resolve();
    expect(await caller).toEqual({ token: machineLearning.issued[1], stale: false });
    expect(await tokens.current(from, endpoint)).toEqual({ token: machineLearning.issued[1], stale: false });
    expect(machineLearning.calls).toHaveLength(2);
  });
});

describe('without the store', () => {
  it('serves from memory and fetches anew when due', async () => {
    const { tokens, machineLearning, store, time, lines } = setUp();
    store.fault = upstream('unavailable', { service: 'token store' });
    expect(await tokens.current(from, endpoint)).toEqual({ token: machineLearning.issued[0], stale: false });
    time.advance(1799);
    expect(await tokens.current(from, endpoint)).toEqual({ token: machineLearning.issued[0], stale: false });
    expect(machineLearning.calls).toHaveLength(1);
    time.advance(1);
    expect(await tokens.current(from, endpoint)).toEqual({ token: machineLearning.issued[1], stale: false });
    expect(lines.join('\n')).toContain('token_store_read_failed');
    expect(lines.join('\n')).toContain('token_store_write_failed');
  });

  it('serves stale tokens from memory while Azure ML is out of reach as well', async () => {
    const { tokens, machineLearning, store, time } = setUp();
    await tokens.current(from, endpoint);
    store.fault = new TypeError('anything at all');
    machineLearning.fault = upstream('unavailable');
    time.advance(1800);
    expect(await tokens.current(from, endpoint)).toEqual({ token: machineLearning.issued[0], stale: true });
  });
});

describe('refreshIfDue', () => {
  it('obtains the first token of an endpoint', async () => {
    const { tokens, machineLearning } = setUp();
    expect(await tokens.refreshIfDue(from, endpoint)).toBe(true);
    expect(await tokens.current(from, endpoint)).toEqual({ token: machineLearning.issued[0], stale: false });
  });

  it('asks nobody before a token is due', async () => {
    const { tokens, machineLearning, store, time } = setUp();
    await tokens.current(from, endpoint);
    time.advance(1499.999);
    expect(await tokens.refreshIfDue(from, endpoint)).toBe(false);
    expect(store.calls).toEqual(['read', 'write']);
    expect(machineLearning.calls).toHaveLength(1);
    time.advance(0.001);
    expect(await tokens.refreshIfDue(from, endpoint)).toBe(true);
  });

  it('P4: leaves the token in hand to callers when it fails before refreshBy', async () => {
    const { tokens, machineLearning, time } = setUp();
    const { token } = await tokens.current(from, endpoint);
    machineLearning.fault = upstream('forbidden');
    time.advance(1500);
    expect(await rejectionOf(tokens.refreshIfDue(from, endpoint))).toBe(machineLearning.fault);
    expect(await tokens.current(from, endpoint)).toEqual({ token, stale: false });
  });

  it('lets callers have the token in hand while the next one is on its way', async () => {
    const { tokens, machineLearning, time } = setUp();
    const { token } = await tokens.current(from, endpoint);
    time.advance(1500);
    const gate = createDeferred();
    machineLearning.before = () => gate.promise;
    const refresh = tokens.refreshIfDue(from, endpoint);
    await settle();
    expect(await tokens.current(from, endpoint)).toEqual({ token, stale: false });
    gate.resolve();
    expect(await refresh).toBe(true);
    expect(await tokens.current(from, endpoint)).toEqual({ token: machineLearning.issued[1], stale: false });
  });
});

describe('forget', () => {
  it('drops the token in memory and the row', async () => {
    const { tokens, machineLearning, store } = setUp();
    await tokens.current(from, endpoint);
    await tokens.forget(from, endpoint);
    expect(store.rows.size).toBe(0);
    expect(await tokens.current(from, endpoint)).toEqual({ token: machineLearning.issued[1], stale: false });
  });

  it('drops the token in memory even when the row cannot be removed', async () => {
    const { tokens, machineLearning, store, lines } = setUp();
    await tokens.current(from, endpoint);
    store.fault = upstream('unavailable', { service: 'token store' });
    await tokens.forget(from, endpoint);
    expect(lines.join('\n')).toContain('token_store_remove_failed');
    await tokens.current(from, endpoint);
    expect(machineLearning.calls).toHaveLength(2);
  });
});

describe('P3: the second look', () => {
  it('P3: refuses a token that names another endpoint, keeps nothing of it, and asks again next time', async () => {
    const { tokens, machineLearning, store, lines } = setUp();
    machineLearning.tokenText = () => aJwt({ endpointName: 'fraud-other' });
    expect(await rejectionOf(tokens.current(from, endpoint))).toMatchObject({
      code: 'unexpected_upstream_answer',
      reason: 'token_is_for_another_endpoint',
    });
    expect(await rejectionOf(tokens.refreshIfDue(from, endpoint))).toMatchObject({
      code: 'unexpected_upstream_answer',
    });
    expect(store.rows.size).toBe(0);
    expect(lines).toEqual([]);
    machineLearning.tokenText = () => aJwt({ endpointName: 'fraud-aml' });
    expect(await tokens.current(from, endpoint)).toMatchObject({ stale: false });
  });

  it('P3: a mix-up does not make a valid token in hand be served past its refreshBy', async () => {
    const { tokens, machineLearning, time } = setUp();
    await tokens.current(from, endpoint);
    time.advance(1800);
    machineLearning.tokenText = () => aJwt({ endpointName: 'fraud-other' });
    expect(await rejectionOf(tokens.current(from, endpoint))).toMatchObject({ code: 'unexpected_upstream_answer' });
  });

  it('P3: accepts an opaque token', async () => {
    const { tokens, machineLearning } = setUp();
    machineLearning.tokenText = () => 'opaque';
    expect((await tokens.current(from, endpoint)).token.accessToken).toBe('opaque');
  });
});

describe('the log', () => {
  it('P2: never has a token in it', async () => {
    const { tokens, machineLearning, store, time, lines } = setUp();
    await tokens.current(from, endpoint);
    time.advance(1800);
    machineLearning.fault = upstream('unavailable');
    store.fault = upstream('unavailable', { service: 'token store' });
    await tokens.current(from, endpoint);
    await tokens.forget(from, endpoint);
    expect(lines.length).toBeGreaterThan(3);
    expect(lines.join('\n')).not.toContain('secret-token');
  });
});
