import { describe, expect, it } from 'vitest';
import { aFetchedWorkspace, anEndpoint, upstream } from '../support/builders.ts';
import { createDeferred, rejectionOf, settle } from '../support/ports.ts';
import { endpoint, from, row, setUp } from './endpoint-tokens-in-memory.ts';

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
