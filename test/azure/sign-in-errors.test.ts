import { TableClient } from '@azure/data-tables';
import { ClientSecretCredential, ManagedIdentityCredential } from '@azure/identity';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { callAzure, clientOptions } from '../../src/azure/transport.ts';
import type { UpstreamKind } from '../../src/errors.ts';
import { nameError } from '../../src/log.ts';
import { tenantId } from '../support/builders.ts';
import { rejectionOf } from '../support/ports.ts';
import { answering, type Scripted } from './scripted-transport.ts';

/** A sign-in of a service principal against an Entra that answers its token request like this. */
async function signIn(answer: Scripted): Promise<unknown> {
  const metadata = {
    issuer: `https://entra.example/${tenantId}/v2.0`,
    authorization_endpoint: `https://entra.example/${tenantId}/oauth2/v2.0/authorize`,
    token_endpoint: `https://entra.example/${tenantId}/oauth2/v2.0/token`,
    jwks_uri: `https://entra.example/${tenantId}/discovery/v2.0/keys`,
  };
  const httpClient = answering((url) =>
    url.includes('openid-configuration') ? { status: 200, body: metadata } : answer,
  );
  const principal = new ClientSecretCredential(tenantId, 'client-id', 'secret-password', {
    ...clientOptions(),
    authorityHost: 'https://entra.example',
    disableInstanceDiscovery: true,
    httpClient,
  });
  return rejectionOf(callAzure('entra', () => principal.getToken('https://ml.azure.com/.default')));
}

const aadsts = (number: number, error: string) => ({
  error,
  error_description: `AADSTS${number}: text with secret-password`,
  error_codes: [number],
  timestamp: '2026-11-22 10:00:00Z',
  trace_id: 'trace',
  correlation_id: 'correlation',
});

describe('a refused sign-in', () => {
  it.each<[number, number, string, UpstreamKind]>([
    [401, 7000215, 'invalid_client', 'credential_refused'],
    [401, 7000222, 'invalid_client', 'credential_refused'],
    [400, 700016, 'unauthorized_client', 'credential_refused'],
    [400, 70011, 'invalid_scope', 'credential_refused'],
    [400, 90033, 'temporarily_unavailable', 'unavailable'],
    [503, 90033, 'temporarily_unavailable', 'unavailable'],
    [429, 90055, 'temporarily_unavailable', 'throttled'],
    [400, 90055, 'temporarily_unavailable', 'throttled'],
    [500, 50000, 'server_error', 'unavailable'],
  ])('%d AADSTS%d (%s) is %s', async (status, number, error, kind) => {
    expect(await signIn({ status, body: aadsts(number, error) })).toMatchObject({
      kind,
      service: 'entra (sign-in)',
      upstreamCode: `AADSTS${number}`,
    });
  });

  it('P2: is reduced to what is safe to log', async () => {
    const thrown = await signIn({ status: 401, body: aadsts(7000215, 'invalid_client') });
    expect(String(thrown)).toContain('entra (sign-in): credential_refused (401 AADSTS7000215)');
    expect(nameError(thrown)).not.toContain('secret-password');
  });

  it('is told as such when it happens under a call to another service', async () => {
    const refused = await signIn({ status: 401, body: aadsts(7000215, 'invalid_client') });
    const table = new TableClient(
      'https://account.table.core.windows.net',
      'table',
      { getToken: () => Promise.reject(refused) },
      { ...clientOptions(), httpClient: answering(() => ({ status: 200 })) },
    );
    expect(await rejectionOf(callAzure('token store', () => table.getEntity('partition', 'row')))).toBe(refused);
  });
});

describe('a managed identity', () => {
  let answer: Scripted = { status: 200 };
  /** The SDK keeps the first transport for the life of the process, so there is one for all cases. */
  const httpClient = answering(() => answer);

  beforeAll(() => {
    vi.stubEnv('IDENTITY_ENDPOINT', 'https://localhost/msi/token');
    vi.stubEnv('IDENTITY_HEADER', 'secret-header');
  });
  afterAll(() => {
    vi.unstubAllEnvs();
  });

  it.each<[number, UpstreamKind]>([
    [400, 'credential_refused'],
    [403, 'credential_refused'],
    [429, 'throttled'],
    [500, 'unavailable'],
    [503, 'unavailable'],
  ])('that is answered with %d is %s', async (status, kind) => {
    answer = { status, body: { statusCode: status, message: 'text with secret-header', correlationId: 'correlation' } };
    const identity = new ManagedIdentityCredential({ retryOptions: { maxRetries: 0 }, httpClient });
    const scope = `https://resource-${status}.example/.default`;
    const thrown = await rejectionOf(callAzure('managed identity', () => identity.getToken(scope)));
    expect(thrown).toMatchObject({ kind, service: 'managed identity (sign-in)' });
    expect(nameError(thrown)).not.toContain('secret-header');
  });
});
