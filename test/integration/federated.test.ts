import { decodeJwt } from 'jose';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { BROKER_IDENTITY, DEPLOYER, FEDERATION_IDENTITY, READER_IDENTITY, TRAINER } from '../../sandbox/seed.ts';
import { createClientAssertions } from '../../src/azure/client-assertions.ts';
import { createObtainToken } from '../../src/azure/credentials.ts';
import { clouds } from '../../src/config/clouds.ts';
import type { Identity } from '../../src/config/policy-schema.ts';
import { toBrokerError } from '../../src/errors.ts';
import { rejectionOf } from '../support/ports.ts';
import { startAzure, type TestAzure, upstreamError, wordsOf } from './azure.ts';

const { armScope, amlScope, exchangeAudience } = clouds.public;
const PROPAGATION_SECONDS = 60;

let azure: TestAzure;

beforeAll(async () => {
  azure = await startAzure({ SANDBOX_PROPAGATION_SECONDS: String(PROPAGATION_SECONDS) });
});
beforeEach(() => azure.reset());
afterAll(() => azure.stop());

function obtainFor(changes: Partial<NonNullable<Identity['federated']>> = {}) {
  const federated = {
    tenantId: azure.tenantId,
    clientId: DEPLOYER.appId,
    managedIdentity: { clientId: FEDERATION_IDENTITY.clientId },
    ...changes,
  };
  const obtain = createObtainToken({
    identities: { deployer: { use: 'issue', federated } },
    authorityHost: azure.endpoints.entra,
    instanceDiscovery: false,
    readSecret: () => Promise.reject(new Error('a federated identity has no secret')),
    getClientAssertion: createClientAssertions(exchangeAudience),
  });
  return (scope = armScope) => obtain('deployer', scope);
}

const signIns = async () => (await azure.outcomes('entra')).filter((outcome) => outcome.startsWith('POST'));

/** Through Graph, as an administrator does it: the application trusts a managed identity from now on. */
async function trust(application: string, managedIdentity: string): Promise<void> {
  const answer = await fetch(`${azure.endpoints.graph}/v1.0/applications/${application}/federatedIdentityCredentials`, {
    method: 'POST',
    headers: {
      Authorization: `Bearer ${await azure.identityToken('https://graph.microsoft.com')}`,
      'Content-Type': 'application/json',
    },
    body: JSON.stringify({
      name: `trust-${managedIdentity}`,
      issuer: clouds.public.issuerV2(azure.tenantId),
      subject: managedIdentity,
      audiences: [exchangeAudience],
    }),
  });
  if (!answer.ok) throw new Error(`Graph answered ${answer.status}.`);
}

describe('a federated identity', () => {
  it('P3: signs in as the application, proved by the managed identity’s token, for exactly the scope asked', async () => {
    const obtain = obtainFor();
    for (const [scope, audience] of [
      [armScope, 'https://management.azure.com'],
      [amlScope, 'https://ml.azure.com'],
    ] as const) {
      const { accessToken } = await obtain(scope);
      expect(decodeJwt(accessToken)).toMatchObject({
        ...{ aud: audience, appid: DEPLOYER.appId, oid: DEPLOYER.servicePrincipalId, appidacr: '2' },
      });
    }
  });

  it('holds no secret and asks Entra anew on every call, the managed-identity endpoint once', async () => {
    const obtain = obtainFor();
    const tokens = [await obtain(), await obtain(), await obtain()].map(({ accessToken }) => accessToken);
    expect(new Set(tokens)).toHaveLength(3);
    expect(await signIns()).toEqual(['POST 200', 'POST 200', 'POST 200']);
    expect((await azure.outcomes('managedIdentity')).length).toBeLessThanOrEqual(1);
    expect(await azure.calls('keyVault')).toEqual([]);
  });

  it('P7: is not ready with a managed identity that the application does not trust', async () => {
    const error = await rejectionOf(obtainFor({ managedIdentity: { clientId: READER_IDENTITY.clientId } })());
    expect(error).toMatchObject(upstreamError({ kind: 'credential_refused', upstreamCode: 'AADSTS700213' }));
    expect(toBrokerError(error)).toMatchObject({ code: 'identity_not_ready', retryAfterSeconds: 30 });
  });

  it('P7: is not ready with a managed identity that the platform does not know, and Entra is not asked', async () => {
    const error = await rejectionOf(
      obtainFor({ managedIdentity: { clientId: 'c0000000-0000-4000-8000-0000000000ff' } })(),
    );
    expect(toBrokerError(error)).toMatchObject({ code: 'identity_not_ready' });
    expect(await azure.calls('entra')).toEqual([]);
  });

  it.each([
    ['AADSTS70021', 400],
    ['AADSTS700213', 401],
    ['AADSTS700016', 400],
  ])('P7: %s while it propagates is told with Retry-After after one sign-in, without a wait', async (code, status) => {
    await azure.fault({ service: 'entra', match: '^POST', status, code });
    const begun = performance.now();
    const error = await rejectionOf(obtainFor()());
    expect(performance.now() - begun).toBeLessThan(5_000);
    expect(error).toMatchObject(upstreamError({ kind: 'credential_refused', upstreamCode: code, status }));
    expect(toBrokerError(error)).toMatchObject({ code: 'identity_not_ready', retryAfterSeconds: 30 });
    expect(await signIns()).toHaveLength(1);
  });

  it('P7: Entra’s own Retry-After goes before ours', async () => {
    await azure.fault({ service: 'entra', match: '^POST', status: 401, code: 'AADSTS700213', retryAfterSeconds: 7 });
    expect(toBrokerError(await rejectionOf(obtainFor()()))).toMatchObject({ retryAfterSeconds: 7 });
  });

  it('P7: Conditional Access for workload identities is no step-up of the caller: the identity is not ready', async () => {
    await azure.fault({ service: 'entra', match: '^POST', status: 400, code: 'AADSTS53003' });
    expect(toBrokerError(await rejectionOf(obtainFor()()))).toMatchObject({
      code: 'identity_not_ready',
      claims: undefined,
    });
  });

  it('works once a credential just made has propagated, without a restart', async () => {
    const obtain = obtainFor({ clientId: TRAINER.appId, managedIdentity: {} });
    await trust(TRAINER.objectId, BROKER_IDENTITY.oid);
    const early = await rejectionOf(obtain());
    expect(toBrokerError(early)).toMatchObject({ code: 'identity_not_ready', retryAfterSeconds: 30 });
    azure.advance(PROPAGATION_SECONDS);
    expect(decodeJwt((await obtain()).accessToken)).toMatchObject({ appid: TRAINER.appId });
  });

  it('P2: no failure’s words hold the client assertion', async () => {
    const clientAssertion = await createClientAssertions(exchangeAudience)(FEDERATION_IDENTITY.clientId);
    await azure.fault({ service: 'entra', match: '^POST', status: 401, code: 'AADSTS700213' });
    const words = wordsOf(await rejectionOf(obtainFor()()));
    expect(words).not.toContain(clientAssertion.split('.')[1]);
  });
});

describe('the client assertion', () => {
  it.each(['usgovernment', 'china'] as const)(
    'is asked for with the exchange audience of the cloud: %s (which the pretend public cloud does not know)',
    async (cloud) => {
      const audience = clouds[cloud].exchangeAudience;
      const error = await rejectionOf(createClientAssertions(audience)(FEDERATION_IDENTITY.clientId));
      expect(error).toMatchObject(upstreamError({ kind: 'credential_refused', status: 400 }));
      expect(wordsOf(error)).toContain(`The resource principal named ${audience} was not found`);
    },
  );

  it('is the token of the identity named, for the exchange and nothing else', async () => {
    const assertion = await createClientAssertions(exchangeAudience)(FEDERATION_IDENTITY.clientId);
    expect(decodeJwt(assertion)).toMatchObject({ aud: exchangeAudience, sub: FEDERATION_IDENTITY.oid });
  });
});
