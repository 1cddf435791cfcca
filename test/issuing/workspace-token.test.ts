import { describe, expect, it } from 'vitest';
import { aCaller, aPolicy, upstream } from '../support/builders.ts';
import { createMemoryBroker, scopes } from '../support/memory-broker.ts';
import { rejectionOf } from '../support/ports.ts';

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
