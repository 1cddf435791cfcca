import { describe, expect, it } from 'vitest';
import { BrokerError, type UpstreamKind } from '../../src/errors.ts';
import type { Endpoint } from '../../src/freshness/ports.ts';
import { createUseEndpoint } from '../../src/issuing/use-endpoint.ts';
import { aFetchedWorkspace, anEndpoint, upstream } from '../support/builders.ts';
import { rejectionOf } from '../support/ports.ts';

const prod = aFetchedWorkspace();
const fraud = anEndpoint();
const elsewhere = { key: 'Ask the /key route.', aad_token: 'Ask the /token route.' };

/** What the first look and the look afterwards find; a look that throws stands for Azure ML that cannot be asked. */
function setUp({ first, now }: { first?: Endpoint | undefined; now?: () => Promise<Endpoint | undefined> }) {
  const looks: string[] = [];
  const used: Endpoint[] = [];
  const useEndpoint = createUseEndpoint(new Map([['prod', prod]]), {
    async look(from, name, when) {
      looks.push([from.name, name, when ?? 'any'].join(' '));
      return when === 'now' ? now?.() : first;
    },
  });
  const ask = (fault?: Error, workspace = 'prod') =>
    useEndpoint({
      workspace,
      endpoint: 'fraud-aml',
      serves: ['aml_token'],
      elsewhere,
      async use(from, endpoint) {
        expect(from).toBe(prod);
        used.push(endpoint);
        if (fault !== undefined) throw fault;
        return 'used';
      },
    });
  return { ask, looks, used };
}

describe('the use of an endpoint', () => {
  it('gets the endpoint as it was last seen, and its result is handed on', async () => {
    const { ask, looks, used } = setUp({ first: fraud });
    expect(await ask()).toBe('used');
    expect(used).toEqual([fraud]);
    expect(looks).toEqual(['prod fraud-aml any']);
  });

  it('is not_granted, without use, where there is no such endpoint', async () => {
    const { ask, used } = setUp({});
    expect(await rejectionOf(ask())).toMatchObject({ code: 'not_granted', reason: 'no_such_endpoint' });
    expect(used).toEqual([]);
  });

  it('is not_granted, without a look, in a workspace that nobody fetches for', async () => {
    const { ask, looks } = setUp({ first: fraud });
    expect(await rejectionOf(ask(undefined, 'lost'))).toMatchObject({
      code: 'not_granted',
      reason: 'no_such_endpoint',
    });
    expect(looks).toEqual([]);
  });

  it.each(['key', 'aad_token'] as const)('is wrong_auth_mode, without use, in %s mode', async (authMode) => {
    const { ask, used } = setUp({ first: { ...fraud, authMode } });
    expect(await rejectionOf(ask())).toMatchObject({
      code: 'wrong_auth_mode',
      detail: elsewhere[authMode],
      members: { authMode },
    });
    expect(used).toEqual([]);
  });
});

const mayHaveChanged: UpstreamKind[] = ['not_found', 'conflict', 'unexpected'];

describe('a use that Azure ML refuses', () => {
  it.each(mayHaveChanged)('with %s leads to one look at the endpoint of now: deleted is not_granted', async (kind) => {
    const { ask, looks, used } = setUp({ first: fraud, now: async () => undefined });
    expect(await rejectionOf(ask(upstream(kind)))).toMatchObject({ code: 'not_granted', reason: 'no_such_endpoint' });
    expect(looks).toEqual(['prod fraud-aml any', 'prod fraud-aml now']);
    expect(used).toHaveLength(1);
  });

  it.each(mayHaveChanged)('with %s is wrong_auth_mode where the endpoint has another mode now', async (kind) => {
    const { ask, looks } = setUp({ first: fraud, now: async () => ({ ...fraud, authMode: 'key' }) });
    expect(await rejectionOf(ask(upstream(kind)))).toMatchObject({
      code: 'wrong_auth_mode',
      detail: elsewhere.key,
      members: { authMode: 'key' },
    });
    expect(looks).toHaveLength(2);
  });

  it.each(mayHaveChanged)('with %s is told as it is where the endpoint has not changed', async (kind) => {
    const { ask, looks, used } = setUp({ first: fraud, now: async () => fraud });
    const refusal = upstream(kind);
    expect(await rejectionOf(ask(refusal))).toBe(refusal);
    expect(looks).toHaveLength(2);
    expect(used).toHaveLength(1);
  });

  it.each([
    ...(['forbidden', 'credential_refused', 'throttled', 'unavailable'] as const).map((kind) => upstream(kind)),
    new BrokerError('unexpected_upstream_answer', { reason: 'endpoint_token_already_expired' }),
    new TypeError('a bug'),
  ])('for another reason is told without a second look (%s)', async (failure) => {
    const { ask, looks } = setUp({ first: fraud, now: async () => undefined });
    expect(await rejectionOf(ask(failure))).toBe(failure);
    expect(looks).toHaveLength(1);
  });

  it('is the failure of the second look where that one fails', async () => {
    const failure = upstream('unavailable');
    const { ask } = setUp({ first: fraud, now: () => Promise.reject(failure) });
    expect(await rejectionOf(ask(upstream('not_found')))).toBe(failure);
  });
});
