import { createServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { ClientSecretCredential } from '@azure/identity';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import * as z from 'zod';
import { TRAINER } from '../../sandbox/seed.ts';
import { createSignIn } from '../../src/azure/sign-in.ts';
import { clientOptions } from '../../src/azure/transport.ts';
import type { UpstreamKind } from '../../src/errors.ts';
import { nameError } from '../../src/log.ts';
import { describeSignInContract } from '../rotation/contract/sign-in.ts';
import { rejectionOf } from '../support/ports.ts';
import { startAzure, type TestAzure, upstreamError, wordsOf } from './azure.ts';

const PROPAGATION_SECONDS = 30;
const scope = 'https://graph.microsoft.com/.default';

let azure: TestAzure;

beforeAll(async () => {
  azure = await startAzure({ SANDBOX_PROPAGATION_SECONDS: String(PROPAGATION_SECONDS) });
});
beforeEach(() => azure.reset());
afterAll(() => azure?.stop());

const aSignIn = (authorityHost = azure.endpoints.entra) =>
  createSignIn({ authorityHost, instanceDiscovery: false, scope });
const trainer = () => ({ tenantId: azure.tenantId, clientId: TRAINER.appId });

const madeByHand = z.object({ keyId: z.string(), secretText: z.string() });

async function makePassword(lifetimeSeconds: number): Promise<{ keyId: string; text: string }> {
  const made = await azure.operate('add-password', { application: TRAINER.objectId, lifetimeSeconds });
  const { keyId, secretText } = madeByHand.parse(made);
  return { keyId, text: secretText };
}

describeSignInContract('the identity SDK on the sandbox', async () => ({
  signIn: aSignIn(),
  principal: trainer(),
  make: makePassword,
  remove: async (keyId) => void (await azure.operate('remove-password', { application: TRAINER.objectId, keyId })),
  advance: async (seconds) => azure.advance(seconds),
  propagationSeconds: PROPAGATION_SECONDS,
}));

/** An Entra that lets everybody in and counts its connections. */
async function startCountingEntra() {
  const connections = new Map<Socket, string[]>();
  const server = createServer(azure.tls, (request, response) => {
    request.resume();
    const path = request.url?.split('?')[0] ?? '';
    connections.set(request.socket, [...(connections.get(request.socket) ?? []), `${request.method} ${path}`]);
    const base = `${url}/${azure.tenantId}`;
    const body = path.endsWith('/token')
      ? { token_type: 'Bearer', expires_in: 3600, ext_expires_in: 3600, access_token: 'secret-token' }
      : {
          issuer: `${base}/v2.0`,
          authorization_endpoint: `${base}/oauth2/v2.0/authorize`,
          token_endpoint: `${base}/oauth2/v2.0/token`,
          jwks_uri: `${base}/discovery/v2.0/keys`,
        };
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address: AddressInfo | string | null = server.address();
  const url = `https://localhost:${address !== null && typeof address === 'object' ? address.port : 0}`;
  return {
    url,
    /** What came over each connection, the oldest first. */
    connections: () => [...connections.values()],
    stop: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

describe('a sign-in of a proof', () => {
  it('R1: is made anew each time, and each on a connection of its own, so that it can reach any replica', async () => {
    const entra = await startCountingEntra();
    try {
      const signIn = aSignIn(entra.url);
      for (let tries = 0; tries < 3; tries++) expect(await signIn(trainer(), 'secret-text')).toBe('signed_in');
      const connections = entra.connections();
      expect(connections.map((requests) => requests.length)).toEqual([1, 1, 1, 1, 1, 1]);
      expect(connections.flat().filter((request) => request.startsWith('POST'))).toHaveLength(3);
    } finally {
      await entra.stop();
    }
  });

  it('would share its connection with others if the SDK were left alone', async () => {
    const entra = await startCountingEntra();
    try {
      const { tenantId, clientId } = trainer();
      for (let tries = 0; tries < 2; tries++) {
        const options = { ...clientOptions(), authorityHost: entra.url, disableInstanceDiscovery: true };
        await new ClientSecretCredential(tenantId, clientId, 'secret-text', options).getToken(scope);
      }
      expect(entra.connections()).toHaveLength(1);
    } finally {
      await entra.stop();
    }
  });

  it('asks Entra nothing with an empty text', async () => {
    expect(await aSignIn()(trainer(), '')).toBe('unknown');
    expect(await azure.calls('entra')).toEqual([]);
  });
});

describe('an answer that says nothing about the secret is thrown with its number', () => {
  const nobody = 'd0000000-0000-4000-8000-0000000000ff';

  it.each([
    ['no such client', { clientId: nobody }, 'AADSTS700016'],
    ['no such tenant', { tenantId: nobody }, 'AADSTS90002'],
  ])('%s', async (_case, changes, upstreamCode) => {
    const { text } = await makePassword(3600);
    const thrown = await rejectionOf(aSignIn()({ ...trainer(), ...changes }, text));
    expect(thrown).toMatchObject(upstreamError({ kind: 'credential_refused', status: 400, upstreamCode }));
    expect(`${wordsOf(thrown)} ${nameError(thrown)}`).not.toContain(text);
  });

  it.each<[string, Record<string, unknown>, UpstreamKind, number | undefined]>([
    ['AADSTS53003', { status: 400, code: '53003' }, 'credential_refused', undefined],
    ['AADSTS7000112', { status: 400, code: '7000112' }, 'credential_refused', undefined],
    ['AADSTS500011', { status: 400, code: '500011' }, 'credential_refused', undefined],
    ['AADSTS90055', { status: 429, retryAfterSeconds: 7 }, 'throttled', 7],
    ['AADSTS90055', { status: 429 }, 'throttled', undefined],
    ['AADSTS90033', { status: 503, retryAfterSeconds: 9 }, 'unavailable', 9],
    // Under load even these two say nothing.
    ['AADSTS7000215', { status: 503, code: '7000215' }, 'unavailable', undefined],
    ['AADSTS7000222', { status: 429, code: '7000222' }, 'throttled', undefined],
  ])('%s %o', async (upstreamCode, fault, kind, retryAfterSeconds) => {
    const { text } = await makePassword(3600);
    azure.advance(PROPAGATION_SECONDS + 1);
    await azure.fault({ service: 'entra', match: 'POST', ...fault });
    const thrown = await rejectionOf(aSignIn()(trainer(), text));
    expect(thrown).toMatchObject(upstreamError({ service: 'entra (sign-in)', kind, upstreamCode, retryAfterSeconds }));
    await azure.clearFaults();
    expect(await aSignIn()(trainer(), text)).toBe('signed_in');
  });

  it.each([
    ['its metadata are throttled', { status: 429, retryAfterSeconds: 7 }, 'AADSTS90055', 7],
    ['its metadata are down', { status: 503 }, 'AADSTS90033', undefined],
    ['its metadata are refused for now', { status: 400, code: '90033' }, 'AADSTS90033', undefined],
  ])('Entra is out of reach: %s', async (_case, fault, upstreamCode, retryAfterSeconds) => {
    await azure.fault({ service: 'entra', match: 'GET', ...fault });
    await expect(aSignIn()(trainer(), 'any-text')).rejects.toMatchObject({
      ...upstreamError({ upstreamCode, retryAfterSeconds }),
      outOfReach: true,
    });
  });

  it('an answer that is lost', async () => {
    await azure.fault({ service: 'entra', match: 'POST', commitThenDrop: true });
    await expect(aSignIn()(trainer(), 'any-text')).rejects.toMatchObject(upstreamError({ kind: 'unavailable' }));
  });
});
