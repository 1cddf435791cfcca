import path from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { managedIdentityCredential } from '../../src/azure/credentials.ts';
import { createPolicyBlob } from '../../src/azure/policy-blob.ts';
import { readConfig } from '../../src/cli/setup.ts';
import { clouds } from '../../src/config/clouds.ts';
import { sandboxPolicy } from '../support/broker.ts';
import { startAzure, type TestAzure, upstreamError } from './azure.ts';

let azure: TestAzure;
let good = '';
beforeAll(async () => {
  azure = await startAzure({ SANDBOX_POLICY_BLOB: 'on' });
  good = await sandboxPolicy();
});
afterEach(async () => {
  await azure.reset();
  await azure.operate('write-policy', { text: good });
});
afterAll(() => azure.stop());

const blobAt = (url = azure.endpoints.policyBlob ?? '') =>
  createPolicyBlob({ url, scope: clouds.public.storageScope, credential: managedIdentityCredential(undefined) });

describe('the policy’s blob', () => {
  it('gives its text with its ETag, then nothing until it has changed', async () => {
    const blob = blobAt();
    const first = await blob.read(undefined);
    expect(first).toEqual({ text: good, version: expect.stringMatching(/./) });
    if (first === 'unchanged') return;
    expect(await blob.read(first.version)).toBe('unchanged');
    await azure.operate('write-policy', { text: 'issuers: {}\n' });
    expect(await blob.read(first.version)).toMatchObject({ text: 'issuers: {}\n' });
  });

  it.each([
    ['gone', 404, 'not_found'],
    ['closed', 403, 'forbidden'],
    ['not open to this token', 401, 'credential_refused'],
    ['throttled', 429, 'throttled'],
    ['down', 503, 'unavailable'],
    ['odd', 418, 'unexpected'],
  ])('%s (%d) is %s', async (_what, status, kind) => {
    await azure.fault({ service: 'blobs', status, retryAfterSeconds: 9, times: 3 });
    await expect(blobAt().read(undefined)).rejects.toMatchObject({
      name: 'UpstreamError',
      kind,
      status,
      retryAfterSeconds: 9,
    });
  });

  it.each([
    ['an answer without an ETag', { status: 200, text: 'issuers: {}' }, { kind: 'unexpected' }],
    [
      'a redirect, which is not followed',
      { status: 302, headers: { Location: 'https://127.0.0.1:1/' }, text: 'x' },
      { kind: 'unexpected' },
    ],
    ['304 to a first question', { status: 304, headers: { ETag: '"1"' }, text: '' }, { kind: 'unexpected' }],
    [
      'a text far too large',
      { status: 200, headers: { ETag: '"1"' }, text: ' '.repeat(4_000_001) },
      { kind: 'unexpected', upstreamCode: 'too_large' },
    ],
  ] as const)('%s is no policy', async (_what, answer, fields) => {
    const odd = await azure.serveOdd(answer);
    await expect(blobAt(`${odd.url}/policy/broker.yaml`).read(undefined)).rejects.toMatchObject(upstreamError(fields));
    expect(odd.requests).toHaveLength(1);
  });
});

describe('npm run rotate with the policy in a blob', () => {
  const appFolder = path.resolve(import.meta.dirname, '../..');
  const environment = () => ({ ...azure.brokerSettings(), PUBLIC_URL: 'https://broker.example' });

  it('reads it as the app does', async () => {
    const { policyText, policy } = await readConfig(environment(), appFolder);
    expect(policyText).toBe(good);
    expect(Object.keys(policy.rotations)).toContain('trainer-password');
  });

  it('says that it cannot be read, and which role that takes', async () => {
    await azure.fault({ service: 'blobs', status: 403, times: 3 });
    await expect(readConfig(environment(), appFolder)).rejects.toMatchObject({
      exitCode: 2,
      message: expect.stringMatching(
        /POLICY: the blob cannot be read \(policy blob: forbidden.*Storage Blob Data Reader/,
      ),
    });
  });
});
