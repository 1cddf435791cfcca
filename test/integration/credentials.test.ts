import { decodeJwt } from 'jose';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import * as z from 'zod';
import {
  BROKER_IDENTITY,
  DEV_RUNNER_IDENTITY,
  FRAUD_SCORER_IDENTITY,
  READER_IDENTITY,
  TRAINER,
} from '../../sandbox/seed.ts';
import { createClientAssertions } from '../../src/azure/client-assertions.ts';
import { createObtainToken, managedIdentityCredential } from '../../src/azure/credentials.ts';
import { createReadSecret } from '../../src/azure/key-vault.ts';
import { secondsBetween } from '../../src/clock.ts';
import { clouds } from '../../src/config/clouds.ts';
import type { Identity } from '../../src/config/policy-schema.ts';
import { toBrokerError } from '../../src/errors.ts';
import { nameError } from '../../src/log.ts';
import { rejectionOf } from '../support/ports.ts';
import { startAzure, type TestAzure, upstreamError, wordsOf } from './azure.ts';

const arm = 'https://management.azure.com';
const armScope = `${arm}/.default`;
const aml = 'https://ml.azure.com';
const amlScope = `${aml}/.default`;
const unknownId = 'c0000000-0000-4000-8000-0000000000ff';

let azure: TestAzure;

beforeAll(async () => {
  azure = await startAzure({ SANDBOX_PROPAGATION_SECONDS: '0' });
});
beforeEach(() => azure.reset());
afterAll(() => azure.stop());

const managedIdentity = (clientId?: string): Identity => ({
  use: 'issue',
  managedIdentity: clientId === undefined ? {} : { clientId },
});

const servicePrincipal = (changes: Partial<NonNullable<Identity['servicePrincipal']>> = {}): Identity => ({
  use: 'issue',
  servicePrincipal: {
    tenantId: azure.tenantId,
    clientId: TRAINER.appId,
    secret: TRAINER.secretName,
    ...changes,
  },
});

/** The adapter as main.ts builds it. The SDK's own memory of managed identities' tokens is shared by the whole file. */
function obtainFor(identities: Record<string, Identity>, authorityHost = azure.endpoints.entra) {
  const credential = managedIdentityCredential(undefined);
  const readSecret = createReadSecret({ url: azure.endpoints.keyVault, credential, challengeVerification: false });
  const getClientAssertion = createClientAssertions(clouds.public.exchangeAudience);
  return createObtainToken({ identities, authorityHost, instanceDiscovery: false, readSecret, getClientAssertion });
}

const obtainTrainer = () => {
  const obtain = obtainFor({ trainer: servicePrincipal() });
  return (scope = armScope) => obtain('trainer', scope);
};

const signIns = async () => (await azure.outcomes('entra')).filter((outcome) => outcome.startsWith('POST'));
const secretReads = async () => (await azure.outcomes('keyVault')).filter((outcome) => outcome === 'GET 200');

const passwordAnswer = z.looseObject({ keyId: z.guid(), secretText: z.string() });
const applicationAnswer = z.looseObject({ passwordCredentials: z.array(z.looseObject({ keyId: z.guid() })) });

async function graph(method: string, action: string, body?: object): Promise<unknown> {
  const token = await azure.identityToken('https://graph.microsoft.com');
  const answer = await fetch(`${azure.endpoints.graph}/v1.0/applications/${TRAINER.objectId}${action}`, {
    method,
    headers: { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  if (!answer.ok) throw new Error(`Graph answered ${answer.status}.`);
  return answer.status === 204 ? undefined : answer.json();
}

/** Through Graph, as a rotation does it: the application has this one password from now on. */
async function replacePassword(): Promise<string> {
  const { passwordCredentials } = applicationAnswer.parse(await graph('GET', ''));
  const { secretText } = passwordAnswer.parse(await graph('POST', '/addPassword', { passwordCredential: {} }));
  for (const { keyId } of passwordCredentials) await graph('POST', '/removePassword', { keyId });
  return secretText;
}

const setSecret = (value: string) => azure.operate('set-secret', { name: TRAINER.secretName, value });

describe('managed identities', () => {
  it.each([
    ['system-assigned, without client id', undefined, BROKER_IDENTITY],
    ['user-assigned, by client id', READER_IDENTITY.clientId, READER_IDENTITY],
    ['another user-assigned one', DEV_RUNNER_IDENTITY.clientId, DEV_RUNNER_IDENTITY],
  ] as const)(
    'P3: gives the token of the identity that was asked for: %s',
    async (_case, clientId, { clientId: appId, oid }) => {
      const obtain = obtainFor({ one: managedIdentity(clientId) });
      for (const [scope, audience] of [
        [armScope, arm],
        [amlScope, aml],
      ] as const) {
        const { accessToken } = await obtain('one', scope);
        expect(decodeJwt(accessToken)).toMatchObject({ aud: audience, appid: appId, oid, tid: azure.tenantId });
      }
    },
  );

  it('tells the token’s own end, a day ahead, and half of it as the time to refresh', async () => {
    const { accessToken, expiresOn, refreshBy } = await obtainFor({ one: managedIdentity() })('one', amlScope);
    const { exp = 0 } = decodeJwt(accessToken);
    expect(expiresOn).toEqual(new Date(exp * 1000));
    const now = new Date();
    expect(secondsBetween(now, expiresOn)).toBeGreaterThan(86_300);
    expect(secondsBetween(now, refreshBy ?? now)).toBeCloseTo(43_200, -2);
  });

  it('asks the endpoint once for the same identity and scope, by whatever name the policy has it', async () => {
    const obtain = obtainFor({
      one: managedIdentity(FRAUD_SCORER_IDENTITY.clientId),
      two: managedIdentity(FRAUD_SCORER_IDENTITY.clientId),
    });
    const first = await obtain('one', armScope);
    expect(await obtain('two', armScope)).toEqual(first);
    expect(await azure.outcomes('managedIdentity')).toEqual(['GET 200']);
  });

  it('P7: an identity that the platform does not know is a refused credential', async () => {
    const obtain = obtainFor({ unknown: managedIdentity(unknownId) });
    await expect(obtain('unknown', armScope)).rejects.toMatchObject(
      upstreamError({ kind: 'credential_refused', status: 400, service: 'managed identity (sign-in)' }),
    );
    expect(await azure.outcomes('managedIdentity')).toEqual(['GET 400']);
  });

  it.each([
    [{ status: 403 }, { kind: 'credential_refused', status: 403 }],
    [{ status: 429 }, { kind: 'throttled', status: 429 }],
    [
      { status: 429, retryAfterSeconds: 30 },
      { kind: 'throttled', status: 429 },
    ],
    [{ status: 500 }, { kind: 'unavailable', status: 500 }],
    [{ status: 503 }, { kind: 'unavailable', status: 503 }],
  ] as const)('P7: %j is told as %j after one call; the next call asks again', async (fault, expected) => {
    const obtain = obtainFor({ one: managedIdentity(FRAUD_SCORER_IDENTITY.clientId) });
    await azure.fault({ service: 'managedIdentity', ...fault });
    await expect(obtain('one', amlScope)).rejects.toMatchObject(upstreamError(expected));
    await expect(obtain('one', amlScope)).rejects.toMatchObject(upstreamError(expected));
    expect(await azure.outcomes('managedIdentity')).toEqual([`GET ${fault.status}`, `GET ${fault.status}`]);
  });

  it('P7: an answer without a token is an error of the sign-in', async () => {
    const obtain = obtainFor({ one: managedIdentity(FRAUD_SCORER_IDENTITY.clientId) });
    await azure.fault({ service: 'managedIdentity', status: 200 });
    await expect(obtain('one', amlScope)).rejects.toMatchObject(
      upstreamError({ service: 'managed identity (sign-in)' }),
    );
  });

  it('P7: a lost answer is unavailable', async () => {
    const obtain = obtainFor({ one: managedIdentity(FRAUD_SCORER_IDENTITY.clientId) });
    await azure.fault({ service: 'managedIdentity', commitThenDrop: true });
    await expect(obtain('one', amlScope)).rejects.toMatchObject(upstreamError({ kind: 'unavailable' }));
  });
});

describe('a managed-identity endpoint that does not answer', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it('P7: is unavailable after 10 seconds', async () => {
    await azure.fault({ service: 'managedIdentity', delayMs: 600_000, times: 1 });
    let failure: unknown;
    const scope = 'https://unanswered.example/.default';
    const asked = rejectionOf(managedIdentityCredential(undefined).getToken(scope)).then((error) => {
      failure = error;
    });
    await vi.advanceTimersByTimeAsync(9_999);
    expect(failure).toBeUndefined();
    await vi.advanceTimersByTimeAsync(1);
    await asked;
    expect(failure).toMatchObject(
      upstreamError({ kind: 'unavailable', service: 'managed identity', upstreamCode: 'timeout' }),
    );
  });
});

describe('names of identities', () => {
  it.each(['absent', 'constructor', '__proto__', ''])(
    'refuses %j, which the policy does not have, without any call',
    async (name) => {
      const obtain = obtainFor({ trainer: servicePrincipal() });
      await expect(obtain(name, armScope)).rejects.toThrow('the identity is not in the policy');
      expect(await azure.calls('entra')).toEqual([]);
      expect(await azure.calls('managedIdentity')).toEqual([]);
    },
  );
});

describe('service principals', () => {
  it('P3: signs in with the secret that Key Vault holds, for exactly the scope asked', async () => {
    const obtain = obtainTrainer();
    for (const [scope, audience] of [
      [armScope, arm],
      [amlScope, aml],
    ] as const) {
      const { accessToken, expiresOn } = await obtain(scope);
      const { exp = 0, ...claims } = decodeJwt(accessToken);
      expect(claims).toMatchObject({
        aud: audience,
        appid: TRAINER.appId,
        oid: TRAINER.servicePrincipalId,
        appidacr: '1',
      });
      expect(Math.abs(secondsBetween(new Date(exp * 1000), expiresOn))).toBeLessThanOrEqual(1);
    }
  });

  it('reads the secret once, and asks Entra anew on every call', async () => {
    const obtain = obtainTrainer();
    const tokens = [await obtain(), await obtain(), await obtain()].map(({ accessToken }) => accessToken);
    expect(new Set(tokens)).toHaveLength(3);
    expect(await secretReads()).toHaveLength(1);
    expect(await signIns()).toEqual(['POST 200', 'POST 200', 'POST 200']);
  });

  it('reads the secret again when Entra refuses it, so a rotation needs no restart', async () => {
    const obtain = obtainTrainer();
    await obtain();
    await setSecret(await replacePassword());
    await azure.reset();
    const { accessToken } = await obtain();
    expect(decodeJwt(accessToken)).toMatchObject({ appid: TRAINER.appId });
    expect(await signIns()).toEqual(['POST 401', 'POST 200']);
    expect(await secretReads()).toHaveLength(1);

    await obtain();
    expect(await signIns()).toEqual(['POST 401', 'POST 200', 'POST 200']);
    expect(await secretReads()).toHaveLength(1);
  });

  it('reads the secret again when Entra says that it has expired', async () => {
    const obtain = obtainTrainer();
    await obtain();
    await setSecret(await replacePassword());
    await azure.reset();
    await azure.fault({ service: 'entra', match: '^POST', status: 401, code: 'AADSTS7000222', times: 1 });
    await obtain();
    expect(await signIns()).toEqual(['POST 401', 'POST 200']);
  });

  it('P7: a refused secret that is still the current one is not tried again and again', async () => {
    const obtain = obtainTrainer();
    await obtain();
    const successor = await replacePassword();
    await azure.reset();
    const refused = { kind: 'credential_refused', status: 401, upstreamCode: 'AADSTS7000215' } as const;
    await expect(obtain()).rejects.toMatchObject(upstreamError({ ...refused, service: 'entra (sign-in)' }));
    expect(await signIns()).toEqual(['POST 401']);
    expect(await secretReads()).toHaveLength(1);

    await setSecret(successor);
    await expect(obtain()).resolves.toHaveProperty('accessToken');
  });

  it('P7: a new version that is refused too ends after two sign-ins', async () => {
    const obtain = obtainTrainer();
    await obtain();
    const successor = await replacePassword();
    await setSecret('no-password-of-it');
    await azure.reset();
    await expect(obtain()).rejects.toMatchObject(upstreamError({ upstreamCode: 'AADSTS7000215' }));
    expect(await signIns()).toEqual(['POST 401', 'POST 401']);
    expect(await secretReads()).toHaveLength(1);
    await setSecret(successor);
    await obtain();
  });

  it.each([
    ['AADSTS700016', 400],
    ['AADSTS7000112', 401],
    ['AADSTS53003', 400],
  ])('P7: another refusal (%s) is told as it is and costs no second read of the secret', async (code, status) => {
    const obtain = obtainTrainer();
    await obtain();
    await azure.reset();
    await azure.fault({ service: 'entra', match: '^POST', status, code });
    const refused = { kind: 'credential_refused', upstreamCode: code } as const;
    await expect(obtain()).rejects.toMatchObject(upstreamError(refused));
    expect(await signIns()).toEqual([`POST ${status}`]);
    expect(await secretReads()).toEqual([]);
  });

  it('P7: a tenant that Entra does not know is an error of the sign-in', async () => {
    const obtain = obtainFor({ trainer: servicePrincipal({ tenantId: unknownId }) });
    await expect(obtain('trainer', armScope)).rejects.toMatchObject(upstreamError({ service: 'entra (sign-in)' }));
    expect(await signIns()).toEqual([]);
  });

  it('P7: an unknown application is a refused credential', async () => {
    const obtain = obtainFor({ unknown: servicePrincipal({ clientId: unknownId }) });
    await expect(obtain('unknown', armScope)).rejects.toMatchObject(
      upstreamError({ kind: 'credential_refused', upstreamCode: 'AADSTS700016' }),
    );
  });

  it.each([
    ['missing', 'no-such-secret', { kind: 'credential_refused', status: 404, upstreamCode: 'SecretNotFound' }],
    ['disabled', 'disabled-secret', { kind: 'forbidden', upstreamCode: 'SecretDisabled' }],
  ] as const)(
    'P7: with a %s secret the identity is not ready, by what Key Vault says, and Entra is not asked',
    async (_case, secret, expected) => {
      if (expected.kind === 'forbidden') {
        await azure.operate('set-secret', { name: secret, value: 'x' });
        await azure.operate('disable-secret', { name: secret });
      }
      const obtain = obtainFor({ trainer: servicePrincipal({ secret }) });
      const refused = await rejectionOf(obtain('trainer', armScope));
      expect(refused).toMatchObject(upstreamError({ ...expected, service: 'key vault' }));
      expect(toBrokerError(refused).code).toBe('identity_not_ready');
      expect(await azure.calls('entra')).toEqual([]);
    },
  );
});

describe('service principals: Entra throttles, is down or odd', () => {
  it('P7: the Retry-After of one refusal is not told with the next', async () => {
    const obtain = obtainTrainer();
    await azure.fault({ service: 'entra', match: '^POST', status: 429, retryAfterSeconds: 30, times: 1 });
    await azure.fault({ service: 'entra', match: '^POST', status: 503, times: 1 });
    const refusals = [await rejectionOf(obtain()), await rejectionOf(obtain())];
    expect(refusals).toMatchObject([
      upstreamError({ kind: 'throttled', retryAfterSeconds: 30 }),
      upstreamError({ kind: 'unavailable', retryAfterSeconds: undefined }),
    ]);
  });

  it('P7: the Retry-After of a throttled metadata request is told too', async () => {
    await azure.fault({ service: 'entra', match: '^GET', status: 429, retryAfterSeconds: 30 });
    await expect(obtainTrainer()()).rejects.toMatchObject(upstreamError({ retryAfterSeconds: 30 }));
  });

  it.each([
    [{ status: 429 }, { kind: 'throttled', status: 429, retryAfterSeconds: undefined }],
    [
      { status: 429, retryAfterSeconds: 30 },
      { kind: 'throttled', status: 429, retryAfterSeconds: 30 },
    ],
    [
      { status: 429, retryAfterSeconds: 86_400 },
      { kind: 'throttled', status: 429, retryAfterSeconds: 3600 },
    ],
    [{ status: 500 }, { kind: 'unavailable', status: 500 }],
    [{ status: 503 }, { kind: 'unavailable', status: 503 }],
    [
      { status: 400, code: 'AADSTS90033' },
      { kind: 'unavailable', status: 400 },
    ],
    [
      { status: 400, code: 'AADSTS90055' },
      { kind: 'throttled', status: 400 },
    ],
  ] as const)('P7: %j at the token endpoint is told as %j after one sign-in', async (fault, expected) => {
    const obtain = obtainTrainer();
    await azure.fault({ service: 'entra', match: '^POST', ...fault });
    await expect(obtain()).rejects.toMatchObject(upstreamError({ ...expected, service: 'entra (sign-in)' }));
    expect(await signIns()).toEqual([`POST ${fault.status}`]);

    await azure.clearFaults();
    await expect(obtain()).resolves.toHaveProperty('accessToken');
  });

  it.each([
    ['metadata', '^GET'],
    ['token', '^POST'],
  ])('P7: a lost %s answer is unavailable', async (_case, match) => {
    const obtain = obtainTrainer();
    await azure.fault({ service: 'entra', match, commitThenDrop: true });
    await expect(obtain()).rejects.toMatchObject(upstreamError({ kind: 'unavailable' }));
  });

  it.each([200, 400, 502])(
    'P7: an answer that is not JSON, with status %d, is an error of the sign-in',
    async (status) => {
      const odd = await azure.serveOdd({ status, headers: { 'content-type': 'text/html' }, text: '<html></html>' });
      const obtain = obtainFor({ trainer: servicePrincipal() }, odd.url);
      await expect(obtain('trainer', armScope)).rejects.toMatchObject(
        upstreamError({ kind: 'unavailable', service: 'entra (sign-in)' }),
      );
      expect(odd.requests).toHaveLength(1);
    },
  );

  it('P7: a token answer without a token is an error of the sign-in', async () => {
    const obtain = obtainTrainer();
    await azure.fault({ service: 'entra', match: '^POST', status: 200 });
    await expect(obtain()).rejects.toMatchObject(upstreamError({ service: 'entra (sign-in)' }));
  });

  it('P2: no failure’s words hold the secret, Entra’s text or a URL', async () => {
    const obtain = obtainTrainer();
    const secret = await replacePassword();
    await setSecret(secret);
    await obtain();
    const faults = [
      { status: 401, code: 'AADSTS7000215' },
      { status: 400, code: 'AADSTS700016' },
      { status: 429 },
      { status: 500 },
      { status: 200 },
      { commitThenDrop: true },
    ];
    for (const fault of faults) {
      await azure.fault({ service: 'entra', match: '^POST', ...fault });
      const error = await rejectionOf(obtain());
      expect(wordsOf(error)).not.toContain(secret);
      expect(nameError(error)).not.toMatch(/https?:|A fault was planned|secret/i);
      expect(nameError(error)).toMatch(/^entra \(sign-in\): \w+/);
      await azure.clearFaults();
    }
  });
});
