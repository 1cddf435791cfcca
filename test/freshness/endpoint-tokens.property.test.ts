import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { addSeconds } from '../../src/clock.ts';
import { UpstreamError, type UpstreamKind } from '../../src/errors.ts';
import { createEndpointTokens, refreshDueAt, type ServedToken } from '../../src/freshness/endpoint-tokens.ts';
import type { Endpoint, EndpointToken } from '../../src/freshness/ports.ts';
import { aFetchedWorkspace, anEndpoint, anEndpointToken, upstream } from '../support/builders.ts';
import { createMovableClock } from '../support/clock.ts';
import { createFakeMachineLearning, createLogSpy, createMemoryTokenStore } from '../support/ports.ts';

const from = aFetchedWorkspace();
const AHEAD_SECONDS = 300;

/** Two instances that share a store and Azure ML, with what the promises say about them checked at every step. */
function createWorld(storeNeverFails: boolean) {
  const time = createMovableClock();
  const { clock } = time;
  const machineLearning = createFakeMachineLearning(clock);
  const store = createMemoryTokenStore();
  const { log } = createLogSpy();
  const start = () => createEndpointTokens({ machineLearning, store, clock, log, refreshAheadSeconds: AHEAD_SECONDS });
  const instances = [start(), start()];
  let endpoint: Endpoint = anEndpoint();
  /** The incarnation of the endpoint that each token was issued for. */
  const issuedFor = new Map<string, string>();
  let lastOfIncarnation: EndpointToken | undefined;
  /** Azure ML was out of reach, and nobody needs to have tried again before this instant. */
  let mayBePausedUntil = clock();

  const { getToken } = machineLearning;
  machineLearning.getToken = async (workspace, name) => {
    try {
      const token = await getToken(workspace, name);
      if (storeNeverFails && lastOfIncarnation !== undefined) {
        // P5: no token is asked for before the one before it is due, whichever instance got that.
        expect(clock() >= refreshDueAt(lastOfIncarnation, AHEAD_SECONDS)).toBe(true);
      }
      issuedFor.set(token.accessToken, endpoint.createdAt);
      lastOfIncarnation = token;
      return token;
    } catch (error) {
      if (error instanceof UpstreamError && error.outOfReach) {
        const pause = Math.max(5, error.retryAfterSeconds ?? 0);
        const until = addSeconds(clock(), pause);
        if (until > mayBePausedUntil) mayBePausedUntil = until;
      }
      throw error;
    }
  };

  const checkServed = ({ token, stale }: ServedToken) => {
    const now = clock();
    expect(issuedFor.get(token.accessToken)).toBe(endpoint.createdAt);
    expect(now < token.expiresOn).toBe(true);
    expect(stale).toBe(now >= token.refreshBy);
    if (stale) expect(now < mayBePausedUntil).toBe(true);
  };

  /** What Azure ML says now, or what it said while the time that it named has not passed. */
  const checkRefused = (reason: unknown) => {
    if (reason === machineLearning.fault) return;
    expect(reason).toMatchObject({ name: 'UpstreamError', retryAfterSeconds: expect.any(Number) });
    expect(clock() < mayBePausedUntil).toBe(true);
  };

  return {
    wait: (seconds: number) => time.advance(seconds),
    setAzure(kind: UpstreamKind | undefined, retryAfterSeconds: number | undefined) {
      machineLearning.fault = kind === undefined ? undefined : upstream(kind, { retryAfterSeconds });
    },
    setStore(down: boolean) {
      if (!storeNeverFails) store.fault = down ? upstream('unavailable', { service: 'token store' }) : undefined;
    },
    recreate() {
      endpoint = anEndpoint({ createdAt: clock().toISOString() });
      lastOfIncarnation = undefined;
    },
    restart(instance: number) {
      instances[instance] = start();
    },
    setLife(tokenSeconds: number) {
      machineLearning.tokenSeconds = tokenSeconds;
      machineLearning.refreshAfterSeconds = tokenSeconds / 2;
    },
    async ask(instance: number, callers: number) {
      const calls = machineLearning.calls.length;
      const outcomes = await Promise.allSettled(
        Array.from({ length: callers }, () => instances[instance]?.current(from, endpoint)),
      );
      expect(machineLearning.calls.length - calls).toBeLessThanOrEqual(1);
      for (const outcome of outcomes) {
        if (outcome.status === 'fulfilled' && outcome.value !== undefined) checkServed(outcome.value);
        else if (outcome.status === 'rejected') checkRefused(outcome.reason);
      }
    },
    async tick(instance: number) {
      const calls = machineLearning.calls.length;
      const [outcome] = await Promise.allSettled([instances[instance]?.refreshIfDue(from, endpoint)]);
      expect(machineLearning.calls.length - calls).toBeLessThanOrEqual(1);
      if (outcome.status === 'rejected') expect(outcome.reason).toBe(machineLearning.fault);
    },
  };
}

type World = ReturnType<typeof createWorld>;
type Step = (world: World) => Promise<void> | void;

const instance = fc.nat({ max: 1 });
const kinds = ['unavailable', 'throttled', 'forbidden', 'credential_refused', 'unexpected'] as const;

/** Each step prints as what it does, so that a failing run can be read. */
function step<T>(what: string, values: fc.Arbitrary<T>, act: (value: T) => Step): fc.Arbitrary<Step> {
  return values.map((value) =>
    Object.assign(act(value), { [fc.toStringMethod]: () => `${what} ${fc.stringify(value)}` }),
  );
}

const steps = fc.array(
  fc.oneof(
    { weight: 5, arbitrary: step('wait', fc.integer({ min: 1, max: 2400 }), (s) => (world) => world.wait(s)) },
    { weight: 1, arbitrary: step('wait', fc.integer({ min: 1, max: 50_000 }), (s) => (world) => world.wait(s)) },
    {
      weight: 8,
      arbitrary: step(
        'ask',
        fc.tuple(instance, fc.integer({ min: 1, max: 4 })),
        ([of, callers]) =>
          (world) =>
            world.ask(of, callers),
      ),
    },
    { weight: 4, arbitrary: step('tick', instance, (of) => (world) => world.tick(of)) },
    {
      weight: 3,
      arbitrary: step(
        'azure',
        fc.tuple(fc.option(fc.constantFrom(...kinds), { nil: undefined }), fc.constantFrom(undefined, 1, 60, 1200)),
        ([kind, retryAfter]) =>
          (world) =>
            world.setAzure(kind, retryAfter),
      ),
    },
    { weight: 2, arbitrary: step('store down', fc.boolean(), (down) => (world) => world.setStore(down)) },
    { weight: 1, arbitrary: step('recreate', fc.constant(0), () => (world) => world.recreate()) },
    { weight: 1, arbitrary: step('restart', instance, (of) => (world) => world.restart(of)) },
    {
      weight: 1,
      arbitrary: step('life', fc.constantFrom(60, 3600, 86_400), (seconds) => (world) => world.setLife(seconds)),
    },
  ),
  { minLength: 5, maxLength: 40 },
);

describe('endpoint tokens over any course of time, faults and restarts', () => {
  it.each([
    [
      'P4, P5: while the store works, each refresh costs one call over all instances, and all that is served is fresh',
      true,
    ],
    [
      'P4, P5: while the store fails now and then, all that is served is fresh, at one call for concurrent callers',
      false,
    ],
  ])('%s', async (_what, storeNeverFails) => {
    await fc.assert(
      fc.asyncProperty(steps, async (course) => {
        const world = createWorld(storeNeverFails);
        for (const act of course) await act(world);
      }),
      { numRuns: 300 },
    );
  });
});

describe('endpoint tokens in any order in which the store and Azure ML answer', () => {
  it('P4, P5: concurrent callers and timers cost at most one call and an older row never wins', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.scheduler(),
        fc.array(fc.constantFrom('ask', 'tick', 'another instance writes'), { minLength: 2, maxLength: 8 }),
        fc.boolean(),
        async (scheduler, actions, rowIsOlder) => {
          const time = createMovableClock();
          const { clock } = time;
          const endpoint = anEndpoint();
          const machineLearning = createFakeMachineLearning(clock);
          const store = createMemoryTokenStore();
          const { log } = createLogSpy();
          const tokens = createEndpointTokens({ machineLearning, store, clock, log, refreshAheadSeconds: 300 });
          await tokens.current(from, endpoint);
          time.advance(1800);
          machineLearning.calls.length = 0;
          machineLearning.before = () => scheduler.schedule(Promise.resolve(), 'Azure ML answers');
          // The row is as it was when the store looked, however late its answer comes.
          const { read } = store;
          store.read = async (...key) => {
            const row = await read(...key);
            await scheduler.schedule(Promise.resolve(), 'the store answers');
            return row;
          };

          const obtainedAt = addSeconds(clock(), rowIsOlder ? -2400 : -60);
          const foreign = anEndpointToken({ accessToken: 'of another instance', obtainedAt });
          const served: ServedToken[] = [];
          const act = async (action: (typeof actions)[number]) => {
            await scheduler.schedule(Promise.resolve(), action);
            if (action === 'ask') served.push(await tokens.current(from, endpoint));
            else if (action === 'tick') await tokens.refreshIfDue(from, endpoint);
            else store.rows.set(`${endpoint.id} reader`, { endpoint, identity: 'reader', token: foreign });
          };
          const all = Promise.all(actions.map(act));
          await scheduler.waitFor(all);
          await all;

          expect(machineLearning.calls.length).toBeLessThanOrEqual(1);
          for (const { token, stale } of served) {
            expect(stale).toBe(false);
            expect(clock() < token.refreshBy).toBe(true);
          }
          // What memory holds in the end is the newest of what was obtained here and what was served.
          store.read = async () => undefined;
          machineLearning.before = async () => undefined;
          machineLearning.fault = upstream('unavailable');
          const seen = [...machineLearning.issued, ...served.map(({ token }) => token)];
          const newest = Math.max(...seen.map(({ refreshBy }) => refreshBy.getTime()));
          const { token } = await tokens.current(from, endpoint);
          expect(token.refreshBy.getTime()).toBeGreaterThanOrEqual(newest);
        },
      ),
      { numRuns: 200 },
    );
  });
});
