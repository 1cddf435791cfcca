import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type PolicyBlob, startPolicyBlob } from '../../sandbox/blobs/start-policy-blob.ts';
import { BROKER_IDENTITY, READER_IDENTITY } from '../../sandbox/seed.ts';
import { systemRandom } from '../../sandbox/state/random.ts';
import { callPlain, createLocalAzure, type LocalAzure } from './local-azure.ts';

/** Blob Storage as the sandbox has it: Azurite, and before it who may do what. */

const audience = 'https://storage.azure.com';
const broker = { appId: BROKER_IDENTITY.clientId, oid: BROKER_IDENTITY.oid };
const stranger = { appId: READER_IDENTITY.clientId, oid: READER_IDENTITY.oid };
const version = { 'x-ms-version': '2023-11-03' };

let azure: LocalAzure;
let blob: PolicyBlob;
beforeAll(async () => {
  azure = await createLocalAzure();
  const { folder, keys: entra, calls, faults, clock, certificates } = azure;
  blob = azure.keep(
    await startPolicyBlob({ folder, tls: certificates.tls, entra, calls, faults, clock, random: systemRandom }),
  );
});
afterAll(() => azure.stop());

const get = async (headers: Record<string, string> = {}, principal = broker, url = blob.url) =>
  callPlain('GET', url, { token: await azure.token(principal, audience), headers: { ...version, ...headers } });

describe('the blob of the policy', () => {
  it('is read with a token: 200 with an ETag, then 304 while it is the same', async () => {
    await blob.write('first');
    const first = await get();
    expect(first).toMatchObject({ status: 200, text: 'first' });
    const known = { 'If-None-Match': first.headers.etag ?? '' };
    expect(await get(known)).toMatchObject({ status: 304, text: '' });
    await blob.write('second');
    expect(await get(known)).toMatchObject({ status: 200, text: 'second' });
  });

  it('404 BlobNotFound once its owner has removed it', async () => {
    await blob.write('there');
    await blob.remove();
    expect(await get()).toMatchObject({ status: 404, headers: { 'x-ms-error-code': 'BlobNotFound' } });
    await expect(blob.remove()).rejects.toThrow('Azurite answered 404');
  });

  it.each([
    ['nobody', undefined, audience, 401],
    ['a token for Key Vault', broker, 'https://vault.azure.net', 401],
    ['somebody without a role', stranger, audience, 403],
  ])('refuses %s, in XML as Blob Storage does', async (_who, principal, aud, status) => {
    const token = principal === undefined ? {} : { token: await azure.token(principal, aud) };
    const answer = await callPlain('GET', blob.url, { ...token, headers: version });
    expect(answer.status).toBe(status);
    expect(answer.headers['content-type']).toBe('application/xml');
    expect(answer.text).toMatch(/^<\?xml .*<Error><Code>\w+<\/Code>/);
  });

  it('lets the broker read and nothing else', async () => {
    const token = await azure.token(broker, audience);
    const headers = { ...version, 'x-ms-blob-type': 'BlockBlob' };
    await blob.write('kept');
    expect(await callPlain('PUT', blob.url, { token, text: 'other', headers })).toMatchObject({ status: 403 });
    expect(await callPlain('DELETE', blob.url, { token, headers: version })).toMatchObject({ status: 403 });
    expect(await get()).toMatchObject({ status: 200, text: 'kept' });
  });

  it('plays faults and records calls, as every service', async () => {
    azure.calls.clear();
    azure.faults.add({ service: 'blobs', status: 503, retryAfterSeconds: 4, times: 1 });
    expect(await get()).toMatchObject({
      status: 503,
      headers: { 'retry-after': '4', 'x-ms-error-code': 'ServerBusy' },
    });
    expect((await get()).status).not.toBe(503);
    expect(azure.calls.list()).toMatchObject([{ service: 'blobs', method: 'GET', status: 503 }, { service: 'blobs' }]);
  });
});
