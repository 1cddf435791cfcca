import { describe, expect, it } from 'vitest';
import { BrokerError } from '../../src/errors.ts';
import { aCaller, anEndpoint, aPolicy, upstream } from '../support/builders.ts';
import { createMemoryBroker } from '../support/memory-broker.ts';
import { rejectionOf } from '../support/ports.ts';

const request = { caller: aCaller(), correlationId: 'correlation-1', minRemainingSeconds: undefined };
const tokenTarget = (endpoint: string) => ({ kind: 'endpointToken', workspace: 'prod', endpoint }) as const;

describe('an endpoint token', () => {
  it('comes with where and how to use it', async () => {
    const broker = createMemoryBroker();
    const answer = await broker.issueEndpointToken({ ...request, target: tokenTarget('fraud-aml') });
    expect(answer).toEqual({
      accessToken: broker.machineLearning.issued[0]?.accessToken,
      tokenType: 'Bearer',
      expiresOn: broker.time.in(3600),
      refreshBy: broker.time.in(1800),
      scoringUri: anEndpoint().scoringUri,
      authMode: 'aml_token',
      stale: false,
    });
    expect(broker.records()).toEqual([
      expect.objectContaining({ target: 'prod/fraud-aml token', identity: 'reader', expiresOn: answer.expiresOn }),
    ]);
  });

  it('P4: says stale while Azure ML is out of reach, and 503 once the token has expired', async () => {
    const broker = createMemoryBroker();
    const ask = () => broker.issueEndpointToken({ ...request, target: tokenTarget('fraud-aml') });
    const { accessToken } = await ask();
    broker.machineLearning.fault = upstream('unavailable');
    broker.time.advance(1800);
    expect(await ask()).toMatchObject({ accessToken, stale: true });
    broker.time.advance(1800);
    expect(await rejectionOf(ask())).toMatchObject({ code: 'upstream_unavailable' });
  });

  it.each([
    ['key', 'fraud-scorer', /\/key route/],
    ['aad_token', 'fraud-aad', /add identity:/],
  ])('is wrong_auth_mode for an endpoint in %s mode, with what to do', async (authMode, endpoint, detail) => {
    const broker = createMemoryBroker();
    const error = await rejectionOf(broker.issueEndpointToken({ ...request, target: tokenTarget(endpoint) }));
    expect(error).toMatchObject({
      code: 'wrong_auth_mode',
      detail: expect.stringMatching(detail),
      members: { authMode },
    });
    expect(broker.machineLearning.calls).toEqual([`getEndpoint ${endpoint}`]);
    expect(broker.records()).toEqual([expect.objectContaining({ decision: 'refused', code: 'wrong_auth_mode' })]);
  });

  it('of an endpoint that does not exist gets the answer of one that is not granted', async () => {
    const broker = createMemoryBroker();
    const missing = await rejectionOf(broker.issueEndpointToken({ ...request, target: tokenTarget('fraud-none') }));
    const foreign = await rejectionOf(broker.issueEndpointToken({ ...request, target: tokenTarget('churn-aml') }));
    if (!(missing instanceof BrokerError) || !(foreign instanceof BrokerError)) throw new Error('not a BrokerError');
    const outside = ({ code, detail, members, retryAfterSeconds }: BrokerError) => ({
      code,
      detail,
      members,
      retryAfterSeconds,
    });
    expect(outside(missing)).toEqual(outside(foreign));
    expect(missing.code).toBe('not_granted');
    expect(broker.records().map(({ reason }) => reason)).toEqual(['no_such_endpoint', 'no_grant_for_target']);
  });

  it('of a workspace that no identity fetches for is not granted', async () => {
    const broker = createMemoryBroker(
      aPolicy({
        grants: {
          lost: {
            caller: { issuer: 'contoso', class: 'app' },
            allow: [{ endpointToken: 'lost/*' }],
            maxLifetime: '25h',
          },
        },
      }),
    );
    const target = { kind: 'endpointToken', workspace: 'lost', endpoint: 'fraud-aml' } as const;
    expect(await rejectionOf(broker.issueEndpointToken({ ...request, target }))).toMatchObject({ code: 'not_granted' });
    expect(broker.machineLearning.calls).toEqual([]);
  });

  it('P5: for 100 concurrent callers costs one look, one getToken and few audit writes', async () => {
    const broker = createMemoryBroker();
    await Promise.all(
      Array.from({ length: 100 }, () => broker.issueEndpointToken({ ...request, target: tokenTarget('fraud-aml') })),
    );
    expect(broker.machineLearning.calls).toEqual(['getEndpoint fraud-aml', 'getToken fraud-aml']);
    expect(broker.records()).toHaveLength(100);
    expect(broker.audit.attempts.length).toBeLessThan(5);
  });

  it('tells a caller who wants more life than there is, how much there is', async () => {
    const broker = createMemoryBroker();
    const error = await rejectionOf(
      broker.issueEndpointToken({ ...request, minRemainingSeconds: 3601, target: tokenTarget('fraud-aml') }),
    );
    expect(error).toMatchObject({ code: 'insufficient_lifetime', members: { secondsAvailable: 3600 } });
  });
});
