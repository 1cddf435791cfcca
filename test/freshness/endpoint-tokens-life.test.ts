import { describe, expect, it } from 'vitest';
import type { UpstreamKind } from '../../src/errors.ts';
import { aJwt, anEndpoint, upstream } from '../support/builders.ts';
import { rejectionOf } from '../support/ports.ts';
import { endpoint, from, setUp } from './endpoint-tokens-in-memory.ts';

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

  it('keeps a caller without a valid token waiting for as long as Azure said, and no longer', async () => {
    const { tokens, machineLearning, time } = setUp();
    await tokens.current(from, endpoint);
    machineLearning.fault = upstream('throttled', { retryAfterSeconds: 3600 });
    time.advance(1800);
    await tokens.current(from, endpoint);
    machineLearning.fault = undefined;
    time.advance(1800);
    expect(await rejectionOf(tokens.current(from, endpoint))).toMatchObject({
      kind: 'throttled',
      retryAfterSeconds: 1800,
    });
    expect(countOf(machineLearning)).toBe(2);
    time.advance(1800);
    expect(await tokens.current(from, endpoint)).toEqual({ token: machineLearning.issued[1], stale: false });
  });

  it('does not keep a caller without a valid token waiting where Azure named no time', async () => {
    const { tokens, machineLearning } = setUp();
    machineLearning.fault = upstream('unavailable');
    await rejectionOf(tokens.current(from, endpoint));
    machineLearning.fault = undefined;
    expect(await tokens.current(from, endpoint)).toMatchObject({ stale: false });
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
    machineLearning.fault = upstream('throttled');
    await rejectionOf(tokens.current(from, endpoint));
    machineLearning.fault = undefined;
    await tokens.current(from, endpoint);
    time.advance(10);
    expect(await tokens.current(from, endpoint)).toEqual({ token: machineLearning.issued[1], stale: false });
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
