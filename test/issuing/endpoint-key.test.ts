import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { aCaller, anEndpoint, aPolicy, upstream } from '../support/builders.ts';
import { createMemoryBroker } from '../support/memory-broker.ts';
import { rejectionOf } from '../support/ports.ts';

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
