import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { READER_IDENTITY, TRAINER } from '../../sandbox/seed.ts';
import { managedIdentityCredential } from '../../src/azure/credentials.ts';
import { createReadSecret, createWriteSecret } from '../../src/azure/key-vault.ts';
import { nameError } from '../../src/log.ts';
import { rejectionOf } from '../support/ports.ts';
import { startAzure, type TestAzure, upstreamError, wordsOf } from './azure.ts';

let azure: TestAzure;

beforeAll(async () => {
  azure = await startAzure();
});
beforeEach(() => azure.reset());
afterAll(() => azure.stop());

function reader({ clientId, url = azure.endpoints.keyVault }: { clientId?: string; url?: string } = {}) {
  const credential = managedIdentityCredential(clientId);
  return createReadSecret({ url, credential, challengeVerification: false });
}

function writer() {
  const credential = managedIdentityCredential(undefined);
  return createWriteSecret({ url: azure.endpoints.keyVault, credential, challengeVerification: false });
}

describe('Key Vault secrets', () => {
  it('reads the current version: the one that was written last', async () => {
    const readSecret = reader();
    const first = await azure.operate('set-secret', { name: 'current', value: 'first-value' });
    expect(await readSecret('current')).toMatchObject({ value: 'first-value', version: first.version });
    const second = await azure.operate('set-secret', { name: 'current', value: 'second-value' });
    expect(await readSecret('current')).toMatchObject({ value: 'second-value', version: second.version });
    expect(second.version).toMatch(/^[0-9a-f]{32}$/);
  });

  it('reads exactly the version asked for, with its own tags and time', async () => {
    const readSecret = reader();
    const first = await azure.operate('set-secret', { name: 'older', value: 'first-value', tags: { previous: 'p' } });
    await azure.operate('set-secret', { name: 'older', value: 'second-value' });
    const version = String(first.version);
    const older = await readSecret('older', version);
    expect(older).toEqual({ value: 'first-value', version, createdOn: expect.any(Date), tags: { previous: 'p' } });
    expect(Math.abs(older.createdOn.getTime() - azure.now().getTime())).toBeLessThan(10_000);
    expect((await readSecret('older')).tags).toEqual({});
    await expect(readSecret('older', '0'.repeat(32))).rejects.toMatchObject(
      upstreamError({ kind: 'not_found', upstreamCode: 'SecretNotFound' }),
    );
  });

  it('writes a version that is current at once, with its tags', async () => {
    const write = writer();
    await write('written', { value: 'first-value', tags: {} });
    const first = await reader()('written');
    await write('written', { value: 'second-value', tags: { previous: first.version } });
    expect(await reader()('written')).toMatchObject({ value: 'second-value', tags: { previous: first.version } });
    expect(await reader()('written', first.version)).toMatchObject({ value: 'first-value', tags: {} });
  });

  it('P7: a name held by a deleted secret is a conflict, and nothing is written', async () => {
    await azure.operate('set-secret', { name: 'held', value: 'value' });
    await azure.operate('delete-secret', { name: 'held' });
    await expect(writer()('held', { value: 'other', tags: {} })).rejects.toMatchObject(
      upstreamError({ kind: 'conflict', status: 409, service: 'key vault' }),
    );
    await expect(reader()('held')).rejects.toMatchObject(upstreamError({ kind: 'not_found' }));
  });

  it('is challenged once: each further read is one call', async () => {
    const readSecret = reader();
    for (const name of [TRAINER.secretName, TRAINER.secretName, 'token-cache-key']) await readSecret(name);
    expect(await azure.outcomes('keyVault')).toEqual(['GET 401', 'GET 200', 'GET 200', 'GET 200']);
  });

  it('P7: a disabled current version is forbidden, named SecretDisabled, also when an older one is enabled', async () => {
    const readSecret = reader();
    await azure.operate('set-secret', { name: 'disabled', value: 'older' });
    await azure.operate('set-secret', { name: 'disabled', value: 'newer' });
    await azure.operate('disable-secret', { name: 'disabled' });
    await expect(readSecret('disabled')).rejects.toMatchObject(
      upstreamError({ kind: 'forbidden', status: 403, upstreamCode: 'SecretDisabled', service: 'key vault' }),
    );
  });

  it.each([
    ['was never there', 'never-there'],
    ['was deleted', 'deleted'],
  ])('P7: a secret that %s is not_found', async (_case, name) => {
    if (name === 'deleted') {
      await azure.operate('set-secret', { name, value: 'value' });
      await azure.operate('delete-secret', { name });
    }
    await expect(reader()(name)).rejects.toMatchObject(
      upstreamError({ kind: 'not_found', status: 404, upstreamCode: 'SecretNotFound' }),
    );
  });

  it('P7: an identity without a role on the vault is forbidden', async () => {
    const readSecret = reader({ clientId: READER_IDENTITY.clientId });
    await expect(readSecret(TRAINER.secretName)).rejects.toMatchObject(
      upstreamError({ kind: 'forbidden', status: 403, upstreamCode: 'ForbiddenByRbac' }),
    );
  });

  it('P7: an empty secret is no answer to work with', async () => {
    await azure.operate('set-secret', { name: 'empty', value: '' });
    await expect(reader()('empty')).rejects.toMatchObject(
      upstreamError({ kind: 'unexpected', upstreamCode: 'contract:value' }),
    );
  });
});

describe('Key Vault: throttled, down or odd', () => {
  it.each([
    ['with Retry-After', { retryAfterSeconds: 30 }, 30],
    ['without Retry-After', {}, undefined],
    ['with a Retry-After of two hours, of which an hour counts', { retryAfterSeconds: 7200 }, 3600],
  ])('P7: throttled %s is told at once', async (_case, more, retryAfterSeconds) => {
    const readSecret = reader();
    await readSecret(TRAINER.secretName);
    await azure.reset();
    await azure.fault({ service: 'keyVault', status: 429, ...more });
    await expect(readSecret(TRAINER.secretName)).rejects.toMatchObject(
      upstreamError({ kind: 'throttled', status: 429, retryAfterSeconds }),
    );
    expect(await azure.outcomes('keyVault')).toEqual(['GET 429']);
  });

  it.each([500, 502, 503, 504])('P7: status %d is unavailable after one call', async (status) => {
    const readSecret = reader();
    await azure.fault({ service: 'keyVault', status });
    await expect(readSecret(TRAINER.secretName)).rejects.toMatchObject(upstreamError({ kind: 'unavailable', status }));
    expect(await azure.outcomes('keyVault')).toEqual([`GET ${status}`]);
  });

  it.each([
    [429, { 'retry-after': '30' }, { kind: 'throttled', retryAfterSeconds: 30 }],
    [503, { 'content-type': 'text/html' }, { kind: 'unavailable' }],
    [403, {}, { kind: 'forbidden' }],
  ] as const)('P7: status %d without a body is told by its status', async (status, headers, expected) => {
    const odd = await azure.serveOdd({ status, headers, text: '' });
    const reading = reader({ url: odd.url })('name');
    await expect(reading).rejects.toMatchObject(upstreamError({ status, ...expected }));
  });

  it('P7: a lost answer, or a vault that nobody runs, is unavailable; the next read works', async () => {
    const readSecret = reader();
    await azure.fault({ service: 'keyVault', commitThenDrop: true, times: 1 });
    await expect(readSecret(TRAINER.secretName)).rejects.toMatchObject(upstreamError({ kind: 'unavailable' }));
    expect(await readSecret(TRAINER.secretName)).toHaveProperty('value');

    const odd = await azure.serveOdd({ status: 200, text: '' });
    await odd.stop();
    await expect(reader({ url: odd.url })('name')).rejects.toMatchObject(upstreamError({ kind: 'unavailable' }));
  });

  it.each([
    ['is not JSON', { 'content-type': 'text/html' }, '<html></html>'],
    ['is JSON of another shape', { 'content-type': 'application/json' }, '{"secret":"x"}'],
  ])('P7: an answer that %s is unexpected', async (_case, headers, text) => {
    const odd = await azure.serveOdd({ status: 200, headers, text });
    await expect(reader({ url: odd.url })('name')).rejects.toMatchObject(upstreamError({ kind: 'unexpected' }));
    expect(odd.requests).toHaveLength(1);
  });

  it('P2: follows no redirect, which could carry the token elsewhere: to the same host or to another one', async () => {
    const target = await azure.serveOdd({ status: 200, text: '{}' });
    for (const location of ['/elsewhere', `${target.url}/secrets/name`]) {
      const odd = await azure.serveOdd({ status: 302, headers: { location }, text: '' });
      await expect(reader({ url: odd.url })('name')).rejects.toMatchObject(
        upstreamError({ status: 302, kind: 'unexpected' }),
      );
      expect(odd.requests).toHaveLength(1);
    }
    expect(target.requests).toEqual([]);
  });

  it('P7: an identity that Azure does not know is a refused credential, told as a failed sign-in', async () => {
    const readSecret = reader({ clientId: 'c0000000-0000-4000-8000-0000000000ff' });
    await expect(readSecret(TRAINER.secretName)).rejects.toMatchObject(
      upstreamError({ kind: 'credential_refused', status: 400, service: 'key vault (sign-in)' }),
    );
    expect(await azure.outcomes('keyVault')).toEqual(['GET 401']);
  });

  it('P2: no failure’s words hold the secret, a token or the vault’s message', async () => {
    const readSecret = reader();
    const { value } = await readSecret(TRAINER.secretName);
    const token = await azure.identityToken('https://vault.azure.net');
    for (const status of [403, 404, 429, 500]) {
      await azure.fault({ service: 'keyVault', status, times: 1 });
      const error = await rejectionOf(readSecret(TRAINER.secretName));
      expect(wordsOf(error)).not.toContain(value);
      expect(wordsOf(error)).not.toContain(token);
      expect(nameError(error)).toMatch(/^key vault: [a-z_]+ \(\d{3} \w+\) < RestError/);
      expect(nameError(error)).not.toContain('Planned fault');
    }
  });
});
