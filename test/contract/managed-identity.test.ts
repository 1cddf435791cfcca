import { ManagedIdentityCredential } from '@azure/identity';
import { decodeJwt } from 'jose';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { BROKER_IDENTITY, READER_IDENTITY, TENANT_ID } from '../../sandbox/seed.ts';
import { startTestSandbox, type TestSandbox } from '../support/sandbox.ts';

const guid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const vault = 'https://vault.azure.net';

let sandbox: TestSandbox;

beforeAll(async () => {
  sandbox = await startTestSandbox({ SANDBOX_ACCESS_TOKEN_SECONDS: '300' });
});
afterAll(() => sandbox.stop());
afterEach(() => vi.unstubAllEnvs());

function ask(query: Record<string, string>, headers?: Record<string, string>) {
  const { IDENTITY_ENDPOINT = '', IDENTITY_HEADER = '' } = sandbox.brokerSettings();
  const all = new URLSearchParams({ 'api-version': '2019-08-01', ...query });
  return fetch(`${IDENTITY_ENDPOINT}?${all}`, { headers: headers ?? { 'X-IDENTITY-HEADER': IDENTITY_HEADER } });
}

async function jsonOf(response: Response) {
  return JSON.parse(await response.text());
}

describe('GET /msi/token', () => {
  it('answers with five values, all of them text, and expires_on in seconds', async () => {
    const response = await ask({ resource: vault });
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toBe('application/json');
    expect(await jsonOf(response)).toEqual({
      access_token: expect.any(String),
      expires_on: expect.stringMatching(/^\d{10}$/),
      resource: vault,
      token_type: 'Bearer',
      client_id: BROKER_IDENTITY.clientId,
    });
  });

  it('gives a token that lives a day, whatever the life of other access tokens is', async () => {
    const { access_token, expires_on } = await jsonOf(await ask({ resource: 'https://storage.azure.com' }));
    const { exp = 0, iat = 0 } = decodeJwt(access_token);
    expect(exp - iat).toBe(86_400);
    expect(Number(expires_on)).toBe(exp);
  });

  it('gives the system-assigned identity when none is named', async () => {
    const { access_token } = await jsonOf(await ask({ resource: vault }));
    expect(decodeJwt(access_token)).toMatchObject({
      iss: `https://sts.windows.net/${TENANT_ID}/`,
      aud: vault,
      appid: BROKER_IDENTITY.clientId,
      appidacr: '2',
      oid: BROKER_IDENTITY.oid,
      sub: BROKER_IDENTITY.oid,
      idtyp: 'app',
    });
  });

  it.each([
    ['client_id', READER_IDENTITY.clientId],
    ['mi_res_id', READER_IDENTITY.resourceId ?? ''],
    ['object_id', READER_IDENTITY.oid],
    ['principal_id', READER_IDENTITY.oid],
  ])('gives the user-assigned identity that %s names', async (selector, value) => {
    const { access_token, client_id } = await jsonOf(await ask({ resource: vault, [selector]: value }));
    expect(client_id).toBe(READER_IDENTITY.clientId);
    expect(decodeJwt(access_token)).toMatchObject({ oid: READER_IDENTITY.oid, xms_mirid: READER_IDENTITY.resourceId });
  });

  it('gives the same bytes until the token is near its end, then a new one', async () => {
    const token = async () => (await jsonOf(await ask({ resource: 'https://ml.azure.com' }))).access_token;
    const first = await token();
    sandbox.advance(86_400 - 400);
    expect(await token()).toBe(first);
    sandbox.advance(200);
    expect(await token()).not.toBe(first);
  });

  it('puts Graph permissions into Graph tokens only', async () => {
    const graph = await jsonOf(await ask({ resource: 'https://graph.microsoft.com' }));
    expect(decodeJwt(graph.access_token).roles).toEqual(['Application.ReadWrite.OwnedBy']);
    const arm = await jsonOf(await ask({ resource: 'https://management.azure.com' }));
    expect(decodeJwt(arm.access_token)).not.toHaveProperty('roles');
  });

  it('refuses a call without the identity header, or with a wrong one, with 401', async () => {
    for (const headers of [{}, { 'X-IDENTITY-HEADER': 'wrong' }]) {
      const response = await ask({ resource: vault }, headers);
      expect(response.status).toBe(401);
      expect((await jsonOf(response)).statusCode).toBe(401);
    }
  });

  it('refuses an unknown identity with 400 and the text of the platform', async () => {
    const response = await ask({ resource: vault, client_id: '99999999-0000-4000-8000-000000000000' });
    expect(response.status).toBe(400);
    expect(await jsonOf(response)).toEqual({
      statusCode: 400,
      message: 'No User Assigned or Delegated Managed Identity found for specified ClientId/ResourceId/PrincipalId.',
      correlationId: expect.stringMatching(guid),
    });
  });

  it.each([
    ['no resource', {}],
    ['an unknown resource', { resource: 'https://unknown.example' }],
    ['another protocol version', { resource: vault, 'api-version': '2017-09-01' }],
    ['two identities', { resource: vault, client_id: READER_IDENTITY.clientId, object_id: READER_IDENTITY.oid }],
  ])('refuses %s with 400', async (_case, query) => {
    expect((await ask(query)).status).toBe(400);
  });
});

describe('with the Azure SDK', () => {
  it('serves ManagedIdentityCredential over HTTPS', async () => {
    // The SDK remembers its source and its tokens for the whole process: one SDK test in this file.
    const { IDENTITY_ENDPOINT = '', IDENTITY_HEADER = '' } = sandbox.brokerSettings();
    vi.stubEnv('IDENTITY_ENDPOINT', IDENTITY_ENDPOINT);
    vi.stubEnv('IDENTITY_HEADER', IDENTITY_HEADER);
    const credential = new ManagedIdentityCredential({ clientId: READER_IDENTITY.clientId });
    const { token, expiresOnTimestamp } = await credential.getToken('https://management.azure.com/.default');
    const { oid, exp = 0 } = decodeJwt(token);
    expect(oid).toBe(READER_IDENTITY.oid);
    expect(expiresOnTimestamp).toBe(exp * 1000);
  });
});
