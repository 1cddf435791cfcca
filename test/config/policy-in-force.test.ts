import { describe, expect, it } from 'vitest';
import {
  CONFIRMED_SECONDS,
  createPolicyInForce,
  PAUSE_SECONDS,
  UNREAD_SECONDS,
} from '../../src/config/policy-in-force.ts';
import type { PolicySource } from '../../src/config/policy-source.ts';
import { createMovableClock } from '../support/clock.ts';
import { createDeferred, settle } from '../support/ports.ts';

const gone = new Error('out of reach');

/** A policy in memory: its text is what comes into force, and every text with `broken` in it is refused. */
function setUp(first = 'first') {
  const time = createMovableClock();
  const state = { text: first, fault: undefined as Error | undefined, before: async () => {} };
  const reads: (string | undefined)[] = [];
  const told: string[] = [];
  const source: PolicySource = {
    async read(known) {
      reads.push(known);
      await state.before();
      if (state.fault !== undefined) throw state.fault;
      return state.text === known ? 'unchanged' : { text: state.text, version: state.text };
    },
  };
  const current = createPolicyInForce({
    source,
    clock: time.clock,
    make(text) {
      if (text.includes('throws')) throw new TypeError('a secret of the text');
      return text.includes('broken') ? { ok: false, problems: [`line 1: ${text}`] } : { ok: true, value: text };
    },
    news: {
      taken: (version) => told.push(`taken ${version}`),
      refused: (problems, version) => told.push(`refused ${version}: ${problems.join()}`),
      unread: () => told.push('unread'),
      state: (name) => told.push(name),
    },
  });
  return { time, state, reads, told, current };
}

const inForce = (value: string) => ({ ok: true, value });

describe('a policy', () => {
  it('is read at the first question, and not again while it is young', async () => {
    const { time, reads, told, current } = setUp();
    expect(reads).toEqual([]);
    expect(await current()).toEqual(inForce('first'));
    time.advance(CONFIRMED_SECONDS - 0.001);
    expect(await current()).toEqual(inForce('first'));
    expect(reads).toEqual([undefined]);
    expect(told).toEqual(['taken first', 'ok']);
  });

  it('P1: is read again before it decides anything, where it was confirmed too long ago for 15 s to hold', async () => {
    const { time, state, told, current } = setUp();
    await current();
    state.text = 'second';
    time.advance(CONFIRMED_SECONDS);
    expect(CONFIRMED_SECONDS).toBeLessThan(15);
    expect(await current()).toEqual(inForce('second'));
    expect(told).toEqual(['taken first', 'ok', 'taken second', 'ok']);
  });

  it('counts from the beginning of the read that confirmed it: what changed during that read is not known', async () => {
    const { time, state, reads, current } = setUp();
    state.before = async () => time.advance(CONFIRMED_SECONDS - 1);
    await current();
    state.before = async () => {};
    time.advance(1);
    await current();
    expect(reads).toEqual([undefined, 'first']);
  });

  it('is read by its version: one that did not change is neither made nor told anew', async () => {
    const { time, reads, told, current } = setUp();
    await current();
    time.advance(CONFIRMED_SECONDS);
    await current();
    expect(reads).toEqual([undefined, 'first']);
    expect(told).toEqual(['taken first', 'ok', 'ok']);
  });

  it('is read once for all who ask at the same time, and all of them wait for the answer', async () => {
    const { time, state, reads, current } = setUp();
    await current();
    time.advance(CONFIRMED_SECONDS);
    state.text = 'second';
    const gate = createDeferred();
    state.before = () => gate.promise;
    const asked = [current(), current()];
    await settle();
    asked.push(current());
    gate.resolve();
    expect(await Promise.all(asked)).toEqual([inForce('second'), inForce('second'), inForce('second')]);
    expect(reads).toHaveLength(2);
  });

  it('is read again after the clock was set back', async () => {
    const { time, state, current } = setUp();
    await current();
    state.text = 'second';
    time.advance(-3600);
    expect(await current()).toEqual(inForce('second'));
  });
});

describe('a broken version', () => {
  it('is refused and told once, and the last good one stays in force', async () => {
    const { time, state, told, current } = setUp();
    await current();
    state.text = 'broken';
    for (let look = 0; look < 3; look++) {
      time.advance(CONFIRMED_SECONDS);
      expect(await current()).toEqual(inForce('first'));
    }
    expect(told.slice(2)).toEqual(['refused broken: line 1: broken', 'degraded', 'degraded', 'degraded']);
  });

  it('keeps the last good one for as long as it stands: reading it is no outage', async () => {
    const { time, state, current } = setUp();
    await current();
    state.text = 'broken';
    for (let passed = 0; passed < 2 * UNREAD_SECONDS; passed += CONFIRMED_SECONDS) {
      time.advance(CONFIRMED_SECONDS);
      expect(await current()).toEqual(inForce('first'));
    }
  });

  it('gives way to the next good one, also to the one before it', async () => {
    const { time, state, told, current } = setUp();
    await current();
    for (const text of ['broken', 'first', 'broken', 'second']) {
      state.text = text;
      time.advance(CONFIRMED_SECONDS);
      await current();
    }
    expect(await current()).toEqual(inForce('second'));
    expect(told.at(-1)).toBe('ok');
  });

  it('is also one that the program stumbles over; nothing of its text is told', async () => {
    const { time, state, told, current } = setUp();
    await current();
    state.text = 'throws';
    time.advance(CONFIRMED_SECONDS);
    expect(await current()).toEqual(inForce('first'));
    expect(told.join()).toContain('TypeError');
    expect(told.join()).not.toContain('a secret of the text');
  });

  it('at the start serves nobody, until it is mended', async () => {
    const { time, state, told, current } = setUp('broken');
    expect(await current()).toEqual({ ok: false, why: 'broken' });
    expect(told).toEqual(['refused broken: line 1: broken', 'down']);
    time.advance(CONFIRMED_SECONDS);
    state.text = 'mended';
    expect(await current()).toEqual(inForce('mended'));
  });
});

describe('a policy that cannot be read', () => {
  it('serves on until it is unread for 5 minutes, then nobody is served', async () => {
    const { time, state, told, current } = setUp();
    await current();
    state.fault = gone;
    time.advance(UNREAD_SECONDS - 0.001);
    expect(await current()).toEqual(inForce('first'));
    expect(told.slice(2)).toEqual(['unread', 'degraded']);
    time.advance(PAUSE_SECONDS);
    expect(await current()).toEqual({ ok: false, why: 'unread', error: gone });
    expect(told.at(-1)).toBe('down');
    expect(UNREAD_SECONDS).toBe(300);
  });

  it('turns from good to unread on the second, though nobody read in between', async () => {
    const { time, state, current } = setUp();
    await current();
    state.fault = gone;
    time.advance(UNREAD_SECONDS - 1);
    await current();
    time.advance(1);
    expect(await current()).toMatchObject({ ok: false, why: 'unread' });
  });

  it('serves again as soon as it is read', async () => {
    const { time, state, current } = setUp();
    await current();
    state.fault = gone;
    time.advance(2 * UNREAD_SECONDS);
    await current();
    state.fault = undefined;
    state.text = 'second';
    time.advance(PAUSE_SECONDS);
    expect(await current()).toEqual(inForce('second'));
  });

  it('is tried again after a pause, not at every request', async () => {
    const { time, state, reads, current } = setUp();
    await current();
    state.fault = gone;
    time.advance(CONFIRMED_SECONDS);
    await current();
    await current();
    time.advance(PAUSE_SECONDS - 0.001);
    await current();
    expect(reads).toHaveLength(2);
    time.advance(0.001);
    await current();
    expect(reads).toHaveLength(3);
  });

  it('at the start serves nobody, and is tried again', async () => {
    const { time, state, current } = setUp();
    state.fault = gone;
    expect(await current()).toEqual({ ok: false, why: 'never_read', error: gone });
    expect(await current()).toEqual({ ok: false, why: 'never_read', error: gone });
    state.fault = undefined;
    time.advance(PAUSE_SECONDS);
    expect(await current()).toEqual(inForce('first'));
  });
});
