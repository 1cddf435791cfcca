import { SecretClient } from '@azure/keyvault-secrets';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import * as z from 'zod';
import { createKeyVault } from '../../sandbox/key-vault/key-vault.ts';
import { createSecretOperations } from '../../sandbox/key-vault/secret-operations.ts';
import { createSecretStore, type SecretStore } from '../../sandbox/key-vault/secret-store.ts';
import { faultBody } from '../../sandbox/key-vault/vault-answers.ts';
import { BROKER_IDENTITY, READER_IDENTITY, REGION, TENANT_ID } from '../../sandbox/seed.ts';
import { describeKeyVault } from './key-vault-suite.ts';
import { callPlain, createLocalAzure, type LocalAzure, type PlainAnswer } from './local-azure.ts';

const audience = 'https://vault.azure.net';
const officer = { appId: BROKER_IDENTITY.clientId, oid: BROKER_IDENTITY.oid };
const stranger = { appId: READER_IDENTITY.clientId, oid: READER_IDENTITY.oid };
const vaultId = '/subscriptions/s/resourceGroups/rg/providers/Microsoft.KeyVault/vaults/kv-broker';
const lagSeconds = 3;

const bundle = z.looseObject({ id: z.string(), value: z.string().optional() });
const page = z.object({ value: z.array(bundle), nextLink: z.string().nullable() });

let azure: LocalAzure;
let store: SecretStore;
let vault: string;
let token: string;

beforeAll(async () => {
  azure = await createLocalAzure();
  token = await azure.token(officer, audience);
});
afterAll(() => azure.stop());

beforeEach(async () => {
  store = createSecretStore({ clock: azure.clock, lagSeconds });
  const handler = createKeyVault({
    store,
    entra: azure.keys,
    entraUrl: 'https://login.example',
    tenantId: TENANT_ID,
    resourceId: vaultId,
    region: REGION,
    secretsOfficers: [BROKER_IDENTITY.oid],
    clock: azure.clock,
  });
  vault = await azure.serve('keyVault', handler, faultBody);
});

const scopes: string[] = [];

describeKeyVault('the sandbox', () => ({
  scopes,
  now: azure.clock,
  settle: async () => azure.advanceSeconds(lagSeconds),
  client() {
    const credential = azure.credential(officer);
    const getToken: typeof credential.getToken = (asked, options) => {
      scopes.push(...[asked].flat());
      return credential.getToken(asked, options);
    };
    const retryOptions = { maxRetries: 0 };
    return new SecretClient(vault, { getToken }, { disableChallengeResourceVerification: true, retryOptions });
  },
}));

/** Calls the vault as the officer. */
function call(method: string, path: string, json?: unknown): Promise<PlainAnswer> {
  const url = `${vault}${path}${path.includes('?') ? '&' : '?'}api-version=2026-04-01`;
  return callPlain(method, url, { token, ...(json === undefined ? {} : { json }) });
}

async function put(name: string, value: string, rest: Record<string, unknown> = {}): Promise<string> {
  const answer = await call('PUT', `/secrets/${name}`, { value, ...rest });
  return bundle.parse(answer.body).id.split('/').at(-1) ?? '';
}

describe('Key Vault: who may call', () => {
  it('answers a call without token with 401 and a challenge that names tenant and resource', async () => {
    const answer = await callPlain('PUT', `${vault}/secrets/a?api-version=2026-04-01`);
    expect(answer.status).toBe(401);
    expect(answer.headers['www-authenticate']).toBe(
      `Bearer authorization="https://login.example/${TENANT_ID}", resource="https://vault.azure.net"`,
    );
    expect(answer.body).toEqual({
      error: { code: 'Unauthorized', message: 'AKV10000: Request is missing a Bearer, PoP, or MTLS_POP token.' },
    });
    expect(answer.headers).not.toHaveProperty('x-ms-keyvault-rbac-assignment-id');
  });

  it('refuses a token for another audience with AKV10022 and names both', async () => {
    const wrong = await azure.token(officer, 'https://management.azure.com');
    const answer = await callPlain('GET', `${vault}/secrets?api-version=2026-04-01`, { token: wrong });
    expect(answer).toMatchObject({
      status: 401,
      body: {
        error: {
          code: 'Unauthorized',
          message: 'AKV10022: Invalid audience. Expected https://vault.azure.net, found: https://management.azure.com.',
        },
      },
    });
  });

  it('refuses an expired token and one with a foreign signature with 401 and a challenge', async () => {
    const expired = await azure.token(officer, audience, -600);
    const forged = `${token.slice(0, -10)}AAAAAAAAAA`;
    for (const bad of [expired, forged, 'no-jwt']) {
      const answer = await callPlain('GET', `${vault}/secrets?api-version=2026-04-01`, { token: bad });
      expect(answer).toMatchObject({ status: 401, body: { error: { code: 'Unauthorized' } } });
      expect(answer.headers['www-authenticate']).toContain('resource="https://vault.azure.net"');
    }
  });

  it('refuses a caller without role with 403 ForbiddenByRbac that names caller and action', async () => {
    await put('a', 'text');
    const url = `${vault}/secrets/a?api-version=2026-04-01`;
    const answer = await callPlain('GET', url, { token: await azure.token(stranger, audience) });
    expect(answer).toMatchObject({
      status: 403,
      body: { error: { code: 'Forbidden', innererror: { code: 'ForbiddenByRbac' } } },
    });
    expect(answer.text).toContain(`appid=${stranger.appId};oid=${stranger.oid}`);
    expect(answer.text).toContain("Action: 'Microsoft.KeyVault/vaults/secrets/getSecret/action'");
    expect(answer.text).toContain(`${vaultId}/secrets/a`);
  });

  it('needs an api-version, in any percent-encoding of its name', async () => {
    await put('a', 'text');
    const without = await callPlain('GET', `${vault}/secrets/a`, { token });
    expect(without).toMatchObject({ status: 400, body: { error: { code: 'BadParameter' } } });
    const encoded = await callPlain('GET', `${vault}/secrets/a/?api%2Dversion=2026-04-01`, { token });
    expect(encoded).toMatchObject({ status: 200, body: { value: 'text' } });
  });
});

describe('Key Vault: secrets and their versions', () => {
  it('writes a bundle with epoch seconds, a 32-digit version and no field for what is not set', async () => {
    const answer = await call('PUT', '/secrets/plain', { value: 'text', attributes: {} });
    expect(answer.status).toBe(200);
    const seconds = Math.floor(azure.clock().getTime() / 1000);
    expect(answer.body).toEqual({
      value: 'text',
      id: expect.stringMatching(new RegExp(`^${vault}/secrets/plain/[0-9a-f]{32}$`)),
      attributes: {
        enabled: true,
        created: expect.closeTo(seconds, -1),
        updated: expect.closeTo(seconds, -1),
        recoveryLevel: 'CustomizedRecoverable+Purgeable',
        recoverableDays: 7,
      },
    });
  });

  it('carries the headers of the service and echoes the client request id', async () => {
    const headers = { 'x-ms-client-request-id': 'my-id' };
    const answer = await callPlain('GET', `${vault}/secrets?api-version=2026-04-01`, { token, headers });
    expect(answer.headers).toMatchObject({
      'cache-control': 'no-cache',
      'content-type': 'application/json; charset=utf-8',
      'x-ms-client-request-id': 'my-id',
      'x-ms-keyvault-region': REGION,
      'x-ms-keyvault-rbac-assignment-id': expect.stringMatching(/^[0-9a-f]{32}$/),
      'x-ms-keyvault-service-version': expect.any(String),
      'x-ms-keyvault-network-info': expect.stringContaining('addr=127.0.0.1'),
      'x-ms-request-id': expect.stringMatching(/^[0-9a-f-]{36}$/),
    });
  });

  it('names a secret in the spelling of its first writer', async () => {
    await put('Mixed-Case', 'one');
    const answer = await call('PUT', '/secrets/mixed-case', { value: 'two' });
    expect(answer.body).toMatchObject({ id: expect.stringContaining('/secrets/Mixed-Case/') });
  });

  it('ignores a value in PATCH and never answers with one', async () => {
    const version = await put('a', 'one', { tags: { a: '1', b: '2' } });
    const answer = await call('PATCH', `/secrets/a/${version}`, { tags: { c: '3' }, value: 'ignored' });
    expect(answer).toMatchObject({ status: 200, body: { tags: { c: '3' } } });
    expect(answer.body).not.toHaveProperty('value');
    expect((await call('GET', '/secrets/a')).body).toMatchObject({ value: 'one' });
  });

  it('words the refusal of a disabled version as Key Vault does', async () => {
    const version = await put('a', 'one', { attributes: { enabled: false } });
    for (const path of ['/secrets/a/', `/secrets/a/${version}`]) {
      expect(await call('GET', path)).toMatchObject({
        status: 403,
        body: {
          error: {
            code: 'Forbidden',
            message: 'Operation get is not allowed on a disabled secret.',
            innererror: { code: 'SecretDisabled' },
          },
        },
      });
    }
  });

  it('answers 404 SecretNotFound for a name and for a version that are not there', async () => {
    await put('a', 'one');
    for (const path of ['/secrets/missing', `/secrets/a/${'0'.repeat(32)}`]) {
      const answer = await call('GET', path);
      expect(answer).toMatchObject({ status: 404, body: { error: { code: 'SecretNotFound' } } });
      expect(answer.text).toContain(`(name/id) ${path.slice('/secrets/'.length)} was not found`);
    }
  });

  it.each([
    ['an underscore in the name', '/secrets/bad_name', { value: 'x' }],
    ['a name of 128 characters', `/secrets/${'n'.repeat(128)}`, { value: 'x' }],
    ['a value of 25,601 characters', '/secrets/a', { value: 'v'.repeat(25_601) }],
    [
      'sixteen tags',
      '/secrets/a',
      { value: 'x', tags: Object.fromEntries([...'abcdefghijklmnop'].map((k) => [k, k])) },
    ],
    ['a tag of 257 characters', '/secrets/a', { value: 'x', tags: { k: 'v'.repeat(257) } }],
    ['a content type of 256 characters', '/secrets/a', { value: 'x', contentType: 'c'.repeat(256) }],
    ['an exp that is no integer', '/secrets/a', { value: 'x', attributes: { exp: 'soon' } }],
    ['no value', '/secrets/a', {}],
    ['no JSON', '/secrets/a', undefined],
  ])('refuses %s with 400 BadParameter and writes nothing', async (_what, path, json) => {
    expect(await call('PUT', path, json)).toMatchObject({ status: 400, body: { error: { code: 'BadParameter' } } });
    expect(store.list()).toEqual([]);
  });
});

describe('Key Vault: lists', () => {
  it('lists versions ordered by id, without values, and with a null nextLink at the end', async () => {
    const written = [];
    for (const value of ['one', 'two', 'three', 'four']) written.push(await put('a', value));
    const { value, nextLink } = page.parse((await call('GET', '/secrets/a/versions')).body);
    expect(value.map(({ id }) => id.split('/').at(-1))).toEqual(written.toSorted());
    expect(value.every((item) => !('value' in item))).toBe(true);
    expect(nextLink).toBeNull();
  });

  it('pages by maxresults; nextLink names this host and port, an opaque $skiptoken and the size', async () => {
    const written = [];
    for (const value of ['one', 'two', 'three']) written.push(await put('a', value));
    const seen: string[] = [];
    let url: string | null = `${vault}/secrets/a/versions?api-version=2026-04-01&maxresults=1`;
    while (url !== null) {
      const answer: PlainAnswer = await callPlain('GET', url, { token });
      const { value, nextLink } = page.parse(answer.body);
      seen.push(...value.map(({ id }) => id.split('/').at(-1) ?? ''));
      const expected = new RegExp(
        `^${vault}/secrets/a/versions\\?api-version=2026-04-01&\\$skiptoken=[\\w-]+&maxresults=1$`,
      );
      if (nextLink !== null) expect(nextLink).toMatch(expected);
      url = nextLink;
    }
    expect(seen).toEqual(written.toSorted());
  });

  it.each(['0', '26', 'many'])('refuses maxresults=%s with 400 BadParameter', async (size) => {
    await put('a', 'one');
    const answer = await call('GET', `/secrets/a/versions?maxresults=${size}`);
    expect(answer).toMatchObject({ status: 400, body: { error: { code: 'BadParameter' } } });
  });

  it('lists secrets under ids without version, 25 to a page', async () => {
    for (let index = 0; index < 26; index += 1) store.set(`s${String(index).padStart(2, '0')}`, 'text');
    const first = page.parse((await call('GET', '/secrets')).body);
    expect(first.value).toHaveLength(25);
    expect(first.value[0]?.id).toBe(`${vault}/secrets/s00`);
    const rest = page.parse((await callPlain('GET', first.nextLink ?? '', { token })).body);
    expect(rest.value.map(({ id }) => id)).toEqual([`${vault}/secrets/s25`]);
  });
});

describe('Key Vault: soft delete', () => {
  it('hides a deleted secret at once and shows it among the deleted ones only after a moment', async () => {
    const version = await put('a', 'one');
    const deletion = await call('DELETE', '/secrets/a');
    const { deletedDate, scheduledPurgeDate } = z
      .object({ deletedDate: z.int(), scheduledPurgeDate: z.int() })
      .parse(deletion.body);
    expect(deletion).toMatchObject({
      status: 200,
      body: { recoveryId: `${vault}/deletedsecrets/a`, id: `${vault}/secrets/a/${version}` },
    });
    expect(deletion.body).not.toHaveProperty('value');
    expect(scheduledPurgeDate - deletedDate).toBe(7 * 86_400);
    expect((await call('GET', '/secrets/a')).status).toBe(404);
    expect((await call('GET', `/secrets/a/${version}`)).status).toBe(404);
    expect(await call('GET', '/deletedsecrets/a')).toMatchObject({
      status: 404,
      body: { error: { code: 'SecretNotFound', message: 'Deleted Secret not found: a' } },
    });
    azure.advanceSeconds(lagSeconds);
    expect((await call('GET', '/deletedsecrets/a')).body).toEqual(deletion.body);
    expect(page.parse((await call('GET', '/deletedsecrets')).body).value).toHaveLength(1);
  });

  it('keeps the name from being written: ObjectIsBeingDeleted, then ObjectIsDeletedButRecoverable', async () => {
    await put('a', 'one');
    await call('DELETE', '/secrets/a');
    const conflict = (code: string) => ({ status: 409, body: { error: { code: 'Conflict', innererror: { code } } } });
    expect(await call('PUT', '/secrets/a', { value: 'two' })).toMatchObject(conflict('ObjectIsBeingDeleted'));
    expect(await call('DELETE', '/deletedsecrets/a')).toMatchObject(conflict('ObjectIsBeingDeleted'));
    azure.advanceSeconds(lagSeconds);
    expect(await call('PUT', '/secrets/a', { value: 'two' })).toMatchObject(conflict('ObjectIsDeletedButRecoverable'));
  });

  it('recovers only after a moment', async () => {
    await put('a', 'one');
    await call('DELETE', '/secrets/a');
    azure.advanceSeconds(lagSeconds);
    expect((await call('POST', '/deletedsecrets/a/recover')).status).toBe(200);
    expect((await call('GET', '/secrets/a')).status).toBe(404);
    azure.advanceSeconds(lagSeconds);
    expect((await call('GET', '/secrets/a')).body).toMatchObject({ value: 'one' });
  });

  it('answers a purge with 204 and nothing more', async () => {
    await put('a', 'one');
    await call('DELETE', '/secrets/a');
    azure.advanceSeconds(lagSeconds);
    expect(await call('DELETE', '/deletedsecrets/a')).toMatchObject({ status: 204, text: '' });
  });

  it('answers 404 SecretNotFound when what should be deleted, recovered or purged is not there', async () => {
    const notFound = { status: 404, body: { error: { code: 'SecretNotFound' } } };
    expect(await call('DELETE', '/secrets/a')).toMatchObject(notFound);
    expect(await call('POST', '/deletedsecrets/a/recover')).toMatchObject(notFound);
    expect(await call('DELETE', '/deletedsecrets/a')).toMatchObject(notFound);
  });
});

describe('Key Vault: through @azure/keyvault-secrets', () => {
  const client = (retries = 0) =>
    new SecretClient(vault, azure.credential(officer), {
      disableChallengeResourceVerification: true,
      retryOptions: { maxRetries: retries },
    });

  it('waits until a deletion is complete', async () => {
    store.set('a', 'text');
    const poller = await client().beginDeleteSecret('a', { intervalInMs: 5 });
    expect(poller.isDone()).toBe(false);
    azure.advanceSeconds(lagSeconds);
    const deleted = await poller.pollUntilDone();
    expect(deleted.recoveryId).toBe(`${vault}/deletedsecrets/a`);
  });

  it('meets a planned refusal in the shape of the service', async () => {
    store.set('a', 'text');
    azure.faults.add({ service: 'keyVault', match: /^GET \/secrets\/a/, status: 429, times: 2 });
    const secrets = client();
    await expect(secrets.getSecret('a')).rejects.toMatchObject({ statusCode: 429, code: 'Throttled' });
    azure.faults.clear();
    expect((await secrets.getSecret('a')).value).toBe('text');
  });
});

describe('Key Vault: what an administrator does by hand', () => {
  it('writes, disables and deletes secrets, and lists them without values', async () => {
    const operations = createSecretOperations(store);
    const { version } = operations.setSecret({ name: 'a', value: 'hidden-text', tags: { keyId: 'k' } });
    expect((await call('GET', '/secrets/a')).body).toMatchObject({ value: 'hidden-text' });
    expect(operations.disableSecret({ name: 'a' })).toEqual({ version });
    expect((await call('GET', '/secrets/a')).status).toBe(403);
    const listed = operations.list();
    expect(listed).toMatchObject([
      { name: 'a', versions: [{ id: version, current: true, enabled: false, tags: { keyId: 'k' } }] },
    ]);
    expect(JSON.stringify(listed)).not.toContain('hidden-text');
    operations.deleteSecret({ name: 'a' });
    expect((await call('GET', '/secrets/a')).status).toBe(404);
  });

  it('says what to correct when a secret is not there or its name is not free', () => {
    const operations = createSecretOperations(store);
    expect(() => operations.disableSecret({ name: 'a' })).toThrow('There is no secret a');
    expect(() => operations.deleteSecret({ name: 'a' })).toThrow('There is no secret a');
    operations.setSecret({ name: 'a', value: 'x' });
    expect(() => operations.disableSecret({ name: 'a', version: '1' })).toThrow('has no version 1');
    operations.deleteSecret({ name: 'a' });
    expect(() => operations.setSecret({ name: 'a', value: 'y' })).toThrow('recover or purge');
  });
});
