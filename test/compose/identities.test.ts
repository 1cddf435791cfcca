import { describe, expect, it } from 'vitest';
import * as azure from '../../src/azure/index.ts';
import { UserAssertion } from '../../src/callers/user-assertion.ts';
import type { Context } from '../../src/compose/context.ts';
import { buildIdentities } from '../../src/compose/identities.ts';
import { parsePolicy } from '../../src/config/policy.ts';
import { parseSettings } from '../../src/config/settings.ts';
import { aCaller, aJwt, tenantId, upstream } from '../support/builders.ts';
import { createMovableClock } from '../support/clock.ts';
import { createLogSpy, rejectionOf } from '../support/ports.ts';

const AML = 'https://ml.azure.com/.default';
const ARM = 'https://management.azure.com/.default';
const ids = {
  reader: 'c0000000-0000-4000-8000-000000000001',
  deployer: 'd0000000-0000-4000-8000-000000000002',
  user: 'b0000000-0000-4000-8000-000000000001',
};
const policyText = `
issuers: { contoso: { entraTenant: ${tenantId}, audience: ${ids.user} } }
identities:
  reader: { use: fetch, managedIdentity: { clientId: ${ids.reader} } }
  deployer: { use: issue, federated: { tenantId: ${tenantId}, clientId: ${ids.deployer}, managedIdentity: {} } }
  user: { use: issue, onBehalfOf: { tenantId: ${tenantId}, clientId: ${ids.user}, managedIdentity: {} } }
`;
const environment = {
  PUBLIC_URL: 'https://broker.example.com',
  KEY_VAULT_URL: 'https://vault.example.com',
  TOKEN_STORE_URL: 'https://store.example.com',
  AUDIT_STORE_URLS: 'https://audit.example.com',
};

/** The composition on an Azure that returns tokens with these claims, whoever asks. */
function setUp(claims: object) {
  const [settings, policy] = [parseSettings(environment), parsePolicy(policyText)];
  if (!settings.ok || !policy.ok) throw new Error('the test’s own settings or policy are broken');
  const { clock, in: later } = createMovableClock();
  const reports: string[] = [];
  const answer = { fault: undefined as Error | undefined };
  const obtain = async () => {
    if (answer.fault !== undefined) throw answer.fault;
    return { accessToken: aJwt(claims), expiresOn: later(3600), refreshBy: undefined };
  };
  const context: Context = {
    azure: {
      ...azure,
      createObtainToken: () => obtain,
      createObtainForUser: () => obtain,
      createClientAssertions: (audience) => async (clientId) => `${audience} of ${clientId}`,
    },
    settings: settings.value,
    functionTimeoutSeconds: 600,
    clock,
    log: createLogSpy().log,
    report: (part, state, member) => reports.push(`${part} ${member} ${state}`),
  };
  const credential = { getToken: async () => null };
  const vault = { url: environment.KEY_VAULT_URL, credential, challengeVerification: true };
  const own = { credential, vault, readSecret: () => Promise.reject(new Error('nobody has a secret')) };
  return { ...buildIdentities(context, own, policy.value), answer, reports };
}

const oid = 'e0000000-0000-4000-8000-0000000000f2';
const person = aCaller({ class: 'user', objectId: oid, assertion: new UserAssertion('own-token') });
const usersToken = { aud: 'https://ml.azure.com', appid: ids.user, tid: tenantId, oid, scp: 'user_impersonation' };

describe('the identities as they are put together', () => {
  it('P3: look again at every token: the one asked for passes', async () => {
    const app = { aud: 'https://management.azure.com', appid: ids.deployer, tid: tenantId };
    await expect(setUp(app).issueToken('deployer', ARM)).resolves.toHaveProperty('accessToken');
    await expect(setUp({ ...app, appid: ids.reader }).fetchToken('reader', ARM)).resolves.toHaveProperty('accessToken');
    await expect(setUp(usersToken).userToken('user', AML, person)).resolves.toHaveProperty('accessToken');
  });

  it.each([
    ['another audience', { aud: 'https://ml.azure.com', appid: ids.deployer, tid: tenantId }, 'audience'],
    ['another application', { aud: 'https://management.azure.com', appid: ids.reader, tid: tenantId }, 'application'],
  ])('P3: hand out no identity’s token for %s', async (_what, claims, what) => {
    expect(await rejectionOf(setUp(claims).issueToken('deployer', ARM))).toMatchObject({
      code: 'unexpected_upstream_answer',
      reason: `token_is_for_another: ${what}`,
    });
  });

  it('P3: fetch with no token of another identity', async () => {
    const { fetchToken } = setUp({ aud: 'https://management.azure.com', appid: ids.deployer });
    expect(await rejectionOf(fetchToken('reader', ARM))).toMatchObject({ code: 'unexpected_upstream_answer' });
  });

  it.each([
    ['another user', { ...usersToken, oid: 'someone-else' }],
    ['another audience', { ...usersToken, aud: 'https://management.azure.com' }],
  ])('P3: hand out no token for %s in a user’s name', async (_what, claims) => {
    expect(await rejectionOf(setUp(claims).userToken('user', AML, person))).toMatchObject({
      code: 'unexpected_upstream_answer',
    });
  });

  it('P3: give no token of its own to an identity that acts for users, and none in a user’s name to another', async () => {
    const { issueToken, fetchToken, userToken, actsForUsers } = setUp(usersToken);
    expect(await rejectionOf(issueToken('user', AML))).toMatchObject({ code: 'internal_error' });
    expect(await rejectionOf(fetchToken('user', AML))).toMatchObject({ code: 'internal_error' });
    expect(await rejectionOf(userToken('deployer', AML, person))).toMatchObject({ code: 'internal_error' });
    expect(['reader', 'deployer', 'user', 'constructor'].filter(actsForUsers)).toEqual(['user']);
  });

  it('report an identity that acts for users by its own proof', async () => {
    const { proveUserIdentities, reports } = setUp(usersToken);
    expect(await proveUserIdentities()).toEqual(['api://AzureADTokenExchange of undefined']);
    expect(reports).toEqual(['identities user ok']);
  });

  it.each([
    ['step_up_required', 'ok'],
    ['user_refused', 'ok'],
    ['credential_refused', 'down'],
  ] as const)('report %s of a user as %s: a person’s sign-in is no failure of the identity', async (kind, state) => {
    const { userToken, answer, reports } = setUp(usersToken);
    answer.fault = upstream(kind);
    await rejectionOf(userToken('user', AML, person));
    expect(reports).toEqual([`identities user ${state}`]);
  });
});
