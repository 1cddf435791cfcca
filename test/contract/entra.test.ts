import { createPrivateKey, createPublicKey } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { Agent, request } from 'node:https';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { ClientSecretCredential } from '@azure/identity';
import { createRemoteJWKSet, decodeJwt, decodeProtectedHeader, importPKCS8, jwtVerify, SignJWT } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  BROKER_API,
  BROKER_IDENTITY,
  DEPLOYER,
  FEDERATION_IDENTITY,
  READER_IDENTITY,
  TENANT_ID,
  TRAINER,
} from '../../sandbox/seed.ts';
import { startTestSandbox, type TestSandbox } from '../support/sandbox.ts';

const guid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const assertionType = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';

let sandbox: TestSandbox;
let secret: string;

beforeAll(async () => {
  sandbox = await startTestSandbox({ SANDBOX_ACCESS_TOKEN_SECONDS: '600', SANDBOX_PROPAGATION_SECONDS: '6' });
  secret = await addPassword();
  sandbox.advance(6);
});
afterAll(() => sandbox.stop());

async function addPassword(lifetimeSeconds?: number): Promise<string> {
  const response = await sandbox.control('POST', '/operations/add-password', {
    application: 'trainer',
    lifetimeSeconds,
  });
  return (await jsonOf(response)).secretText;
}

async function jsonOf(response: Response) {
  return JSON.parse(await response.text());
}

function getPage(path: string) {
  return fetch(`${sandbox.endpoints.entra}/${path}`);
}

const valid = () => ({
  grant_type: 'client_credentials',
  client_id: TRAINER.appId,
  client_secret: secret,
  scope: 'https://management.azure.com/.default',
});

/** A token request, each on a connection of its own. */
async function askToken(form: Record<string, string>, path = 'oauth2/v2.0/token', tenant = TENANT_ID, headers = {}) {
  const sent = request(`${sandbox.endpoints.entra}/${tenant}/${path}`, {
    method: 'POST',
    agent: new Agent({ keepAlive: false }),
    headers: { 'Content-Type': 'application/x-www-form-urlencoded;charset=utf-8', ...headers },
  });
  const answered = new Promise<IncomingMessage>((resolve, reject) => {
    sent.on('error', reject);
    sent.on('response', resolve);
  });
  sent.end(new URLSearchParams(form).toString());
  const response = await answered;
  return { status: response.statusCode, headers: response.headers, body: JSON.parse(await text(response)) };
}

async function refusalOf(form: Record<string, string>, path?: string, tenant?: string) {
  const { status, body } = await askToken(form, path, tenant);
  return [status, body.error, body.error_codes];
}

describe('metadata and keys', () => {
  it('shows v2 metadata with the public cloud issuer and own endpoints, cached for a day', async () => {
    const response = await getPage(`${TENANT_ID}/v2.0/.well-known/openid-configuration`);
    expect(response.status).toBe(200);
    expect(response.headers.get('cache-control')).toBe('max-age=86400, private');
    expect(await jsonOf(response)).toMatchObject({
      issuer: `https://login.microsoftonline.com/${TENANT_ID}/v2.0`,
      token_endpoint: `${sandbox.endpoints.entra}/${TENANT_ID}/oauth2/v2.0/token`,
      authorization_endpoint: `${sandbox.endpoints.entra}/${TENANT_ID}/oauth2/v2.0/authorize`,
      jwks_uri: `${sandbox.endpoints.entra}/${TENANT_ID}/discovery/v2.0/keys`,
    });
  });

  it('shows v1 metadata with the sts.windows.net issuer and the same keys', async () => {
    const metadata = await jsonOf(await getPage(`${TENANT_ID}/.well-known/openid-configuration`));
    expect(metadata.issuer).toBe(`https://sts.windows.net/${TENANT_ID}/`);
    expect(metadata.token_endpoint).toBe(`${sandbox.endpoints.entra}/${TENANT_ID}/oauth2/token`);
    const v1Keys = await jsonOf(await fetch(metadata.jwks_uri));
    expect(v1Keys).toEqual(await jsonOf(await getPage(`${TENANT_ID}/discovery/v2.0/keys`)));
  });

  it('publishes at least two RSA keys without alg, the signing key first', async () => {
    const { keys } = await jsonOf(await getPage('common/discovery/keys'));
    expect(keys.length).toBeGreaterThanOrEqual(2);
    for (const key of keys) {
      expect(key).toMatchObject({ kty: 'RSA', use: 'sig', kid: key.x5t, x5c: [expect.any(String)] });
      expect(key).not.toHaveProperty('alg');
    }
    const pem = await readFile(join(sandbox.folder, 'entra-signing-key.pem'), 'utf8');
    expect(pem).toContain('BEGIN PRIVATE KEY');
    expect(createPublicKey(createPrivateKey(pem)).export({ format: 'jwk' }).n).toBe(keys[0].n);
  });

  it('keeps the signing key in a file that only its owner reads', async () => {
    expect((await stat(join(sandbox.folder, 'entra-signing-key.pem'))).mode & 0o777).toBe(0o600);
  });

  it('refuses the metadata of an unknown tenant with 400 and 90002', async () => {
    const response = await getPage('contoso.example/v2.0/.well-known/openid-configuration');
    expect(response.status).toBe(400);
    const body = await jsonOf(response);
    expect(body).toMatchObject({
      error: 'invalid_tenant',
      error_codes: [90002],
      trace_id: expect.stringMatching(guid),
      correlation_id: expect.stringMatching(guid),
      timestamp: expect.stringMatching(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ$/),
    });
    expect(body.error_description).toContain(`AADSTS90002: Tenant 'contoso.example' not found.`);
    expect(body.error_description).toContain(`\r\nTrace ID: ${body.trace_id}\r\n`);
  });

  it('tells the clouds in instance discovery, and the metadata of the authority that was named', async () => {
    const authority = 'https://login.microsoftonline.com/common/oauth2/v2.0/authorize';
    const query = new URLSearchParams({ 'api-version': '1.1', authorization_endpoint: authority });
    const body = await jsonOf(await getPage(`common/discovery/instance?${query}`));
    expect(body.tenant_discovery_endpoint).toBe(
      'https://login.microsoftonline.com/common/v2.0/.well-known/openid-configuration',
    );
    expect(body.metadata[0].aliases).toContain('sts.windows.net');
  });
});

describe('client credentials by secret', () => {
  it('answers with a bearer token, its life in whole seconds, and no more fields', async () => {
    const { status, headers, body } = await askToken(valid());
    expect(status).toBe(200);
    expect(headers['cache-control']).toBe('no-store, no-cache');
    expect(body).toEqual({
      token_type: 'Bearer',
      expires_in: 600,
      ext_expires_in: 600,
      access_token: expect.any(String),
    });
  });

  it('signs a v1 token for Azure Resource Manager whose sub is the oid of the service principal', async () => {
    const { body } = await askToken(valid());
    const keySet = createRemoteJWKSet(new URL(`${sandbox.endpoints.entra}/${TENANT_ID}/discovery/v2.0/keys`));
    const { payload, protectedHeader } = await jwtVerify(body.access_token, keySet, {
      algorithms: ['RS256'],
      currentDate: sandbox.now(),
    });
    expect(protectedHeader).toEqual({ typ: 'JWT', alg: 'RS256', kid: protectedHeader.kid, x5t: protectedHeader.kid });
    expect(payload).toMatchObject({
      iss: `https://sts.windows.net/${TENANT_ID}/`,
      aud: 'https://management.azure.com',
      appid: TRAINER.appId,
      appidacr: '1',
      idtyp: 'app',
      oid: TRAINER.servicePrincipalId,
      sub: TRAINER.servicePrincipalId,
      tid: TENANT_ID,
      ver: '1.0',
    });
    expect(payload.nbf).toBe(payload.iat);
    expect((payload.exp ?? 0) - (payload.iat ?? 0)).toBe(600);
  });

  it('repeats the resource as it was asked in aud, trailing slash included', async () => {
    const { body } = await askToken({ ...valid(), scope: 'https://management.azure.com//.default' });
    expect(decodeJwt(body.access_token).aud).toBe('https://management.azure.com/');
  });

  it.each([
    'https://vault.azure.net',
    'https://storage.azure.com',
    'https://graph.microsoft.com',
    'https://ml.azure.com',
  ])('issues v1 tokens for %s', async (resource) => {
    const { body } = await askToken({ ...valid(), scope: `${resource}/.default` });
    expect(decodeJwt(body.access_token)).toMatchObject({ aud: resource, ver: '1.0', appid: TRAINER.appId });
  });

  it('issues v2 tokens for an API that asks for them: azp, and aud is the application id', async () => {
    const { body } = await askToken({ ...valid(), scope: `${BROKER_API.identifierUri}/.default` });
    const claims = decodeJwt(body.access_token);
    expect(claims).toMatchObject({ aud: BROKER_API.appId, ver: '2.0', azp: TRAINER.appId, azpacr: '1' });
    expect(claims.iss).toBe(`https://login.microsoftonline.com/${TENANT_ID}/v2.0`);
    expect(claims).not.toHaveProperty('appid');
    expect(decodeProtectedHeader(body.access_token)).not.toHaveProperty('x5t');
  });

  it('takes the secret by Basic authentication too', async () => {
    const { client_id, client_secret, ...form } = valid();
    const basic = Buffer.from(`${client_id}:${encodeURIComponent(client_secret)}`).toString('base64');
    const answer = await askToken(form, undefined, undefined, { Authorization: `Basic ${basic}` });
    expect(answer.status).toBe(200);
  });

  it('answers at the v1 endpoint for a resource, with every number as text', async () => {
    const { scope: _, ...form } = valid();
    const { status, body } = await askToken({ ...form, resource: 'https://vault.azure.net' }, 'oauth2/token');
    expect(status).toBe(200);
    expect(body).toMatchObject({ expires_in: '600', ext_expires_in: '600', resource: 'https://vault.azure.net' });
    expect(body.expires_on).toMatch(/^\d{10}$/);
    expect(Number(body.expires_on) - Number(body.not_before)).toBe(600);
  });

  it('echoes the correlation id of the client', async () => {
    const id = '12345678-0000-4000-8000-123456789abc';
    const { body } = await askToken({ ...valid(), client_secret: 'wrong', 'client-request-id': id });
    expect(body.correlation_id).toBe(id);
    expect(body.error_description).toContain(` Correlation ID: ${id} Timestamp: `);
  });
});

describe('refusals of the token endpoint', () => {
  it.each([
    ['a wrong secret', { client_secret: 'wrong' }, [401, 'invalid_client', [7000215]]],
    ['no credential at all', { client_secret: '' }, [401, 'invalid_client', [7000216]]],
    [
      'an unknown application',
      { client_id: '99999999-0000-4000-8000-000000000000' },
      [400, 'unauthorized_client', [700016]],
    ],
    [
      'two resources',
      { scope: 'https://a.example/.default https://b.example/.default' },
      [400, 'invalid_scope', [70011]],
    ],
    ['a scope that is not /.default', { scope: 'https://vault.azure.net/read' }, [400, 'invalid_scope', [70011]]],
    ['an unknown resource', { scope: 'https://unknown.example/.default' }, [400, 'invalid_resource', [500011]]],
    ['no grant type', { grant_type: '' }, [400, 'invalid_request', [900144]]],
    ['another grant type', { grant_type: 'password' }, [400, 'unsupported_grant_type', [70003]]],
  ])('refuses %s', async (_case, change, expected) => {
    expect(await refusalOf({ ...valid(), ...change })).toEqual(expected);
  });

  it('refuses an unknown and a malformed tenant before anything else', async () => {
    expect(await refusalOf(valid(), undefined, 'contoso.example')).toEqual([400, 'invalid_tenant', [90002]]);
    expect(await refusalOf(valid(), undefined, 'conto_so')).toEqual([400, 'invalid_request', [900023]]);
  });

  it('never repeats the secret in its answer', async () => {
    const { body } = await askToken({ ...valid(), client_secret: 'not-the-secret-text' });
    expect(JSON.stringify(body)).not.toContain('not-the-secret-text');
  });

  it('tells an expired secret from a wrong one: 7000222', async () => {
    const shortLived = await addPassword(60);
    sandbox.advance(61);
    expect(await refusalOf({ ...valid(), client_secret: shortLived })).toEqual([401, 'invalid_client', [7000222]]);
  });
});

describe('replicas', () => {
  /** How many of six sign-ins, each on a new connection, get a token: two per replica. */
  async function successes(clientSecret: string): Promise<number> {
    const answers = [];
    for (let index = 0; index < 6; index += 1)
      answers.push(await askToken({ ...valid(), client_secret: clientSecret }));
    return answers.filter(({ status }) => status === 200).length;
  }

  it('learn of a new password one by one, and all of them within the propagation time', async () => {
    const fresh = await addPassword();
    const seen = [await successes(fresh)];
    for (const seconds of [2, 2, 2]) {
      sandbox.advance(seconds);
      seen.push(await successes(fresh));
    }
    expect(seen).toEqual([0, 2, 4, 6]);
  });

  it('learn of a removed password one by one as well', async () => {
    const old = await addPassword();
    sandbox.advance(6);
    const { applications } = await jsonOf(await sandbox.control('GET', '/state'));
    const { keyId } = applications[0].passwords[0];
    await sandbox.control('POST', '/operations/remove-password', { application: 'trainer', keyId });
    const seen = [await successes(old)];
    for (const seconds of [2, 2, 2]) {
      sandbox.advance(seconds);
      seen.push(await successes(old));
    }
    expect(seen).toEqual([6, 4, 2, 0]);
  });
});

describe('client credentials by federated assertion', () => {
  const issuer = `https://login.microsoftonline.com/${TENANT_ID}/v2.0`;

  beforeAll(async () => {
    const token = await sandbox.identityToken('https://graph.microsoft.com');
    const url = `${sandbox.endpoints.graph}/v1.0/applications/${TRAINER.objectId}/federatedIdentityCredentials`;
    const audiences = ['api://AzureADTokenExchange'];
    const credential = { name: 'broker', issuer, subject: BROKER_IDENTITY.oid, audiences };
    const headers = { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' };
    const response = await fetch(url, { method: 'POST', headers, body: JSON.stringify(credential) });
    expect(response.status).toBe(201);
    sandbox.advance(6);
  });

  function withAssertion(assertion: string) {
    const { client_secret: _, ...form } = valid();
    return { ...form, client_assertion_type: assertionType, client_assertion: assertion };
  }

  it('takes the token of the trusted managed identity in place of a secret', async () => {
    const assertion = await sandbox.identityToken('api://AzureADTokenExchange');
    const { status, body } = await askToken(withAssertion(assertion));
    expect(status).toBe(200);
    expect(decodeJwt(body.access_token)).toMatchObject({ appid: TRAINER.appId, appidacr: '2' });
  });

  it('refuses the token of another identity with 700213', async () => {
    const assertion = await sandbox.identityToken('api://AzureADTokenExchange', READER_IDENTITY.clientId);
    expect(await refusalOf(withAssertion(assertion))).toEqual([401, 'invalid_client', [700213]]);
  });

  it('refuses another audience with 700212, another issuer with 700211', async () => {
    const otherIssuer = await sandbox.identityToken('https://management.azure.com');
    expect(await refusalOf(withAssertion(otherIssuer))).toEqual([401, 'invalid_client', [700211]]);
    const otherAudience = await sign({ aud: 'api://other' }, 600);
    expect(await refusalOf(withAssertion(otherAudience))).toEqual([401, 'invalid_client', [700212]]);
  });

  it('refuses an expired assertion with 700024, a tampered one with 700027', async () => {
    const expired = await sign({}, -600);
    expect(await refusalOf(withAssertion(expired))).toEqual([401, 'invalid_client', [700024]]);
    const [header, payload] = (await sign({}, 600)).split('.');
    const tampered = `${header}.${payload}.${Buffer.alloc(256, 1).toString('base64url')}`;
    expect(await refusalOf(withAssertion(tampered))).toEqual([401, 'invalid_client', [700027]]);
  });

  async function sign(claims: Record<string, unknown>, lifetimeSeconds: number): Promise<string> {
    const key = await importPKCS8(await readFile(join(sandbox.folder, 'entra-signing-key.pem'), 'utf8'), 'RS256');
    const { keys } = await jsonOf(await getPage('common/discovery/keys'));
    const exp = Math.floor(sandbox.now().getTime() / 1000) + lifetimeSeconds;
    const all = { iss: issuer, sub: BROKER_IDENTITY.oid, aud: 'api://AzureADTokenExchange', exp, ...claims };
    return new SignJWT(all).setProtectedHeader({ alg: 'RS256', kid: keys[0].kid }).sign(key);
  }
});

describe('on behalf of a user', () => {
  const scope = 'https://ml.azure.com/.default openid profile offline_access';

  const onBehalfOf = async (assertion: string, change: Record<string, string> = {}) => ({
    ...{ grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer', requested_token_use: 'on_behalf_of' },
    ...{ client_id: BROKER_API.appId, client_assertion_type: assertionType, scope, assertion },
    client_assertion: await sandbox.identityToken('api://AzureADTokenExchange', FEDERATION_IDENTITY.clientId),
    ...change,
  });
  const userToken = (caller: Record<string, unknown> = {}) => sandbox.callerToken({ class: 'user', ...caller });

  it.each(['1.0', '2.0'])('gives a token of that user’s own access, from the user’s v%s token', async (version) => {
    const oid = crypto.randomUUID();
    const { status, body } = await askToken(await onBehalfOf(await userToken({ version, oid })));
    expect(status).toBe(200);
    expect(body).toEqual({
      ...{ token_type: 'Bearer', expires_in: 600, ext_expires_in: 600, access_token: expect.any(String) },
      scope: 'https://ml.azure.com/user_impersonation https://ml.azure.com/.default',
      ...{ refresh_token: expect.any(String), id_token: expect.any(String), client_info: expect.any(String) },
    });
    const claims = decodeJwt(body.access_token);
    expect(claims).toMatchObject({
      ...{ aud: 'https://ml.azure.com', appid: BROKER_API.appId, appidacr: '2', oid, tid: TENANT_ID },
      scp: 'user_impersonation',
    });
    expect(claims).not.toHaveProperty('idtyp');
    expect(claims.sub).not.toBe(oid);
    expect(JSON.parse(Buffer.from(body.client_info, 'base64url').toString())).toEqual({ uid: oid, utid: TENANT_ID });
  });

  it.each([
    ['an expired token', () => userToken({ lifetimeSeconds: -60 }), 500133],
    ['a changed token', async () => `${(await userToken()).slice(0, -8)}AAAAAAAA`, 50013],
    ['no JWT at all', async () => 'no-token', 50013],
    ['a token for another application', () => userToken({ claims: { aud: TRAINER.appId } }), 500131],
    ['a token of another tenant', () => userToken({ tenant: '22222222-2222-4222-8222-222222222222' }), 50013],
    ['an app’s token', () => sandbox.callerToken(), 7000114],
  ])('refuses %s', async (_what, makeAssertion, code) => {
    const form = await onBehalfOf(await makeAssertion());
    expect(await refusalOf(form)).toEqual([400, 'invalid_grant', [code]]);
  });

  it('refuses an API that nobody consented to, and says so in the suberror', async () => {
    const { status, body } = await askToken(
      await onBehalfOf(await userToken(), { scope: 'https://graph.microsoft.com/.default openid' }),
    );
    expect([status, body.error, body.suberror, body.error_codes]).toEqual([
      ...[400, 'invalid_grant', 'consent_required'],
      [65001],
    ]);
  });

  it('refuses an application that does not prove itself, before it looks at the user’s token', async () => {
    const form = await onBehalfOf('no-token', { client_assertion: '' });
    expect(await refusalOf(form)).toEqual([401, 'invalid_client', [7000216]]);
    const reader = await sandbox.identityToken('api://AzureADTokenExchange', READER_IDENTITY.clientId);
    const other = await onBehalfOf('no-token', { client_assertion: reader });
    expect(await refusalOf(other)).toEqual([401, 'invalid_client', [700213]]);
  });

  it.each([
    ['without its mark', { requested_token_use: '' }, [400, 'unsupported_grant_type', [70003]]],
    ['without the user’s token', { assertion: '' }, [400, 'invalid_request', [900144]]],
    ['with nothing but OpenID scopes', { scope: 'openid profile' }, [400, 'invalid_request', [900144]]],
    [
      'for two resources',
      { scope: 'https://ml.azure.com/.default https://management.azure.com/.default' },
      [400, 'invalid_scope', [70011]],
    ],
  ])('refuses a request %s', async (_what, change, expected) => {
    expect(await refusalOf(await onBehalfOf(await userToken(), change))).toEqual(expected);
  });

  it('is not known at the v1 endpoint', async () => {
    const form = await onBehalfOf(await userToken(), { resource: 'https://ml.azure.com' });
    expect(await refusalOf(form, 'oauth2/token')).toEqual([400, 'unsupported_grant_type', [70003]]);
  });

  it('never repeats the user’s token in its answer', async () => {
    const assertion = await userToken({ lifetimeSeconds: -60 });
    const { body } = await askToken(await onBehalfOf(assertion));
    expect(JSON.stringify(body)).not.toContain(assertion.split('.')[1]);
  });

  it.each([50076, 50079, 53003])('wants a step-up, with its claims, while a fault plans it: %d', async (code) => {
    await sandbox.control('POST', '/faults', {
      service: 'entra',
      match: '^POST',
      status: 400,
      code: String(code),
      times: 1,
    });
    const { body } = await askToken(await onBehalfOf(await userToken()));
    expect(body.error_codes).toEqual([code]);
    expect(JSON.parse(body.claims)).toMatchObject({ access_token: expect.any(Object) });
  });
});

describe('the application without a secret', () => {
  it('is seeded with its trust in the identity federation, known from the start', async () => {
    const { applications } = await jsonOf(await sandbox.control('GET', '/state'));
    const named = (name: string) => applications.find((one: { displayName: string }) => one.displayName === name);
    const trust = {
      name: 'broker',
      issuer: `https://login.microsoftonline.com/${TENANT_ID}/v2.0`,
      subject: FEDERATION_IDENTITY.oid,
      audiences: ['api://AzureADTokenExchange'],
    };
    expect(named('deployer')).toMatchObject({ appId: DEPLOYER.appId, passwords: [], federatedCredentials: [trust] });
    expect(named('aml-token-broker-api')).toMatchObject({ passwords: [], federatedCredentials: [trust] });
  });
});

describe('with the Azure SDK', () => {
  const options = () => ({ authorityHost: sandbox.endpoints.entra, disableInstanceDiscovery: true });

  it('serves ClientSecretCredential', async () => {
    const credential = new ClientSecretCredential(TENANT_ID, TRAINER.appId, secret, options());
    const { token } = await credential.getToken('https://vault.azure.net/.default');
    expect(decodeJwt(token).aud).toBe('https://vault.azure.net');
  });

  it('shows it a wrong secret as error number 7000215', async () => {
    const credential = new ClientSecretCredential(TENANT_ID, TRAINER.appId, 'wrong', options());
    const error = await credential.getToken('https://vault.azure.net/.default').catch((reason) => reason);
    expect(error.name).toBe('AuthenticationRequiredError');
    expect(error.cause.errorCode).toBe('invalid_client');
    expect(Number(error.cause.errorNo)).toBe(7000215);
    expect(error.cause.status).toBe(401);
  });
});
