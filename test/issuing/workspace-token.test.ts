import { describe, expect, it } from 'vitest';
import { UserAssertion } from '../../src/callers/user-assertion.ts';
import { createIssueWorkspaceToken } from '../../src/issuing/workspace-token.ts';
import { aCaller, aPolicy, upstream } from '../support/builders.ts';
import { createMemoryBroker, scopes } from '../support/memory-broker.ts';
import { rejectionOf } from '../support/ports.ts';
import { setUp } from './issue-in-memory.ts';

const request = { caller: aCaller(), correlationId: 'correlation-1', minRemainingSeconds: undefined };
const workspaceTarget = { kind: 'workspaceToken', workspace: 'prod', audience: 'aml' } as const;

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

describe('a workspace token through an identity that acts for users', () => {
  const policy = aPolicy({
    grants: {
      people: {
        caller: { issuer: 'contoso', class: 'user' },
        allow: [{ workspace: 'prod', audience: 'aml', identity: 'user' }],
        maxLifetime: '90m',
      },
    },
  });
  const anna = aCaller({ class: 'user', objectId: 'anna', assertion: new UserAssertion('annas-own-token') });

  function asUser() {
    const { issue, audit, time, lines } = setUp(policy);
    const asked: unknown[] = [];
    const entra: { fault: Error | undefined } = { fault: undefined };
    const issueWorkspaceToken = createIssueWorkspaceToken({
      issue,
      scopes,
      actsForUsers: (identity) => identity === 'user',
      appToken: () => Promise.reject(new Error('no identity’s own token was granted')),
      async userToken(identity, scope, caller) {
        asked.push([identity, scope, caller.objectId, caller.assertion?.reveal()]);
        if (entra.fault !== undefined) throw entra.fault;
        return { accessToken: 'annas-ml-token', expiresOn: time.in(3600), refreshBy: time.in(1800) };
      },
    });
    const ask = (caller = anna) => issueWorkspaceToken({ ...request, caller, target: workspaceTarget });
    return { ask, asked, audit, entra, lines };
  }

  it('P3: is obtained with the calling user’s own token, and recorded as the user’s', async () => {
    const { ask, asked, audit } = asUser();
    expect(await ask()).toMatchObject({ accessToken: 'annas-ml-token', identity: 'user', audience: 'aml' });
    expect(asked).toEqual([['user', scopes.aml, 'anna', 'annas-own-token']]);
    expect(audit.records).toEqual([expect.objectContaining({ decision: 'issued', grant: 'people', identity: 'user' })]);
    expect(audit.records[0]?.caller).toMatchObject({ class: 'user', objectId: 'anna' });
  });

  it('P1: is not for an app', async () => {
    const { ask, asked } = asUser();
    expect(await rejectionOf(ask(aCaller()))).toMatchObject({ code: 'not_granted' });
    expect(asked).toEqual([]);
  });

  it.each([
    ['step_up_required', 'step_up_required'],
    ['user_refused', 'invalid_token'],
  ] as const)('P1: Entra’s refusal of the user (%s) is on record as a refusal: %s', async (kind, code) => {
    const { ask, entra, audit } = asUser();
    entra.fault = upstream(kind, { claims: '{"access_token":{}}' });
    expect(await rejectionOf(ask())).toMatchObject({ code, claims: '{"access_token":{}}' });
    expect(audit.records).toEqual([expect.objectContaining({ decision: 'refused', code, grant: 'people' })]);
  });

  it('P2: neither token reaches a record or a log', async () => {
    const { ask, entra, audit, lines } = asUser();
    await ask();
    entra.fault = upstream('user_refused');
    await rejectionOf(ask());
    expect(JSON.stringify([audit.records, lines])).not.toMatch(/annas-(own|ml)-token/);
  });
});
