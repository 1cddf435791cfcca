import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { aCaller, aPolicy, upstream } from '../support/builders.ts';
import { createMemoryBroker } from '../support/memory-broker.ts';
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
    'a workspace token for an audience that is not granted',
    (broker) => broker.issueWorkspaceToken({ ...request, target: { ...workspaceTarget, audience: 'arm' } }),
  ],
  [
    'a workspace token of a workspace that is not granted',
    (broker) => broker.issueWorkspaceToken({ ...request, target: { ...workspaceTarget, workspace: 'dev' } }),
  ],
  [
    'a token of an endpoint that is not granted',
    (broker) => broker.issueEndpointToken({ ...request, target: tokenTarget('churn-aml') }),
  ],
  [
    'a key of an endpoint that is not granted',
    (broker) => broker.issueEndpointKey({ ...request, target: keyTarget('churn-aml') }),
  ],
];

describe('every operation', () => {
  it.each(operations)('P1: issues %s with a grant, and records it', async (_what, operate) => {
    const broker = createMemoryBroker();
    await operate(broker);
    expect(broker.records()).toEqual([
      expect.objectContaining({ decision: 'issued', grant: 'checkout-uses-fraud', correlationId: 'correlation-1' }),
    ]);
  });

  it.each(strangers)('P1: refuses %s, obtains nothing and records it', async (_what, operate) => {
    const broker = createMemoryBroker();
    expect(await rejectionOf(operate(broker))).toMatchObject({ code: 'not_granted' });
    expect(broker.machineLearning.calls).toEqual([]);
    expect(broker.entra.calls).toEqual([]);
    expect(broker.records()).toEqual([expect.objectContaining({ decision: 'refused', code: 'not_granted' })]);
  });

  it.each(operations)('P1: does not give out %s when no audit store accepts', async (_what, operate) => {
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
