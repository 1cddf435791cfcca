import { describe, expect, it } from 'vitest';
import { refuseToken } from '../../src/callers/bearer.ts';
import { createRateLimit, withRateLimit } from '../../src/callers/rate-limit.ts';
import { aCaller } from '../support/builders.ts';
import { createMovableClock } from '../support/clock.ts';

const limited = (retryAfterSeconds: number) =>
  expect.objectContaining({ name: 'BrokerError', code: 'rate_limited', status: 429, retryAfterSeconds });

function setUp(requestsPerMinute = 60) {
  const time = createMovableClock();
  const count = createRateLimit({ requestsPerMinute, clock: time.clock });
  const attempt = (caller = aCaller()): unknown => {
    try {
      return count(caller);
    } catch (error) {
      return error;
    }
  };
  const take = (requests: number, caller = aCaller()) => Array.from({ length: requests }, () => attempt(caller));
  return { time, attempt, take };
}

const none = (requests: number) => Array.from({ length: requests }, () => undefined);

describe('the rate of one caller', () => {
  it('allows a minute’s requests at once, and refuses the next with the seconds to wait', () => {
    const { attempt, take } = setUp(60);
    expect(take(60)).toEqual(none(60));
    expect(attempt()).toEqual(limited(1));
  });

  it('gives requests back evenly: after Retry-After there is one, and only one', () => {
    const { time, attempt, take } = setUp(6);
    take(6);
    expect(attempt()).toEqual(limited(10));
    time.advance(4);
    expect(attempt()).toEqual(limited(6));
    time.advance(6);
    expect(attempt()).toBeUndefined();
    expect(attempt()).toEqual(limited(10));
  });

  it('takes nothing for a refused request: who waits is served', () => {
    const { time, attempt, take } = setUp(60);
    take(1000);
    time.advance(1);
    expect(attempt()).toBeUndefined();
  });

  it('never saves up more than a minute’s', () => {
    const { time, attempt, take } = setUp(60);
    take(60);
    time.advance(3600);
    expect(take(60)).toEqual(none(60));
    expect(attempt()).toEqual(limited(1));
  });

  it('is the caller’s own: neither another subject nor the same subject of another issuer shares it', () => {
    const { attempt, take } = setUp(2);
    take(2);
    expect(attempt()).toEqual(limited(30));
    expect(attempt(aCaller({ subject: 'another' }))).toBeUndefined();
    expect(attempt(aCaller({ issuer: 'fabrikam' }))).toBeUndefined();
    expect(attempt()).toEqual(limited(30));
  });

  it('gives nothing for a clock that is set back', () => {
    const { time, attempt, take } = setUp(60);
    take(60);
    time.advance(-3600);
    expect(attempt()).toEqual(limited(1));
    time.advance(1);
    expect(attempt()).toBeUndefined();
  });
});

describe('a verifier with a rate', () => {
  it('counts verified callers alone: strangers cannot use up what is a caller’s', async () => {
    const { clock } = createMovableClock();
    const count = createRateLimit({ requestsPerMinute: 1, clock });
    const verify = withRateLimit(async (token) => {
      if (token === 'good') return aCaller();
      throw refuseToken('signature');
    }, count);
    for (let stranger = 0; stranger < 5; stranger++) {
      await expect(verify('bad')).rejects.toMatchObject({ code: 'invalid_token' });
    }
    expect(await verify('good')).toEqual(aCaller());
    await expect(verify('good')).rejects.toEqual(limited(60));
  });
});
