import { describe, expect, it } from 'vitest';
import { addSeconds } from '../../src/clock.ts';
import { anEndpointToken, upstream } from '../support/builders.ts';
import { createDeferred, settle } from '../support/ports.ts';
import { endpoint, from, row, setUp } from './endpoint-tokens-in-memory.ts';

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

describe('a slow store', () => {
  it('P4: does not keep callers waiting for their token: it is written meanwhile', async () => {
    const { tokens, machineLearning, store } = setUp();
    const gate = createDeferred();
    store.before = async () => (store.calls.at(-1) === 'write' ? gate.promise : undefined);
    expect(await tokens.current(from, endpoint)).toEqual({ token: machineLearning.issued[0], stale: false });
    expect(await tokens.current(from, endpoint)).toEqual({ token: machineLearning.issued[0], stale: false });
    expect(store.rows.size).toBe(0);
    gate.resolve();
    await settle();
    expect(store.rows.get(row)).toMatchObject({ token: machineLearning.issued[0] });
    expect(machineLearning.calls).toHaveLength(1);
  });

  it('keeps the timer waiting, so that its process stays until the token is written', async () => {
    const { tokens, store } = setUp();
    const gate = createDeferred();
    store.before = async () => (store.calls.at(-1) === 'write' ? gate.promise : undefined);
    let done = false;
    const round = tokens.refreshIfDue(from, endpoint).then((obtained) => {
      done = obtained;
    });
    await settle();
    expect(store.calls.at(-1)).toBe('write');
    expect(done).toBe(false);
    gate.resolve();
    await round;
    expect(done).toBe(true);
    expect(store.rows.size).toBe(1);
  });

  it('that fails in the end is told in the log and to nobody else', async () => {
    const { tokens, store, lines } = setUp();
    const gate = createDeferred();
    store.before = async () => {
      if (store.calls.at(-1) !== 'write') return;
      await gate.promise;
      throw upstream('unavailable', { service: 'token store' });
    };
    await tokens.current(from, endpoint);
    gate.resolve();
    await settle();
    expect(lines.join('\n')).toContain('token_store_write_failed');
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
