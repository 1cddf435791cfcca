import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createRemoteJWKSet, decodeJwt, decodeProtectedHeader, jwtVerify } from 'jose';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { startSandbox } from '../../sandbox/sandbox.ts';
import { BROKER_API, BROKER_IDENTITY, DEFAULT_CALLER, TENANT_ID, TRAINER } from '../../sandbox/seed.ts';
import { readSandboxSettings } from '../../sandbox/settings.ts';
import { startTestSandbox, type TestSandbox } from '../support/sandbox.ts';

const guid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

let sandbox: TestSandbox;

beforeAll(async () => {
  sandbox = await startTestSandbox({ SANDBOX_PROPAGATION_SECONDS: '0' });
});
afterAll(() => sandbox.stop());

async function jsonOf(response: Response) {
  return JSON.parse(await response.text());
}

async function operate(name: string, body: unknown) {
  const response = await sandbox.control('POST', `/operations/${name}`, body);
  return { status: response.status, body: await jsonOf(response) };
}

describe('POST /callers', () => {
  it('makes the default caller: a v2 app token for the broker, signed by Entra', async () => {
    const keySet = createRemoteJWKSet(new URL(`${sandbox.endpoints.entra}/${TENANT_ID}/discovery/v2.0/keys`));
    const { payload, protectedHeader } = await jwtVerify(await sandbox.callerToken(), keySet);
    expect(protectedHeader).toEqual({ typ: 'JWT', alg: 'RS256', kid: expect.any(String) });
    expect(payload).toMatchObject({
      iss: `https://login.microsoftonline.com/${TENANT_ID}/v2.0`,
      aud: BROKER_API.appId,
      azp: DEFAULT_CALLER.appId,
      azpacr: '1',
      idtyp: 'app',
      oid: DEFAULT_CALLER.oid,
      sub: DEFAULT_CALLER.oid,
      tid: TENANT_ID,
      ver: '2.0',
    });
    expect(payload).not.toHaveProperty('scp');
    expect((payload.exp ?? 0) - (payload.iat ?? 0)).toBe(3600);
  });

  it('makes v1 tokens with the identifier URI as audience, appid and the v1 issuer', async () => {
    const token = await sandbox.callerToken({ version: '1.0' });
    expect(decodeProtectedHeader(token)).toHaveProperty('x5t');
    expect(decodeJwt(token)).toMatchObject({
      iss: `https://sts.windows.net/${TENANT_ID}/`,
      aud: BROKER_API.identifierUri,
      appid: DEFAULT_CALLER.appId,
      appidacr: '1',
      ver: '1.0',
    });
  });

  it('makes users: scp, no idtyp, and a sub that is not the oid', async () => {
    const claims = decodeJwt(await sandbox.callerToken({ class: 'user' }));
    expect(claims).toMatchObject({ scp: 'user_impersonation', oid: DEFAULT_CALLER.userOid, azpacr: '0' });
    expect(claims).not.toHaveProperty('idtyp');
    expect(claims.sub).not.toBe(claims.oid);
    expect(decodeJwt(await sandbox.callerToken({ scp: 'Models.Read' })).scp).toBe('Models.Read');
  });

  it('makes a stranger when appId or oid is given: the other one is random', async () => {
    const appId = '77777777-0000-4000-8000-000000000001';
    const [first, second] = await Promise.all([sandbox.callerToken({ appId }), sandbox.callerToken({ appId })]);
    expect(decodeJwt(first).azp).toBe(appId);
    expect(decodeJwt(first).oid).toMatch(guid);
    expect(decodeJwt(first).oid).not.toBe(decodeJwt(second).oid);
    const byOid = decodeJwt(await sandbox.callerToken({ oid: appId }));
    expect(byOid).toMatchObject({ oid: appId, sub: appId, azp: expect.stringMatching(guid) });
    expect(byOid.azp).not.toBe(DEFAULT_CALLER.appId);
  });

  it('puts in roles, tenant and any claim, and takes out a claim that is null', async () => {
    const tenant = '22222222-2222-4222-8222-222222222222';
    const claims = decodeJwt(
      await sandbox.callerToken({ roles: ['Operator'], tenant, claims: { ver: null, extra: { nested: [1] } } }),
    );
    expect(claims).toMatchObject({ roles: ['Operator'], tid: tenant, extra: { nested: [1] } });
    expect(claims.iss).toBe(`https://login.microsoftonline.com/${tenant}/v2.0`);
    expect(claims).not.toHaveProperty('ver');
  });

  it('makes expired tokens whose beginning was before their end', async () => {
    const { iat = 0, exp = 0 } = decodeJwt(await sandbox.callerToken({ lifetimeSeconds: -60 }));
    expect(exp).toBeLessThan(Date.now() / 1000 - 55);
    expect(iat).toBeLessThan(exp);
  });

  it('answers bare text to Accept: text/plain', async () => {
    const response = await fetch(`${sandbox.endpoints.control}/callers`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', Accept: 'text/plain' },
      body: '{}',
    });
    expect(response.headers.get('content-type')).toBe('text/plain; charset=utf-8');
    expect(response.headers.get('cache-control')).toBe('no-store');
    expect(await response.text()).toMatch(/^eyJ[\w-]+\.[\w-]+\.[\w-]+$/);
  });

  it.each([
    ['an unknown field', { apId: 'x' }, 'apId'],
    ['another version', { version: '3.0' }, 'version'],
    ['scp for an app', { class: 'app', scp: 'x' }, 'scp'],
    ['an id that is no GUID', { oid: 'me' }, 'oid'],
    ['a subject without class workload', { subject: 'me' }, 'class "workload"'],
    ['an object id for a workload', { class: 'workload', oid: TENANT_ID }, 'oid'],
    ['a version for a workload', { class: 'workload', version: '2.0' }, 'version'],
  ])('refuses %s in a sentence that names it', async (_case, body, word) => {
    const response = await sandbox.control('POST', '/callers', body);
    expect(response.status).toBe(400);
    expect((await jsonOf(response)).error).toContain(word);
  });
});

describe('who may call', () => {
  it('refuses a POST that is not JSON with 415, so that no web page can send one', async () => {
    const response = await fetch(`${sandbox.endpoints.control}/callers`, { method: 'POST', body: '{}' });
    expect(response.status).toBe(415);
    expect((await jsonOf(response)).error).toContain('Content-Type: application/json');
  });

  it('refuses a Host that is not loopback with 403', async () => {
    expect(await statusForHost('attacker.example')).toBe(403);
    expect(await statusForHost('127.0.0.1.attacker.example')).toBe(403);
    expect(await statusForHost('localhost:1234')).toBe(200);
  });

  it('refuses a body that is no JSON with 400, an unknown page and an unknown operation with 404', async () => {
    const headers = { 'Content-Type': 'application/json' };
    const url = `${sandbox.endpoints.control}/callers`;
    expect((await fetch(url, { method: 'POST', headers, body: '{' })).status).toBe(400);
    expect((await sandbox.control('GET', '/callers')).status).toBe(404);
    expect(await operate('drop-tables', {})).toMatchObject({ status: 404, body: { error: expect.any(String) } });
  });

  function statusForHost(host: string): Promise<number> {
    return new Promise((resolve, reject) => {
      const sent = request(`${sandbox.endpoints.control}/calls`, { headers: { Host: host } });
      sent.on('error', reject);
      sent.on('response', (response) => {
        response.resume();
        resolve(response.statusCode ?? 0);
      });
      sent.end();
    });
  }
});

describe('faults', () => {
  const metadata = () => `${sandbox.endpoints.entra}/${TENANT_ID}/v2.0/.well-known/openid-configuration`;
  const application = () => `${sandbox.endpoints.graph}/v1.0/applications/${TRAINER.objectId}`;

  afterEach(() => sandbox.control('DELETE', '/faults'));

  async function plan(fault: Record<string, unknown>) {
    expect((await sandbox.control('POST', '/faults', fault)).status).toBe(201);
  }

  it('answer with status, code and Retry-After in the shape of the service', async () => {
    await plan({ service: 'graph', status: 429, code: 'TooManyRequests', retryAfterSeconds: 7 });
    const response = await fetch(application());
    expect([response.status, response.headers.get('retry-after')]).toEqual([429, '7']);
    expect((await jsonOf(response)).error.code).toBe('TooManyRequests');
  });

  it('have status 503 when only a code is given, and an AADSTS number at Entra', async () => {
    await plan({ service: 'entra', code: 'AADSTS90033' });
    const response = await fetch(metadata());
    expect(response.status).toBe(503);
    expect(await jsonOf(response)).toMatchObject({ error: 'temporarily_unavailable', error_codes: [90033] });
  });

  it('carry the claims challenge that a code stands for', async () => {
    await plan({ service: 'entra', status: 400, code: '50076' });
    const { error, claims } = await jsonOf(await fetch(metadata()));
    expect(error).toBe('interaction_required');
    expect(JSON.parse(claims)).toHaveProperty('access_token');
  });

  it.each([
    ['managedIdentity', 'statusCode'],
    ['keyVault', 'error'],
    ['arm', 'error'],
    ['scoring', 'error'],
  ] as const)('hit %s in its own shape', async (service, field) => {
    await plan({ service, status: 500 });
    const response = await fetch(sandbox.endpoints[service]);
    expect(response.status).toBe(500);
    expect(await jsonOf(response)).toHaveProperty(field);
  });

  it('hit only what they match: method and path', async () => {
    await plan({ service: 'entra', match: '^POST .*/token$' });
    expect((await fetch(metadata())).status).toBe(200);
    const token = metadata().replace('v2.0/.well-known/openid-configuration', 'oauth2/v2.0/token');
    expect((await fetch(token, { method: 'POST' })).status).toBe(503);
  });

  it('end after the given number of times, and all of them at DELETE', async () => {
    await plan({ service: 'entra', status: 500, times: 2 });
    const statuses = [];
    for (let call = 0; call < 3; call += 1) statuses.push((await fetch(metadata())).status);
    expect(statuses).toEqual([500, 500, 200]);
    await plan({ service: 'entra', status: 500 });
    expect((await sandbox.control('DELETE', '/faults')).status).toBe(204);
    expect((await fetch(metadata())).status).toBe(200);
  });

  it('delay an answer that is otherwise as usual', async () => {
    await plan({ service: 'entra', delayMs: 150 });
    const begin = performance.now();
    expect((await fetch(metadata())).status).toBe(200);
    expect(performance.now() - begin).toBeGreaterThan(140);
  });

  it('do the work and lose the answer: commitThenDrop', async () => {
    const token = await sandbox.identityToken('https://graph.microsoft.com');
    const count = async () => (await jsonOf(await sandbox.control('GET', '/state'))).applications[0].passwords.length;
    const before = await count();
    await plan({ service: 'graph', match: 'addPassword$', commitThenDrop: true, times: 1 });
    const headers = { Authorization: `Bearer ${token}` };
    const call = fetch(`${application()}/addPassword`, { method: 'POST', headers, body: '{}' });
    await expect(call).rejects.toThrow('fetch failed');
    expect(await count()).toBe(before + 1);
  });

  it.each([
    ['an unknown service', { service: 'dns' }],
    ['a pattern that is none', { service: 'arm', match: '(' }],
    ['an unknown field', { service: 'arm', after: 3 }],
    ['no use at all', { service: 'arm', times: 0 }],
  ])('are refused with %s', async (_case, fault) => {
    expect((await sandbox.control('POST', '/faults', fault)).status).toBe(400);
  });
});

describe('GET /calls', () => {
  it('shows who called what with which result, and no secret', async () => {
    const token = await sandbox.identityToken('https://graph.microsoft.com');
    await sandbox.control('DELETE', '/calls');
    const secret = 'secret-of-a-form';
    const form = new URLSearchParams({
      client_id: TRAINER.appId,
      client_secret: secret,
      grant_type: 'client_credentials',
    });
    const path = `/${TENANT_ID}/oauth2/v2.0/token`;
    await fetch(`${sandbox.endpoints.entra}${path}?client-request-id=in-the-query`, { method: 'POST', body: form });
    const graphPath = `/v1.0/applications/${TRAINER.objectId}`;
    await fetch(`${sandbox.endpoints.graph}${graphPath}`, { headers: { Authorization: `Bearer ${token}` } });

    const text = await (await sandbox.control('GET', '/calls')).text();
    const at = expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
    expect(JSON.parse(text)).toEqual([
      { at, service: 'entra', method: 'POST', path, status: 400, client: TRAINER.appId },
      { at, service: 'graph', method: 'GET', path: graphPath, status: 200, client: BROKER_IDENTITY.clientId },
    ]);
    for (const hidden of [secret, token, 'in-the-query']) expect(text).not.toContain(hidden);
  });

  it('shows no client where a caller put something else than an application id', async () => {
    await sandbox.control('DELETE', '/calls');
    const body = new URLSearchParams({ client_id: 'a-secret-by-mistake' });
    await fetch(`${sandbox.endpoints.entra}/${TENANT_ID}/oauth2/v2.0/token`, { method: 'POST', body });
    expect((await jsonOf(await sandbox.control('GET', '/calls')))[0].client).toBeNull();
  });

  it('is empty after DELETE, and calls of the control interface are none', async () => {
    expect((await sandbox.control('DELETE', '/calls')).status).toBe(204);
    await sandbox.callerToken();
    expect(await jsonOf(await sandbox.control('GET', '/calls'))).toEqual([]);
  });
});

describe('GET /state and operations', () => {
  it('shows applications, secrets and endpoints without any secret', async () => {
    const { body: added } = await operate('add-password', { application: 'trainer', displayName: 'by hand' });
    await operate('set-secret', { name: 'by-hand', value: 'the value by hand', tags: { owner: 'me' } });
    const text = await (await sandbox.control('GET', '/state')).text();
    const state = JSON.parse(text);
    const trainer = state.applications.find(({ id }: { id: string }) => id === TRAINER.objectId);
    expect(trainer.owners).toEqual([BROKER_IDENTITY.oid]);
    expect(trainer.passwords[0]).toEqual({
      keyId: added.keyId,
      displayName: 'by hand',
      startDateTime: expect.any(String),
      endDateTime: expect.any(String),
    });
    const byHand = state.secrets.find(({ name }: { name: string }) => name === 'by-hand');
    expect(byHand.versions[0]).toMatchObject({ enabled: true, tags: { owner: 'me' } });
    expect(state.endpoints).toContainEqual(
      expect.objectContaining({ workspace: 'prod', name: 'fraud-aml', authMode: 'AMLToken' }),
    );
    for (const hidden of [added.secretText, 'the value by hand']) expect(text).not.toContain(hidden);
  });

  it('ties the seeded password to its Key Vault secret by the tag keyId', async () => {
    const { applications, secrets } = await jsonOf(await sandbox.control('GET', '/state'));
    const trainer = applications.find(({ id }: { id: string }) => id === TRAINER.objectId);
    const secret = secrets.find(({ name }: { name: string }) => name === TRAINER.secretName);
    expect(trainer.passwords.map(({ keyId }: { keyId: string }) => keyId)).toContain(secret.versions[0].tags.keyId);
  });

  it('removes a password, and says so when there is none', async () => {
    const { body } = await operate('add-password', { application: TRAINER.appId, lifetimeSeconds: 60 });
    const input = { application: TRAINER.objectId, keyId: body.keyId };
    expect((await operate('remove-password', input)).status).toBe(200);
    const again = await operate('remove-password', input);
    expect([again.status, again.body.error]).toEqual([400, expect.stringContaining('GET /state')]);
  });

  it('changes, recreates and deletes endpoints', async () => {
    const name = { workspace: 'prod', endpoint: 'churn-aml' };
    const shown = async () => {
      const { endpoints } = await jsonOf(await sandbox.control('GET', '/state'));
      return endpoints.find((one: { name: string }) => one.name === name.endpoint);
    };
    const before = await shown();
    expect((await operate('set-auth-mode', { ...name, authMode: 'aad_token' })).status).toBe(200);
    expect((await shown()).authMode).toBe('AADToken');
    sandbox.advance(1);
    await operate('recreate-endpoint', name);
    expect((await shown()).created).not.toBe(before.created);
    await operate('delete-endpoint', name);
    expect(await shown()).toBeUndefined();
    expect((await operate('delete-endpoint', name)).status).toBe(400);
  });

  it('disables and deletes secrets', async () => {
    await operate('set-secret', { name: 'short-lived', value: 'x' });
    expect((await operate('disable-secret', { name: 'short-lived' })).status).toBe(200);
    expect((await operate('delete-secret', { name: 'short-lived' })).status).toBe(200);
    expect((await operate('delete-secret', { name: 'short-lived' })).status).toBe(400);
  });

  it('drops one owner, and refuses an owner that is none', async () => {
    const input = { application: 'trainer', owner: BROKER_IDENTITY.oid };
    expect((await operate('drop-owner', input)).status).toBe(200);
    expect((await operate('drop-owner', input)).status).toBe(400);
  });
});

describe('settings of the sandbox', () => {
  it('have the documented defaults', () => {
    expect(readSandboxSettings({})).toEqual({
      sandboxPort: 7080,
      brokerPort: 7071,
      endpointTokenSeconds: 60,
      endpointRefreshAfterSeconds: 30,
      accessTokenSeconds: 3600,
      propagationSeconds: 5,
      proofSpreadSeconds: 6,
      policyBlob: false,
      refreshSchedule: '*/5 * * * * *',
      rotateSchedule: '*/2 * * * * *',
    });
  });

  it('are refused all together, each by its name', () => {
    const wrong = { SANDBOX_PORT: '99999', SANDBOX_ACCESS_TOKEN_SECONDS: 'soon', REFRESH_SCHEDULE: '* * *' };
    for (const name of Object.keys(wrong)) expect(() => readSandboxSettings(wrong)).toThrow(`${name} must`);
  });

  it('are refused when a token would have to be refreshed after its end, or ports meet', () => {
    const late = { SANDBOX_ENDPOINT_TOKEN_SECONDS: '30' };
    expect(() => readSandboxSettings(late)).toThrow('must be less than SANDBOX_ENDPOINT_TOKEN_SECONDS');
    expect(() => readSandboxSettings({ BROKER_PORT: '7085' })).toThrow('BROKER_PORT must not be one of');
  });
});

describe('start', () => {
  it('takes ports in a row, and names a busy one and its setting', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'sandbox-start-'));
    // Below the range that the system gives out for port 0, so that no other test gets one of the row.
    const firstPort = 20_000 + (process.pid % 1000) * 11;
    const settings = readSandboxSettings({});
    const running = await startSandbox({ folder, settings, firstPort });
    try {
      expect(running.endpoints.entra).toBe(`https://localhost:${firstPort + 1}`);
      expect(running.endpoints.control).toBe(`http://127.0.0.1:${firstPort + 9}`);
      const again = startSandbox({ folder, settings, firstPort });
      await expect(again).rejects.toThrow(/^Port \d+.* in use.* SANDBOX_PORT/);
    } finally {
      await running.stop();
    }
    expect(await readdir(folder)).toContain('entra-signing-key.pem');
    const restarted = await startSandbox({ folder, settings, firstPort });
    await restarted.stop();
    await rm(folder, { recursive: true, force: true });
  });
});
