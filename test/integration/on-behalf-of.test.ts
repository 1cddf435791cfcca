import { decodeJwt } from 'jose';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { BROKER_API, DEFAULT_CALLER, DEPLOYER, FEDERATION_IDENTITY } from '../../sandbox/seed.ts';
import { createClientAssertions } from '../../src/azure/client-assertions.ts';
import { createObtainForUser } from '../../src/azure/on-behalf-of.ts';
import { UserAssertion } from '../../src/callers/user-assertion.ts';
import { secondsBetween } from '../../src/clock.ts';
import { clouds } from '../../src/config/clouds.ts';
import type { Identity } from '../../src/config/policy-schema.ts';
import { toBrokerError } from '../../src/errors.ts';
import { nameError } from '../../src/log.ts';
import { rejectionOf } from '../support/ports.ts';
import { startAzure, type TestAzure, upstreamError, wordsOf } from './azure.ts';

const { armScope, amlScope, graphScope, exchangeAudience } = clouds.public;

let azure: TestAzure;

beforeAll(async () => {
  azure = await startAzure({ SANDBOX_PROPAGATION_SECONDS: '0' });
});
beforeEach(() => azure.reset());
afterAll(() => azure.stop());

function obtainFor(changes: Partial<NonNullable<Identity['onBehalfOf']>> = {}) {
  const onBehalfOf = {
    tenantId: azure.tenantId,
    clientId: BROKER_API.appId,
    managedIdentity: { clientId: FEDERATION_IDENTITY.clientId },
    ...changes,
  };
  const obtain = createObtainForUser({
    identities: { user: { use: 'issue', onBehalfOf }, reader: { use: 'fetch', managedIdentity: {} } },
    authorityHost: azure.endpoints.entra,
    instanceDiscovery: false,
    getClientAssertion: createClientAssertions(exchangeAudience),
  });
  return (assertion: UserAssertion, scope = amlScope, identity = 'user') => obtain(identity, scope, assertion);
}

const assertionOf = async (caller: Record<string, unknown> = {}) =>
  new UserAssertion(await azure.callerToken({ class: 'user', ...caller }));

const signIns = async () => (await azure.outcomes('entra')).filter((outcome) => outcome.startsWith('POST'));

describe('a token in the name of a user', () => {
  it.each(['1.0', '2.0'])(
    'P3: is that user’s, for exactly the resource asked, of the application that asks (user’s own token v%s)',
    async (version) => {
      const obtain = obtainFor();
      const assertion = await assertionOf({ version });
      for (const [scope, audience] of [
        [armScope, 'https://management.azure.com'],
        [amlScope, 'https://ml.azure.com'],
      ] as const) {
        const { accessToken, expiresOn } = await obtain(assertion, scope);
        const { exp = 0, ...claims } = decodeJwt(accessToken);
        expect(claims).toMatchObject({
          ...{ aud: audience, appid: BROKER_API.appId, appidacr: '2' },
          ...{ oid: DEFAULT_CALLER.userOid, tid: azure.tenantId, scp: 'user_impersonation' },
        });
        expect(Math.abs(secondsBetween(new Date(exp * 1000), expiresOn))).toBeLessThanOrEqual(1);
      }
    },
  );

  it('is asked of Entra anew on every call: nothing of a user stays in the SDK', async () => {
    const obtain = obtainFor();
    const assertion = await assertionOf();
    const tokens = [await obtain(assertion), await obtain(assertion)].map(({ accessToken }) => accessToken);
    expect(new Set(tokens)).toHaveLength(2);
    expect(await signIns()).toEqual(['POST 200', 'POST 200']);
  });

  it('P3: never reaches another of 20 users who ask at once', async () => {
    const obtain = obtainFor();
    const users = Array.from({ length: 20 }, () => crypto.randomUUID());
    const oids = await Promise.all(
      users.map(async (oid) => decodeJwt((await obtain(await assertionOf({ oid }))).accessToken).oid),
    );
    expect(oids).toEqual(users);
  });

  it.each(['reader', 'absent', '__proto__'])('is refused through %j, which acts for nobody', async (identity) => {
    await expect(obtainFor()(await assertionOf(), amlScope, identity)).rejects.toThrow(
      'the identity does not act for users',
    );
    expect(await azure.calls('entra')).toEqual([]);
  });
});

describe('a user who must sign in again', () => {
  it.each([
    ['AADSTS50076', 'polids'],
    ['AADSTS50079', 'polids'],
    ['AADSTS53003', 'capolids'],
  ])('P7: is told so with the claims that Entra wants (%s)', async (code, claim) => {
    await azure.fault({ service: 'entra', match: '^POST', status: 400, code });
    const error = await rejectionOf(obtainFor()(await assertionOf()));
    expect(error).toMatchObject(upstreamError({ kind: 'step_up_required', upstreamCode: code }));
    const { code: told, claims = '' } = toBrokerError(error);
    expect(told).toBe('step_up_required');
    expect(JSON.parse(claims)).toEqual({
      access_token: { [claim]: { essential: true, values: [expect.stringMatching(/^[0-9a-f-]{36}$/)] } },
    });
    expect(await signIns()).toEqual(['POST 400']);
  });

  it('P7: is told so where Entra names no claims', async () => {
    await azure.fault({ service: 'entra', match: '^POST', status: 400, code: 'AADSTS50158' });
    const error = toBrokerError(await rejectionOf(obtainFor()(await assertionOf())));
    expect(error).toMatchObject({ code: 'step_up_required', claims: undefined });
  });

  it('P7: whose token has expired needs a new one', async () => {
    const error = await rejectionOf(obtainFor()(await assertionOf({ lifetimeSeconds: -60 })));
    expect(error).toMatchObject(upstreamError({ kind: 'user_refused', upstreamCode: 'AADSTS500133' }));
    expect(toBrokerError(error).code).toBe('invalid_token');
  });

  it.each([
    [
      'a token that somebody changed',
      'AADSTS50013',
      async () => `${(await azure.callerToken({ class: 'user' })).slice(0, -8)}AAAAAAAA`,
    ],
    [
      'a token for another application',
      'AADSTS500131',
      () => azure.callerToken({ class: 'user', claims: { aud: DEPLOYER.appId } }),
    ],
    ['an app’s token', 'AADSTS7000114', () => azure.callerToken()],
  ])('P3: %s is refused by Entra: %s', async (_what, upstreamCode, makeToken) => {
    const error = await rejectionOf(obtainFor()(new UserAssertion(await makeToken())));
    expect(error).toMatchObject(upstreamError({ kind: 'user_refused', upstreamCode }));
    expect(toBrokerError(error).code).toBe('invalid_token');
  });
});

describe('an application that cannot act for users now', () => {
  it('P7: is not ready without an administrator’s consent for the API', async () => {
    const error = await rejectionOf(obtainFor()(await assertionOf(), graphScope));
    expect(error).toMatchObject(upstreamError({ kind: 'credential_refused', upstreamCode: 'AADSTS65001' }));
    expect(toBrokerError(error).code).toBe('identity_not_ready');
  });

  it.each(['AADSTS70021', 'AADSTS700213'])(
    'P7: is not ready while its federated credential propagates (%s): Retry-After, one sign-in, no wait',
    async (code) => {
      await azure.fault({ service: 'entra', match: '^POST', status: code === 'AADSTS70021' ? 400 : 401, code });
      const error = await rejectionOf(obtainFor()(await assertionOf()));
      expect(toBrokerError(error)).toMatchObject({ code: 'identity_not_ready', retryAfterSeconds: 30 });
      expect(await signIns()).toHaveLength(1);
    },
  );

  it('P7: is not ready without the managed identity, and Entra is not shown the user’s token', async () => {
    const obtain = obtainFor({ managedIdentity: { clientId: 'c0000000-0000-4000-8000-0000000000ff' } });
    await expect(obtain(await assertionOf())).rejects.toMatchObject(
      upstreamError({ kind: 'credential_refused', service: 'managed identity (sign-in)' }),
    );
    expect(await azure.calls('entra')).toEqual([]);
  });

  it('P7: passes on for how long Entra wants to be left alone', async () => {
    await azure.fault({ service: 'entra', match: '^POST', status: 429, retryAfterSeconds: 17 });
    await expect(obtainFor()(await assertionOf())).rejects.toMatchObject(
      upstreamError({ kind: 'throttled', retryAfterSeconds: 17 }),
    );
  });
});

it('P2: no failure’s words hold the user’s token, the client assertion, Entra’s text or a URL', async () => {
  const clientAssertion = await createClientAssertions(exchangeAudience)(FEDERATION_IDENTITY.clientId);
  const assertion = await assertionOf();
  const faults = [
    ...['AADSTS50076', 'AADSTS65001', 'AADSTS500133', 'AADSTS700213'].map((code) => ({ status: 400, code })),
    { status: 429 },
    { status: 500 },
    { status: 200 },
    { commitThenDrop: true },
  ];
  for (const fault of faults) {
    await azure.fault({ service: 'entra', match: '^POST', ...fault });
    const error = await rejectionOf(obtainFor()(assertion));
    for (const secret of [assertion.reveal(), clientAssertion]) {
      expect(wordsOf(error)).not.toContain(secret.split('.')[1]);
    }
    expect(nameError(error)).not.toMatch(/https?:|A fault was planned|eyJ/i);
    await azure.clearFaults();
  }
});
