import { describe, expect, it } from 'vitest';
import { createExchange, type ExchangeTarget } from '../../src/issuing/exchange.ts';
import { aCaller } from '../support/builders.ts';
import { createMovableClock } from '../support/clock.ts';

const caller = aCaller();
const found = { kind: 'workspaceToken', workspace: 'dev', audience: 'arm', identity: 'runner' } as const;

/** An exchange whose token has these seconds left and is to be refreshed after those; tells what was asked for. */
function setUp(leftSeconds: number, refreshSeconds: number, stale = false) {
  const time = createMovableClock();
  const asked: unknown[] = [];
  const token = {
    accessToken: 'token',
    tokenType: 'Bearer',
    expiresOn: time.in(leftSeconds),
    refreshBy: time.in(refreshSeconds),
  } as const;
  const exchange = createExchange({
    findByIdentity: () => ({ found: true, target: found }),
    issueWorkspaceToken: async (request) => {
      asked.push(request);
      return { ...token, audience: request.target.audience, identity: 'trainer' };
    },
    issueEndpointToken: async (request) => {
      asked.push(request);
      return { ...token, scoringUri: 'https://endpoint.example/score', authMode: 'aml_token', stale };
    },
    refuse: () => Promise.reject(new Error('nothing is refused here')),
    clock: time.clock,
  });
  return { asked, ask: (target: ExchangeTarget) => exchange({ caller, target, correlationId: 'correlation-1' }) };
}

const endpoint = { kind: 'endpoint', workspace: 'prod', endpoint: 'fraud-aml' } as const;
const workspace = { kind: 'workspace', workspace: 'prod', audience: 'aml' } as const;

describe('an exchange', () => {
  it.each([
    [workspace, { kind: 'workspaceToken', workspace: 'prod', audience: 'aml' }],
    [endpoint, { kind: 'endpointToken', workspace: 'prod', endpoint: 'fraud-aml' }],
    [{ kind: 'identity', tenantId: undefined, clientId: 'x', audience: 'arm', workspace: undefined } as const, found],
  ])('P1: issues %j by the operation of every route, for this caller and correlation id', async (target, expected) => {
    const { asked, ask } = setUp(3600, 1800);
    await ask(target);
    expect(asked).toEqual([
      { caller, correlationId: 'correlation-1', minRemainingSeconds: undefined, target: expected },
    ]);
  });

  it.each([
    ['whole seconds, rounded down', 3599.9, 1799.9, false, 3599, 1799],
    ['a refresh that is due, as soon as can be', 600, -5, false, 600, 1],
    ['a refresh before the end', 60, 60, false, 60, 59],
    ['a pause for a stale token', 600, -5, true, 600, 30],
    ['a shorter one for a stale token about to end', 20, -5, true, 20, 19],
    ['a token in its last second', 1.5, 1, false, 1, 1],
    ['nothing left, not less', -1, -2, false, 0, 1],
  ])('tells %s', async (_what, left, refresh, stale, expiresInSeconds, refreshInSeconds) => {
    const answer = await setUp(left, refresh, stale).ask(endpoint);
    expect(answer).toEqual({ accessToken: 'token', expiresInSeconds, refreshInSeconds, stale });
  });

  it('never calls a workspace’s token stale', async () => {
    expect(await setUp(600, 300, true).ask(workspace)).toMatchObject({ stale: false });
  });
});
