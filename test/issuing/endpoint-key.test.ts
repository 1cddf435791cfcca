import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { createIssueEndpointKey } from '../../src/issuing/endpoint-key.ts';
import { createUseEndpoint } from '../../src/issuing/use-endpoint.ts';
import type { FindKeyInUse } from '../../src/rotation/key-in-use.ts';
import { aCaller, aFetchedWorkspace, anEndpoint, aPolicy, upstream } from '../support/builders.ts';
import { createMemoryBroker } from '../support/memory-broker.ts';
import { createFakeMachineLearning, rejectionOf } from '../support/ports.ts';
import { setUp } from './issue-in-memory.ts';

const request = { caller: aCaller(), correlationId: 'correlation-1', minRemainingSeconds: undefined };
const keyTarget = (endpoint: string) => ({ kind: 'endpointKey', workspace: 'prod', endpoint }) as const;

describe('an endpoint key', () => {
  it('is the primary one, and only that', async () => {
    const broker = createMemoryBroker();
    const answer = await broker.issueEndpointKey({ ...request, target: keyTarget('fraud-scorer') });
    expect(answer).toEqual({
      key: 'primary-key-of-fraud-scorer',
      keyName: 'primary',
      validUntil: null,
      scoringUri: anEndpoint({ name: 'fraud-scorer' }).scoringUri,
    });
    expect(JSON.stringify(answer)).not.toContain('secondary');
    expect(broker.records()).toEqual([
      expect.objectContaining({
        target: 'prod/fraud-scorer key',
        tokenSha256: createHash('sha256').update('primary-key-of-fraud-scorer').digest('hex'),
      }),
    ]);
  });

  it('is read from Azure ML each time and held nowhere', async () => {
    const broker = createMemoryBroker();
    await broker.issueEndpointKey({ ...request, target: keyTarget('fraud-scorer') });
    await broker.issueEndpointKey({ ...request, target: keyTarget('fraud-scorer') });
    expect(broker.machineLearning.calls).toEqual([
      'getEndpoint fraud-scorer',
      'listKeys fraud-scorer',
      'listKeys fraud-scorer',
    ]);
    expect(broker.store.calls).toEqual([]);
  });

  it.each([
    ['aml_token', 'fraud-aml'],
    ['aad_token', 'fraud-aad'],
  ])('is wrong_auth_mode for an endpoint in %s mode, naming /token', async (authMode, endpoint) => {
    const broker = createMemoryBroker();
    const error = await rejectionOf(broker.issueEndpointKey({ ...request, target: keyTarget(endpoint) }));
    expect(error).toMatchObject({
      code: 'wrong_auth_mode',
      detail: expect.stringContaining('/token'),
      members: { authMode },
    });
    expect(broker.machineLearning.calls).toEqual([`getEndpoint ${endpoint}`]);
  });

  it('is not reached by a grant for the endpoint’s token', async () => {
    const broker = createMemoryBroker(
      aPolicy({
        grants: {
          scores: {
            caller: { issuer: 'contoso', class: 'app' },
            allow: [{ endpointToken: 'prod/fraud-*' }],
            maxLifetime: '25h',
          },
        },
      }),
    );
    expect(await rejectionOf(broker.issueEndpointKey({ ...request, target: keyTarget('fraud-scorer') }))).toMatchObject(
      { code: 'not_granted' },
    );
    expect(broker.machineLearning.calls).toEqual([]);
  });

  it('P7: is upstream_throttled with Azure’s Retry-After when Azure ML throttles', async () => {
    const broker = createMemoryBroker();
    await broker.issueEndpointKey({ ...request, target: keyTarget('fraud-scorer') });
    broker.machineLearning.fault = upstream('throttled', { retryAfterSeconds: 17 });
    expect(await rejectionOf(broker.issueEndpointKey({ ...request, target: keyTarget('fraud-scorer') }))).toMatchObject(
      { code: 'upstream_throttled', retryAfterSeconds: 17 },
    );
  });
});

describe('a key of an endpoint that may have a rotation', () => {
  const endpoint = anEndpoint({ name: 'fraud-scorer', authMode: 'key' });
  const validUntil = new Date('2026-12-23T10:00:00.000Z');

  function issuing(findKeyInUse: FindKeyInUse) {
    const { issue, time, audit } = setUp();
    const machineLearning = createFakeMachineLearning(time.clock);
    const useEndpoint = createUseEndpoint(new Map([['prod', aFetchedWorkspace()]]), { look: async () => endpoint });
    const issueKey = createIssueEndpointKey({ issue, useEndpoint, machineLearning, findKeyInUse });
    return { ask: () => issueKey({ ...request, target: keyTarget('fraud-scorer') }), machineLearning, audit };
  }

  it.each(['primary', 'secondary'] as const)(
    'R2: is the one in use (%s), with the time until which it works',
    async (keyName) => {
      const asked: unknown[] = [];
      const { ask, audit } = issuing(async (one) => {
        asked.push(one);
        return { keyName, validUntil };
      });
      const key = `${keyName}-key-of-fraud-scorer`;
      expect(await ask()).toEqual({ key, keyName, validUntil, scoringUri: endpoint.scoringUri });
      expect(asked).toEqual([endpoint]);
      expect(audit.records).toMatchObject([{ tokenSha256: createHash('sha256').update(key).digest('hex') }]);
    },
  );

  it('is primary without a time where no rotation is of it', async () => {
    const { ask } = issuing(async () => undefined);
    expect(await ask()).toMatchObject({ keyName: 'primary', validUntil: null });
  });

  it('P7: is upstream_unavailable where it is not known which one is in use: neither is handed out', async () => {
    const { ask, machineLearning, audit } = issuing(() => Promise.reject(upstream('unavailable')));
    expect(await rejectionOf(ask())).toMatchObject({ code: 'upstream_unavailable', retryAfterSeconds: 10 });
    expect(machineLearning.calls).toEqual([]);
    expect(audit.records).toEqual([]);
  });
});
