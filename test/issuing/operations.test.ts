import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { BrokerError } from '../../src/errors.ts';
import { createMemoryBroker, scopes } from '../support/memory-broker.ts';
import { aCaller, anEndpoint, aPolicy, upstream } from '../support/builders.ts';
import { createDeferred, rejectionOf, settle } from '../support/ports.ts';

type Broker = ReturnType<typeof createMemoryBroker>;

const request = { caller: aCaller(), correlationId: 'correlation-1', minRemainingSeconds: undefined };
const workspaceTarget = { kind: 'workspaceToken', workspace: 'prod', audience: 'aml' } as const;
const tokenTarget = (endpoint: string) => ({ kind: 'endpointToken', workspace: 'prod', endpoint }) as const;
const keyTarget = (endpoint: string) => ({ kind: 'endpointKey', workspace: 'prod', endpoint }) as const;

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');

const operations: [string, (broker: Broker) => Promise<object>][] = [
  ['a workspace token', (broker) => broker.issueWorkspaceToken({ ...request, target: workspaceTarget })],
  ['an endpoint token', (broker) => broker.issueEndpointToken({ ...request, target: tokenTarget('fraud-aml') })],
  ['an endpoint key', (broker) => broker.issueEndpointKey({ ...request, target: keyTarget('fraud-scorer') })],
];

const strangers: [string, (broker: Broker) => Promise<object>][] = [
  [
    'a workspace token of another audience',
    (broker) => broker.issueWorkspaceToken({ ...request, target: { ...workspaceTarget, audience: 'arm' } }),
  ],
  [
    'a workspace token of another workspace',
    (broker) => broker.issueWorkspaceToken({ ...request, target: { ...workspaceTarget, workspace: 'dev' } }),
  ],
  [
    'a token of an endpoint outside',
    (broker) => broker.issueEndpointToken({ ...request, target: tokenTarget('churn-aml') }),
  ],
  ['a key of an endpoint outside', (broker) => broker.issueEndpointKey({ ...request, target: keyTarget('churn-aml') })],
];

describe('every operation', () => {
  it.each(operations)('P1: issues %s with a grant, and records it', async (_what, operate) => {
    const broker = createMemoryBroker();
    await operate(broker);
    expect(broker.records()).toEqual([
      expect.objectContaining({ decision: 'issued', grant: 'checkout-uses-fraud', correlationId: 'correlation-1' }),
    ]);
  });

  it.each(strangers)('P1: refuses %s of the grant, obtains nothing and records it', async (_what, operate) => {
    const broker = createMemoryBroker();
    expect(await rejectionOf(operate(broker))).toMatchObject({ code: 'not_granted' });
    expect(broker.machineLearning.calls).toEqual([]);
    expect(broker.entra.calls).toEqual([]);
    expect(broker.records()).toEqual([expect.objectContaining({ decision: 'refused', code: 'not_granted' })]);
  });

  it.each(operations)('P1: gives out no %s when no audit store accepts', async (_what, operate) => {
    const broker = createMemoryBroker();
    broker.audit.fault = upstream('unavailable', { service: 'audit store' });
    const error = await rejectionOf(operate(broker));
    expect(error).toMatchObject({ code: 'audit_unavailable', retryAfterSeconds: 10 });
    expect(JSON.stringify(error)).not.toContain('secret-token');
    expect(broker.records()).toEqual([]);
  });

  it.each(operations)('P1: gives out %s only after the audit store has accepted the record', async (_what, operate) => {
    const broker = createMemoryBroker();
    const gate = createDeferred();
    broker.audit.before = () => gate.promise;
    let released = false;
    const answer = operate(broker).then(() => {
      released = true;
    });
    await settle();
    expect(broker.audit.attempts).toEqual([1]);
    expect(released).toBe(false);
    gate.resolve();
    await answer;
    expect(released).toBe(true);
  });

  it.each(operations)('P1: refuses %s to a caller who is cut off', async (_what, operate) => {
    const broker = createMemoryBroker(aPolicy({ deny: [{ issuer: 'contoso', class: 'app' }] }));
    expect(await rejectionOf(operate(broker))).toMatchObject({ code: 'caller_denied' });
    expect(broker.machineLearning.calls).toEqual([]);
  });

  it.each(operations)('P2: leaves no trace of %s in the log or the audit', async (_what, operate) => {
    const broker = createMemoryBroker();
    const answer = await operate(broker);
    const secret = 'accessToken' in answer ? answer.accessToken : 'key' in answer ? answer.key : undefined;
    if (typeof secret !== 'string') throw new Error('the answer has no secret to look for');
    expect(broker.records()).toHaveLength(1);
    expect(JSON.stringify(broker.records())).not.toContain(secret);
    expect(JSON.stringify(broker.records())).toContain(sha256(secret));
    expect(broker.lines.join('\n')).not.toContain(secret);
  });
});

describe('a workspace token', () => {
  it.each(['aml', 'arm'] as const)(
    'P3: is asked for with the exact scope of %s, through the grant’s identity',
    async (audience) => {
      const broker = createMemoryBroker(
        aPolicy({
          grants: {
            both: {
              caller: { issuer: 'contoso', class: 'app' },
              allow: [
                { workspace: 'prod', audience: 'aml', identity: 'trainer' },
                { workspace: 'prod', audience: 'arm', identity: 'trainer' },
              ],
              maxLifetime: '25h',
            },
          },
        }),
      );
      const answer = await broker.issueWorkspaceToken({ ...request, target: { ...workspaceTarget, audience } });
      expect(broker.entra.calls).toEqual([`trainer ${scopes[audience]}`]);
      expect(answer).toEqual({
        accessToken: broker.entra.issued[0]?.accessToken,
        tokenType: 'Bearer',
        expiresOn: broker.time.in(3600),
        refreshBy: broker.time.in(1800),
        audience,
        identity: 'trainer',
      });
      expect(broker.records()).toEqual([
        expect.objectContaining({ target: `prod ${audience} token`, identity: 'trainer', expiresOn: answer.expiresOn }),
      ]);
    },
  );

  it('P3: is never obtained through a fetch identity, even if the policy said so', async () => {
    const broker = createMemoryBroker(
      aPolicy({
        grants: {
          wrong: {
            caller: { issuer: 'contoso', class: 'app' },
            allow: [{ workspace: 'prod', audience: 'aml', identity: 'reader' }],
            maxLifetime: '25h',
          },
        },
      }),
    );
    const error = await rejectionOf(broker.issueWorkspaceToken({ ...request, target: workspaceTarget }));
    expect(error).toMatchObject({ code: 'internal_error' });
    expect(broker.entra.calls).toEqual([]);
    expect(broker.records()).toEqual([]);
  });

  it('P7: is identity_not_ready when Entra refuses the identity', async () => {
    const broker = createMemoryBroker();
    broker.entra.fault = upstream('credential_refused', { service: 'entra' });
    expect(await rejectionOf(broker.issueWorkspaceToken({ ...request, target: workspaceTarget }))).toMatchObject({
      code: 'identity_not_ready',
    });
  });
});

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
    ['aad_token', 'fraud-aad', /not yet/],
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
      expect.objectContaining({ target: 'prod/fraud-scorer key', tokenSha256: sha256('primary-key-of-fraud-scorer') }),
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
