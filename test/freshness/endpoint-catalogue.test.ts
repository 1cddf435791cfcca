import { describe, expect, it } from 'vitest';
import type { UpstreamKind } from '../../src/errors.ts';
import { createEndpointCatalogue } from '../../src/freshness/endpoint-catalogue.ts';
import { aFetchedWorkspace, anEndpoint, anEndpointToken, upstream } from '../support/builders.ts';
import { createMovableClock } from '../support/clock.ts';
import { createFakeMachineLearning, createLogSpy, createMemoryTokenStore, rejectionOf } from '../support/ports.ts';

const from = aFetchedWorkspace();
const fraud = anEndpoint();
const LOOK_SECONDS = 10;

function setUp() {
  const time = createMovableClock();
  const machineLearning = createFakeMachineLearning(time.clock);
  machineLearning.endpoints.set('ml-prod', [fraud]);
  const store = createMemoryTokenStore();
  const { log, lines } = createLogSpy();
  const start = () =>
    createEndpointCatalogue({ machineLearning, store, clock: time.clock, log, lookSeconds: LOOK_SECONDS });
  return { time, machineLearning, store, lines, start, catalogue: start() };
}

describe('look', () => {
  it('asks Azure ML once and uses the description until it is lookSeconds old', async () => {
    const { catalogue, machineLearning, time } = setUp();
    expect(await catalogue.look(from, 'fraud-aml')).toEqual(fraud);
    time.advance(LOOK_SECONDS - 0.001);
    expect(await catalogue.look(from, 'fraud-aml')).toEqual(fraud);
    expect(machineLearning.calls).toEqual(['getEndpoint fraud-aml']);
    time.advance(0.001);
    await catalogue.look(from, 'fraud-aml');
    expect(machineLearning.calls).toEqual(['getEndpoint fraud-aml', 'getEndpoint fraud-aml']);
  });

  it('sees a changed authentication mode once lookSeconds have passed', async () => {
    const { catalogue, machineLearning, time } = setUp();
    await catalogue.look(from, 'fraud-aml');
    machineLearning.endpoints.set('ml-prod', [{ ...fraud, authMode: 'key' }]);
    time.advance(LOOK_SECONDS);
    expect(await catalogue.look(from, 'fraud-aml')).toMatchObject({ authMode: 'key' });
  });

  it('P5: costs one call for any number of concurrent callers', async () => {
    const { catalogue, machineLearning } = setUp();
    const looks = await Promise.all(Array.from({ length: 100 }, () => catalogue.look(from, 'fraud-aml')));
    expect(looks).toEqual(Array.from({ length: 100 }, () => fraud));
    expect(machineLearning.calls).toEqual(['getEndpoint fraud-aml']);
  });

  it('remembers for lookSeconds that there is no such endpoint', async () => {
    const { catalogue, machineLearning, time } = setUp();
    const born = anEndpoint({ name: 'fraud-new' });
    expect(await catalogue.look(from, 'fraud-new')).toBeUndefined();
    machineLearning.endpoints.set('ml-prod', [fraud, born]);
    expect(await catalogue.look(from, 'fraud-new')).toBeUndefined();
    expect(machineLearning.calls).toHaveLength(1);
    time.advance(LOOK_SECONDS);
    expect(await catalogue.look(from, 'fraud-new')).toEqual(born);
  });

  it('keeps endpoints of the same name in two workspaces apart', async () => {
    const { catalogue, machineLearning } = setUp();
    const dev = aFetchedWorkspace('dev');
    const ofDev = anEndpoint({ scoringUri: 'https://dev.example/score' }, dev);
    machineLearning.endpoints.set('ml-dev', [ofDev]);
    expect(await catalogue.look(from, 'fraud-aml')).toEqual(fraud);
    expect(await catalogue.look(dev, 'fraud-aml')).toEqual(ofDev);
  });

  it.each<UpstreamKind>(['unavailable', 'throttled'])(
    'serves the last known description while Azure ML is out of reach (%s), and says so in the log',
    async (kind) => {
      const { catalogue, machineLearning, time, lines } = setUp();
      await catalogue.look(from, 'fraud-aml');
      machineLearning.fault = upstream(kind);
      time.advance(24 * 3600);
      expect(await catalogue.look(from, 'fraud-aml')).toEqual(fraud);
      expect(lines.join('\n')).toContain('endpoint_look_failed');
    },
  );

  it('serves the description sealed with the stored token when this instance knows none', async () => {
    const { catalogue, machineLearning, store } = setUp();
    await store.write({ endpoint: fraud, identity: 'reader', token: anEndpointToken() });
    machineLearning.fault = upstream('unavailable');
    expect(await catalogue.look(from, 'fraud-aml')).toEqual(fraud);
  });

  it('does not take the stored description of another identity', async () => {
    const { catalogue, machineLearning, store } = setUp();
    await store.write({ endpoint: fraud, identity: 'other-reader', token: anEndpointToken() });
    machineLearning.fault = upstream('unavailable');
    expect(await rejectionOf(catalogue.look(from, 'fraud-aml'))).toBe(machineLearning.fault);
  });

  it('tells the failure when nothing is known, even while the store is down too', async () => {
    const { catalogue, machineLearning, store, lines } = setUp();
    machineLearning.fault = upstream('unavailable');
    expect(await rejectionOf(catalogue.look(from, 'fraud-aml'))).toBe(machineLearning.fault);
    store.fault = upstream('unavailable', { service: 'token store' });
    expect(await rejectionOf(catalogue.look(from, 'fraud-aml'))).toBe(machineLearning.fault);
    expect(lines.join('\n')).toContain('token_store_read_failed');
  });

  it('never claims that an endpoint is gone because Azure ML was out of reach', async () => {
    const { catalogue, machineLearning } = setUp();
    machineLearning.fault = upstream('unavailable');
    await rejectionOf(catalogue.look(from, 'fraud-aml'));
    machineLearning.fault = undefined;
    expect(await catalogue.look(from, 'fraud-aml')).toEqual(fraud);
  });

  it.each<UpstreamKind>(['forbidden', 'credential_refused', 'unexpected', 'conflict'])(
    'does not swallow %s, even when a description is known',
    async (kind) => {
      const { catalogue, machineLearning, time, store } = setUp();
      await catalogue.look(from, 'fraud-aml');
      await store.write({ endpoint: fraud, identity: 'reader', token: anEndpointToken() });
      time.advance(LOOK_SECONDS);
      machineLearning.fault = upstream(kind);
      expect(await rejectionOf(catalogue.look(from, 'fraud-aml'))).toBe(machineLearning.fault);
    },
  );

  it('does not swallow a fault of our own', async () => {
    const { catalogue, machineLearning, time } = setUp();
    await catalogue.look(from, 'fraud-aml');
    time.advance(LOOK_SECONDS);
    machineLearning.fault = new TypeError('a bug');
    expect(await rejectionOf(catalogue.look(from, 'fraud-aml'))).toBe(machineLearning.fault);
  });
});

describe('relist', () => {
  it('spares a look at each endpoint that it saw', async () => {
    const { catalogue, machineLearning } = setUp();
    expect(await catalogue.relist(from)).toEqual([fraud]);
    expect(await catalogue.look(from, 'fraud-aml')).toEqual(fraud);
    expect(machineLearning.calls).toEqual(['listEndpoints ml-prod']);
  });

  it('remembers at once which endpoints are gone', async () => {
    const { catalogue, machineLearning } = setUp();
    await catalogue.relist(from);
    machineLearning.endpoints.set('ml-prod', []);
    expect(await catalogue.relist(from)).toEqual([]);
    expect(await catalogue.look(from, 'fraud-aml')).toBeUndefined();
    expect(machineLearning.calls).toEqual(['listEndpoints ml-prod', 'listEndpoints ml-prod']);
  });

  it('sees one that was made anew under its name', async () => {
    const { catalogue, machineLearning } = setUp();
    await catalogue.relist(from);
    machineLearning.endpoints.set('ml-prod', [{ ...fraud, createdAt: '2026-11-22T09:59:00.000Z' }]);
    await catalogue.relist(from);
    expect(await catalogue.look(from, 'fraud-aml')).toMatchObject({ createdAt: '2026-11-22T09:59:00.000Z' });
  });

  it('is one call for concurrent callers of a workspace, and fails for all of them', async () => {
    const { catalogue, machineLearning } = setUp();
    await Promise.all([catalogue.relist(from), catalogue.relist(from), catalogue.list(from)]);
    expect(machineLearning.calls).toHaveLength(1);
    machineLearning.fault = upstream('unavailable');
    const both = await Promise.all([catalogue.relist(from), catalogue.relist(from)].map(rejectionOf));
    expect(both).toEqual([machineLearning.fault, machineLearning.fault]);
    expect(machineLearning.calls).toHaveLength(2);
  });

  it('a failed one forgets nothing', async () => {
    const { catalogue, machineLearning } = setUp();
    await catalogue.relist(from);
    machineLearning.fault = upstream('unavailable');
    await rejectionOf(catalogue.relist(from));
    expect(await catalogue.list(from)).toEqual([fraud]);
    expect(await catalogue.look(from, 'fraud-aml')).toEqual(fraud);
  });
});

describe('look now', () => {
  it('asks Azure ML whatever is remembered, and remembers the answer', async () => {
    const { catalogue, machineLearning } = setUp();
    await catalogue.look(from, 'fraud-aml');
    const changed = { ...fraud, authMode: 'key' } as const;
    machineLearning.endpoints.set('ml-prod', [changed]);
    expect(await catalogue.look(from, 'fraud-aml')).toEqual(fraud);
    expect(await catalogue.look(from, 'fraud-aml', 'now')).toEqual(changed);
    expect(await catalogue.look(from, 'fraud-aml')).toEqual(changed);
    expect(machineLearning.calls).toHaveLength(2);
  });

  it('finds that an endpoint is gone', async () => {
    const { catalogue, machineLearning } = setUp();
    await catalogue.relist(from);
    machineLearning.endpoints.set('ml-prod', []);
    expect(await catalogue.look(from, 'fraud-aml', 'now')).toBeUndefined();
    expect(await catalogue.look(from, 'fraud-aml')).toBeUndefined();
    expect(machineLearning.calls).toEqual(['listEndpoints ml-prod', 'getEndpoint fraud-aml']);
  });

  it('P5: is one call for concurrent callers', async () => {
    const { catalogue, machineLearning } = setUp();
    await Promise.all(Array.from({ length: 20 }, () => catalogue.look(from, 'fraud-aml', 'now')));
    expect(machineLearning.calls).toHaveLength(1);
  });
});

describe('a look while Azure ML is out of reach', () => {
  it.each([
    ['5 seconds', undefined, 5],
    ['5 seconds, where Azure says less', 2, 5],
    ['as long as Azure says', 60, 60],
  ])('is not repeated for %s', async (_what, retryAfterSeconds, pause) => {
    const { catalogue, machineLearning, time } = setUp();
    await catalogue.look(from, 'fraud-aml');
    time.advance(LOOK_SECONDS);
    machineLearning.fault = upstream('throttled', { retryAfterSeconds });
    for (const _caller of [1, 2, 3]) expect(await catalogue.look(from, 'fraud-aml')).toEqual(fraud);
    time.advance(pause - 0.001);
    await catalogue.look(from, 'fraud-aml');
    expect(machineLearning.calls).toHaveLength(2);
    time.advance(0.001);
    machineLearning.fault = undefined;
    machineLearning.endpoints.set('ml-prod', []);
    expect(await catalogue.look(from, 'fraud-aml')).toBeUndefined();
    expect(machineLearning.calls).toHaveLength(3);
  });

  it('is not repeated for 5 seconds where the description comes from the store', async () => {
    const { catalogue, machineLearning, store } = setUp();
    await store.write({ endpoint: fraud, identity: 'reader', token: anEndpointToken() });
    machineLearning.fault = upstream('unavailable');
    for (const _caller of [1, 2, 3]) expect(await catalogue.look(from, 'fraud-aml')).toEqual(fraud);
    expect(machineLearning.calls).toHaveLength(1);
    expect(store.calls).toEqual(['write', 'read']);
  });
});

describe('list', () => {
  it('reads once where this instance never has, then tells what was last seen for lookSeconds', async () => {
    const { catalogue, machineLearning, time } = setUp();
    expect(await catalogue.list(from)).toEqual([fraud]);
    machineLearning.endpoints.set('ml-prod', []);
    time.advance(LOOK_SECONDS - 0.001);
    expect(await catalogue.list(from)).toEqual([fraud]);
    expect(machineLearning.calls).toEqual(['listEndpoints ml-prod']);
    time.advance(0.001);
    expect(await catalogue.list(from)).toEqual([]);
    expect(machineLearning.calls).toEqual(['listEndpoints ml-prod', 'listEndpoints ml-prod']);
  });

  it('is as fresh as the timer’s last round', async () => {
    const { catalogue, machineLearning, time } = setUp();
    await catalogue.list(from);
    machineLearning.endpoints.set('ml-prod', []);
    time.advance(LOOK_SECONDS - 1);
    await catalogue.relist(from);
    time.advance(LOOK_SECONDS - 1);
    expect(await catalogue.list(from)).toEqual([]);
    expect(machineLearning.calls).toHaveLength(2);
  });

  it('P5: reads again once for concurrent callers', async () => {
    const { catalogue, machineLearning, time } = setUp();
    await catalogue.list(from);
    time.advance(LOOK_SECONDS);
    await Promise.all(Array.from({ length: 20 }, () => catalogue.list(from)));
    expect(machineLearning.calls).toHaveLength(2);
  });

  it.each([
    ['unavailable', undefined, 5],
    ['throttled', 60, 60],
  ] as const)(
    'tells the last known while Azure ML is %s, and asks again after the pause',
    async (kind, told, pause) => {
      const { catalogue, machineLearning, time, lines } = setUp();
      await catalogue.list(from);
      time.advance(LOOK_SECONDS);
      machineLearning.fault = upstream(kind, { retryAfterSeconds: told });
      for (const _caller of [1, 2, 3]) expect(await catalogue.list(from)).toEqual([fraud]);
      expect(machineLearning.calls).toHaveLength(2);
      expect(lines).toEqual([expect.stringMatching(/^warn .*"endpoints_not_listed".*"prod"/)]);
      machineLearning.fault = undefined;
      machineLearning.endpoints.set('ml-prod', []);
      time.advance(pause - 0.001);
      expect(await catalogue.list(from)).toEqual([fraud]);
      time.advance(0.001);
      expect(await catalogue.list(from)).toEqual([]);
    },
  );

  it('tells the failure where nothing is known', async () => {
    const { catalogue, machineLearning } = setUp();
    machineLearning.fault = upstream('unavailable');
    expect(await rejectionOf(catalogue.list(from))).toBe(machineLearning.fault);
  });

  it.each<UpstreamKind>(['forbidden', 'credential_refused', 'not_found', 'unexpected'])(
    'does not swallow %s, even when a list is known',
    async (kind) => {
      const { catalogue, machineLearning, time } = setUp();
      await catalogue.list(from);
      time.advance(LOOK_SECONDS);
      machineLearning.fault = upstream(kind);
      expect(await rejectionOf(catalogue.list(from))).toBe(machineLearning.fault);
    },
  );
});
