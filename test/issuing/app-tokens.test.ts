import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { secondsBetween } from '../../src/clock.ts';
import { createAppTokens, type ObtainedToken } from '../../src/issuing/app-tokens.ts';
import { upstream } from '../support/builders.ts';
import { createMovableClock } from '../support/clock.ts';
import { createDeferred, createLogSpy, rejectionOf, settle } from '../support/ports.ts';

const AML = 'https://ml.azure.com/.default';
const ARM = 'https://management.azure.com/.default';

interface FakeEntra {
  /** Thrown while it is set. */
  fault: Error | undefined;
  lifeSeconds: number;
  refreshAfterSeconds: number | undefined;
  /** Awaited before each answer. */
  before: () => Promise<unknown>;
  /** A platform's cache: the same answer again while it is set. */
  cached: ObtainedToken | undefined;
}

/** Entra gives tokens of one hour without `refresh_in`, unless told otherwise. */
function setUp(identities: readonly string[] = ['trainer', 'deployer']) {
  const time = createMovableClock();
  const { log, lines } = createLogSpy();
  const calls: string[] = [];
  const entra: FakeEntra = {
    fault: undefined,
    lifeSeconds: 3600,
    refreshAfterSeconds: undefined,
    before: async () => undefined,
    cached: undefined,
  };
  const appToken = createAppTokens({
    identities,
    clock: time.clock,
    log,
    async obtain(identity, scope) {
      calls.push(`${identity} ${scope}`);
      await entra.before();
      if (entra.fault !== undefined) throw entra.fault;
      return (
        entra.cached ?? {
          accessToken: `secret-token-${calls.length} for ${identity} ${scope}`,
          expiresOn: time.in(entra.lifeSeconds),
          refreshBy: entra.refreshAfterSeconds === undefined ? undefined : time.in(entra.refreshAfterSeconds),
        }
      );
    },
  });
  return { time, entra, appToken, calls, lines };
}

describe('the cache of app tokens', () => {
  it('asks once for each identity and exact scope', async () => {
    const { appToken, calls } = setUp();
    const tokens = [
      await appToken('trainer', AML),
      await appToken('trainer', ARM),
      await appToken('deployer', AML),
      await appToken('trainer', `${AML}x`),
    ];
    expect(new Set(tokens.map(({ accessToken }) => accessToken)).size).toBe(4);
    expect(await appToken('trainer', AML)).toEqual(tokens[0]);
    expect(calls).toEqual([`trainer ${AML}`, `trainer ${ARM}`, `deployer ${AML}`, `trainer ${AML}x`]);
  });

  it('P5: has one request in flight for 50 concurrent callers', async () => {
    const { appToken, calls, entra } = setUp();
    const gate = createDeferred();
    entra.before = () => gate.promise;
    const callers = Array.from({ length: 50 }, () => appToken('trainer', AML));
    await settle();
    gate.resolve();
    const tokens = await Promise.all(callers);
    expect(calls).toHaveLength(1);
    expect(new Set(tokens.map(({ accessToken }) => accessToken)).size).toBe(1);
  });

  it('P5: has one request in flight for 50 concurrent callers at the renewal', async () => {
    const { appToken, calls, time } = setUp();
    await appToken('trainer', AML);
    time.advance(1800);
    await Promise.all(Array.from({ length: 50 }, () => appToken('trainer', AML)));
    expect(calls).toHaveLength(2);
  });

  it.each(['reader', '', 'TRAINER', '__proto__', 'constructor'])(
    'P3: refuses the identity %j, which is not of its use, without asking Azure',
    async (identity) => {
      const { appToken, calls } = setUp();
      expect(await rejectionOf(appToken(identity, AML))).toMatchObject({ code: 'internal_error' });
      expect(calls).toEqual([]);
    },
  );
});

describe('renewal', () => {
  it('is at the middle of the life where Azure names no time', async () => {
    const { appToken, calls, time } = setUp();
    const first = await appToken('trainer', AML);
    expect(first.refreshBy).toEqual(time.in(1800));
    time.advance(1799.999);
    expect(await appToken('trainer', AML)).toEqual(first);
    time.advance(0.001);
    expect((await appToken('trainer', AML)).accessToken).not.toBe(first.accessToken);
    expect(calls).toHaveLength(2);
  });

  it('is when Azure says', async () => {
    const { appToken, calls, entra, time } = setUp();
    entra.refreshAfterSeconds = 600;
    expect((await appToken('trainer', AML)).refreshBy).toEqual(time.in(600));
    time.advance(599);
    await appToken('trainer', AML);
    expect(calls).toHaveLength(1);
    time.advance(1);
    await appToken('trainer', AML);
    expect(calls).toHaveLength(2);
  });

  it.each([
    ['before now', -1],
    ['now', 0],
    ['at the end of the life', 3600],
    ['after the end of the life', 4000],
  ])('does not believe a time that is %s', async (_what, refreshAfterSeconds) => {
    const { appToken, entra, time } = setUp();
    entra.refreshAfterSeconds = refreshAfterSeconds;
    expect((await appToken('trainer', AML)).refreshBy).toEqual(time.in(1800));
  });

  it('a platform cache that answers with the same token keeps refreshBy ahead of now, until the end', async () => {
    const { appToken, calls, entra, time } = setUp();
    entra.cached = { accessToken: 'secret-cached', expiresOn: time.in(86_400), refreshBy: time.in(43_200) };
    const { expiresOn } = entra.cached;
    let asked = 0;
    while (secondsBetween(time.clock(), expiresOn) > 60) {
      const token = await appToken('trainer', AML);
      expect(time.clock() < token.refreshBy).toBe(true);
      expect(token.refreshBy < expiresOn).toBe(true);
      asked += 1;
      time.advance(Math.max(secondsBetween(time.clock(), token.refreshBy), 1));
    }
    // Half of what is left each time: a dozen tries for a day, not one for each caller.
    expect(asked).toBeLessThan(15);
    expect(calls.length).toBe(asked);
  });

  it('that fails leaves the token in hand in service, pauses 30 seconds, and then tries again', async () => {
    const { appToken, calls, entra, time, lines } = setUp();
    const first = await appToken('trainer', AML);
    time.advance(1800);
    entra.fault = upstream('unavailable', { service: 'entra' });
    const served = await appToken('trainer', AML);
    expect(served).toEqual({ ...first, refreshBy: time.in(30), stale: true });
    expect(lines.join('\n')).toContain('app_token_not_renewed');
    time.advance(29.999);
    expect((await appToken('trainer', AML)).accessToken).toBe(first.accessToken);
    expect(calls).toHaveLength(2);
    time.advance(0.001);
    entra.fault = undefined;
    expect((await appToken('trainer', AML)).accessToken).not.toBe(first.accessToken);
    expect(calls).toHaveLength(3);
  });

  it('that fails with less than 30 seconds left is told: nothing near its end is handed out', async () => {
    const { appToken, entra, time } = setUp();
    await appToken('trainer', AML);
    time.advance(3571);
    entra.fault = upstream('unavailable', { service: 'entra' });
    expect(await rejectionOf(appToken('trainer', AML))).toBe(entra.fault);
  });

  it('is due with 30 seconds left, whatever refreshBy says', async () => {
    const { appToken, calls, entra, time } = setUp();
    entra.lifeSeconds = 100;
    entra.refreshAfterSeconds = 95;
    const first = await appToken('trainer', AML);
    time.advance(69.999);
    expect(await appToken('trainer', AML)).toEqual(first);
    time.advance(0.001);
    expect((await appToken('trainer', AML)).accessToken).not.toBe(first.accessToken);
    expect(calls).toHaveLength(2);
  });

  it('that fails near the end keeps the token in hand for no longer than it has 30 seconds left', async () => {
    const { appToken, calls, entra, time } = setUp();
    const first = await appToken('trainer', AML);
    time.advance(3560);
    entra.fault = upstream('unavailable', { service: 'entra' });
    expect(await appToken('trainer', AML)).toEqual({ ...first, refreshBy: time.in(10), stale: true });
    time.advance(9.999);
    expect(await appToken('trainer', AML)).toMatchObject({ accessToken: first.accessToken });
    time.advance(0.001);
    expect(await rejectionOf(appToken('trainer', AML))).toBe(entra.fault);
    expect(calls).toHaveLength(3);
  });

  it('that fails so slowly that less than 30 seconds are left is told', async () => {
    const { appToken, entra, time } = setUp();
    await appToken('trainer', AML);
    time.advance(3561);
    entra.fault = upstream('unavailable', { service: 'entra' });
    entra.before = async () => time.advance(9);
    expect(await rejectionOf(appToken('trainer', AML))).toBe(entra.fault);
  });

  it('never hands out an expired token', async () => {
    const { appToken, entra, time } = setUp();
    await appToken('trainer', AML);
    time.advance(3600);
    entra.fault = upstream('unavailable', { service: 'entra' });
    expect(await rejectionOf(appToken('trainer', AML))).toBe(entra.fault);
  });

  it('refuses a token that Azure gave already expired, when there is none in hand', async () => {
    const { appToken, entra } = setUp();
    entra.lifeSeconds = 0;
    expect(await rejectionOf(appToken('trainer', AML))).toMatchObject({
      code: 'unexpected_upstream_answer',
      reason: 'app_token_already_expired',
    });
  });

  it('tells the first failure as it is, and forgets it', async () => {
    const { appToken, entra } = setUp();
    entra.fault = upstream('credential_refused', { service: 'entra', upstreamCode: 'AADSTS7000215' });
    expect(await rejectionOf(appToken('trainer', AML))).toBe(entra.fault);
    entra.fault = undefined;
    expect(await appToken('trainer', AML)).toMatchObject({ accessToken: expect.any(String) });
  });

  it('a failure for one scope leaves the other alone', async () => {
    const { appToken, entra, time } = setUp();
    const arm = await appToken('trainer', ARM);
    entra.fault = upstream('unavailable');
    expect(await rejectionOf(appToken('trainer', AML))).toBe(entra.fault);
    time.advance(60);
    expect(await appToken('trainer', ARM)).toEqual(arm);
  });

  it('P2: writes no token to the log', async () => {
    const { appToken, entra, time, lines } = setUp();
    await appToken('trainer', AML);
    time.advance(1800);
    entra.fault = upstream('unavailable');
    await appToken('trainer', AML);
    expect(lines).toHaveLength(1);
    expect(lines.join('\n')).not.toContain('secret-token');
  });

  it('over any course of time and faults, nothing with 30 seconds left or less is handed out and one asking costs one call at most', async () => {
    const steps = fc.array(
      fc.record({
        waitSeconds: fc.integer({ min: 0, max: 2500 }),
        fails: fc.boolean(),
        callers: fc.integer({ min: 1, max: 4 }),
        lifeSeconds: fc.constantFrom(60, 3600, 86_400),
      }),
      { minLength: 1, maxLength: 30 },
    );
    await fc.assert(
      fc.asyncProperty(steps, async (course) => {
        const { appToken, calls, entra, time } = setUp();
        for (const { waitSeconds, fails, callers, lifeSeconds } of course) {
          time.advance(waitSeconds);
          entra.fault = fails ? upstream('unavailable') : undefined;
          entra.lifeSeconds = lifeSeconds;
          const before = calls.length;
          const asked = await Promise.allSettled(Array.from({ length: callers }, () => appToken('trainer', AML)));
          expect(calls.length - before).toBeLessThanOrEqual(1);
          for (const outcome of asked) {
            if (outcome.status === 'rejected') expect(outcome.reason).toBe(entra.fault);
            else {
              expect(secondsBetween(time.clock(), outcome.value.expiresOn)).toBeGreaterThan(30);
              expect(time.clock() < outcome.value.refreshBy).toBe(true);
              expect(outcome.value.refreshBy <= outcome.value.expiresOn).toBe(true);
            }
          }
        }
      }),
      { numRuns: 200 },
    );
  });
});
