import { describe, expect, it } from 'vitest';
import { createEndpointCatalogue } from '../../src/freshness/endpoint-catalogue.ts';
import { createEndpointTokens } from '../../src/freshness/endpoint-tokens.ts';
import { createRefresh } from '../../src/freshness/refresh.ts';
import { compileGrants } from '../../src/grants/compile.ts';
import { aFetchedWorkspace, anEndpoint, aPolicy, upstream } from '../support/builders.ts';
import { createMovableClock } from '../support/clock.ts';
import { createFakeMachineLearning, createLogSpy, createMemoryTokenStore } from '../support/ports.ts';

const prod = aFetchedWorkspace('prod');
const dev = aFetchedWorkspace('dev');
const caller = { issuer: 'contoso', class: 'app' };
const grants = compileGrants(
  aPolicy({
    grants: {
      frauds: { caller, allow: [{ endpointToken: 'prod/fraud-*' }, { endpointToken: 'dev/*' }], maxLifetime: '25h' },
      keys: { caller, allow: [{ endpointKey: 'prod/pricing' }], maxLifetime: '25h' },
      parked: { caller, allow: [{ endpointToken: 'prod/parked-*' }], maxLifetime: '25h', suspended: true },
    },
  }),
);

function setUp() {
  const time = createMovableClock();
  const { clock } = time;
  const machineLearning = createFakeMachineLearning(clock);
  const store = createMemoryTokenStore();
  const { log, lines } = createLogSpy();
  const catalogue = createEndpointCatalogue({ machineLearning, store, clock, log, lookSeconds: 10 });
  const tokens = createEndpointTokens({ machineLearning, store, clock, log, refreshAheadSeconds: 300 });
  const refresh = createRefresh({ workspaces: [prod, dev], grants, catalogue, tokens, log });
  const tokenCalls = () => machineLearning.calls.filter((call) => call.startsWith('getToken'));
  return { time, machineLearning, store, lines, tokens, refresh, tokenCalls };
}

describe('refresh', () => {
  it('obtains a token for each endpoint in aml_token mode that a grant in force reaches, and for no other', async () => {
    const { refresh, machineLearning, tokenCalls } = setUp();
    machineLearning.endpoints.set('ml-prod', [
      anEndpoint({ name: 'fraud-aml' }),
      anEndpoint({ name: 'fraud-scorer', authMode: 'key' }),
      anEndpoint({ name: 'fraud-aad', authMode: 'aad_token' }),
      anEndpoint({ name: 'churn-aml' }),
      anEndpoint({ name: 'parked-aml' }),
    ]);
    machineLearning.endpoints.set('ml-dev', [anEndpoint({ name: 'dev-aml' }, dev)]);
    expect(await refresh()).toEqual({ refreshed: 2, failed: 0 });
    expect(tokenCalls()).toEqual(['getToken fraud-aml', 'getToken dev-aml']);
  });

  it('P5: does nothing in further rounds until a token is due, then obtains one', async () => {
    const { refresh, machineLearning, time, tokenCalls } = setUp();
    machineLearning.endpoints.set('ml-prod', [anEndpoint()]);
    await refresh();
    time.advance(1499);
    expect(await refresh()).toEqual({ refreshed: 0, failed: 0 });
    expect(tokenCalls()).toHaveLength(1);
    time.advance(1);
    expect(await refresh()).toEqual({ refreshed: 1, failed: 0 });
    expect(tokenCalls()).toHaveLength(2);
  });

  it('P4: with a round in time, a caller never waits for Azure ML and is never handed a stale token', async () => {
    const { refresh, machineLearning, time, tokens, tokenCalls } = setUp();
    const endpoint = anEndpoint();
    machineLearning.endpoints.set('ml-prod', [endpoint]);
    for (let round = 0; round < 60; round++) {
      await refresh();
      const before = tokenCalls().length;
      const { token, stale } = await tokens.current(prod, endpoint);
      expect(stale).toBe(false);
      expect(time.clock() < token.refreshBy).toBe(true);
      expect(tokenCalls()).toHaveLength(before);
      time.advance(240);
    }
    // Four hours of rounds every 240 s; a token is due 1500 s after the one before it, so at every seventh round.
    expect(tokenCalls()).toHaveLength(9);
  });

  it('counts and logs an endpoint that fails, and looks after the others', async () => {
    const { refresh, machineLearning, lines, tokenCalls } = setUp();
    const names = Array.from({ length: 20 }, (_, index) => `fraud-${index}`);
    machineLearning.endpoints.set(
      'ml-prod',
      names.map((name) => anEndpoint({ name })),
    );
    machineLearning.tokenText = (name, serial) => {
      if (name === 'fraud-3') throw upstream('forbidden', { status: 403 });
      return `secret-token-${serial}`;
    };
    expect(await refresh()).toEqual({ refreshed: 19, failed: 1 });
    expect(tokenCalls()).toHaveLength(20);
    const failures = lines.filter((line) => line.includes('endpoint_token_not_refreshed'));
    expect(failures).toHaveLength(1);
    expect(failures[0]).toContain('fraud-3');
  });

  it('counts a workspace that cannot be listed, and looks after the others', async () => {
    const { refresh, machineLearning, lines } = setUp();
    machineLearning.endpoints.set('ml-dev', [anEndpoint({ name: 'dev-aml' }, dev)]);
    machineLearning.before = async () => {
      if (machineLearning.calls.at(-1) === 'listEndpoints ml-prod') throw upstream('forbidden', { status: 403 });
    };
    expect(await refresh()).toEqual({ refreshed: 1, failed: 1 });
    expect(lines.filter((line) => line.includes('endpoints_not_listed'))).toEqual([
      expect.stringContaining('"workspace":"prod"'),
    ]);
  });

  it('goes on with the endpoints it knows when a later list fails', async () => {
    const { refresh, machineLearning, time } = setUp();
    machineLearning.endpoints.set('ml-prod', [anEndpoint()]);
    await refresh();
    time.advance(1500);
    machineLearning.before = async () => {
      if (machineLearning.calls.at(-1)?.startsWith('listEndpoints')) throw upstream('unavailable');
    };
    expect(await refresh()).toEqual({ refreshed: 1, failed: 2 });
  });

  it('forgets an endpoint that is gone: its row is removed', async () => {
    const { refresh, machineLearning, store } = setUp();
    machineLearning.endpoints.set('ml-prod', [anEndpoint(), anEndpoint({ name: 'fraud-stays' })]);
    await refresh();
    expect(store.rows.size).toBe(2);
    machineLearning.endpoints.set('ml-prod', [anEndpoint({ name: 'fraud-stays' })]);
    expect(await refresh()).toEqual({ refreshed: 0, failed: 0 });
    expect([...store.rows.values()].map(({ endpoint }) => endpoint.name)).toEqual(['fraud-stays']);
  });

  it('forgets the token of an endpoint that changed to keys', async () => {
    const { refresh, machineLearning, store } = setUp();
    machineLearning.endpoints.set('ml-prod', [anEndpoint()]);
    await refresh();
    machineLearning.endpoints.set('ml-prod', [anEndpoint({ authMode: 'key' })]);
    await refresh();
    expect(store.rows.size).toBe(0);
  });

  it('keeps the row of an endpoint that was made anew, with the new one’s token', async () => {
    const { refresh, machineLearning, store } = setUp();
    machineLearning.endpoints.set('ml-prod', [anEndpoint()]);
    await refresh();
    const anew = anEndpoint({ createdAt: '2026-11-22T09:59:00.000Z' });
    machineLearning.endpoints.set('ml-prod', [anew]);
    expect(await refresh()).toEqual({ refreshed: 1, failed: 0 });
    expect([...store.rows.values()]).toEqual([
      expect.objectContaining({ endpoint: anew, token: machineLearning.issued[1] }),
    ]);
  });

  it('does not forget endpoints because a list failed', async () => {
    const { refresh, machineLearning, store } = setUp();
    machineLearning.endpoints.set('ml-prod', [anEndpoint()]);
    await refresh();
    machineLearning.fault = upstream('unavailable');
    await refresh();
    expect(store.rows.size).toBe(1);
  });

  it('goes on when the row of a gone endpoint cannot be removed', async () => {
    const { refresh, machineLearning, store, lines } = setUp();
    machineLearning.endpoints.set('ml-prod', [anEndpoint()]);
    await refresh();
    machineLearning.endpoints.set('ml-prod', []);
    machineLearning.endpoints.set('ml-dev', [anEndpoint({ name: 'dev-aml' }, dev)]);
    store.fault = upstream('unavailable', { service: 'token store' });
    expect(await refresh()).toEqual({ refreshed: 1, failed: 0 });
    expect(lines.join('\n')).toContain('token_store_remove_failed');
  });

  it('asks Azure ML for at most 8 tokens at once', async () => {
    const { refresh, machineLearning } = setUp();
    const names = Array.from({ length: 30 }, (_, index) => `fraud-${index}`);
    machineLearning.endpoints.set(
      'ml-prod',
      names.map((name) => anEndpoint({ name })),
    );
    let running = 0;
    let most = 0;
    machineLearning.before = async () => {
      running += 1;
      most = Math.max(most, running);
      await new Promise((resolve) => setImmediate(resolve));
      running -= 1;
    };
    expect(await refresh()).toEqual({ refreshed: 30, failed: 0 });
    expect(most).toBe(8);
  });

  it('P2: writes no token to the log', async () => {
    const { refresh, machineLearning, lines, time } = setUp();
    machineLearning.endpoints.set('ml-prod', [anEndpoint()]);
    await refresh();
    machineLearning.fault = upstream('unavailable');
    time.advance(1600);
    await refresh();
    expect(lines.length).toBeGreaterThan(2);
    expect(lines.join('\n')).not.toContain('secret-token');
  });
});
