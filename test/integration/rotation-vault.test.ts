import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { FRAUD_SCORER_IDENTITY, READER_IDENTITY } from '../../sandbox/seed.ts';
import { managedIdentityCredential } from '../../src/azure/credentials.ts';
import { createVault } from '../../src/azure/rotated-secrets.ts';
import type { UpstreamKind } from '../../src/errors.ts';
import type { SecretWrite } from '../../src/rotation/ports.ts';
import { foundIn } from '../rotation/contract/found-in.ts';
import { describeVaultContract } from '../rotation/contract/vault.ts';
import { rejectionOf } from '../support/ports.ts';
import { startAzure, type TestAzure, upstreamError, wordsOf } from './azure.ts';

let azure: TestAzure;
/** How long each look has waited, in seconds. */
let waits: number[] = [];

beforeAll(async () => {
  azure = await startAzure();
});
beforeEach(async () => {
  waits = [];
  await azure.reset();
});
afterAll(() => azure?.stop());

/** Waiting moves the sandbox's clock, in which deletions take their time. */
function aVault({ clientId, url = azure.endpoints.keyVault }: { clientId?: string; url?: string } = {}) {
  return createVault({
    url,
    credential: managedIdentityCredential(clientId),
    challengeVerification: false,
    wait: async (seconds) => {
      waits.push(seconds);
      azure.advance(seconds);
    },
  });
}

const aWrite = (changes: Partial<SecretWrite> = {}): SecretWrite => ({
  value: 'secret-value',
  expiresOn: new Date('2027-02-03T04:05:06.000Z'),
  keyId: '00000000-0000-4000-8000-000000000001',
  rotation: 'trainer-password',
  rotationId: 'rotation-1',
  ...changes,
});

describeVaultContract('the Key Vault SDK on the sandbox', async () => ({
  vault: aVault(),
  clock: azure.now,
  set: async (name, value) => void (await azure.operate('set-secret', { name, value })),
  disable: async (name) => void (await azure.operate('disable-secret', { name })),
  remove: async (name) => void (await azure.operate('delete-secret', { name })),
}));

async function recover(name: string): Promise<void> {
  const token = await azure.identityToken('https://vault.azure.net');
  const url = `${azure.endpoints.keyVault}/deletedsecrets/${name}/recover?api-version=2026-04-01`;
  const answer = await fetch(url, { method: 'POST', headers: { Authorization: `Bearer ${token}` } });
  if (!answer.ok) throw new Error(`Key Vault answered ${answer.status}.`);
}

describe('a look at a secret', () => {
  it('is one call, and so is a read of its value', async () => {
    const vault = aVault();
    await vault.write('one-call', aWrite());
    const { version } = foundIn(await vault.look('one-call'));
    await azure.reset();
    await vault.look('one-call');
    await vault.readValue('one-call', version);
    expect((await azure.calls('keyVault')).map(({ path }) => path)).toEqual([
      '/secrets/one-call/',
      '/secrets/one-call/',
    ]);
    expect(waits).toEqual([]);
  });

  it('does not take a secret that is being deleted, and is in neither list, for one that never was', async () => {
    const vault = aVault();
    await vault.write('being-deleted', aWrite());
    await azure.operate('delete-secret', { name: 'being-deleted' });
    await azure.reset();
    expect(await vault.look('being-deleted')).toEqual({ kind: 'deleted' });
    expect(waits).toEqual([6]);
    expect(await azure.outcomes('keyVault')).toEqual(['GET 404', 'GET 404', 'GET 404', 'GET 200']);
  });

  it('does not take a secret that is being recovered for one that never was', async () => {
    const vault = aVault();
    await vault.write('being-recovered', aWrite());
    await azure.operate('delete-secret', { name: 'being-recovered' });
    expect(await vault.look('being-recovered')).toEqual({ kind: 'deleted' });
    await recover('being-recovered');
    expect(await vault.look('being-recovered')).toMatchObject({ kind: 'found', value: { rotationId: 'rotation-1' } });
  });

  it('waits anew for a secret that somebody else has written in between', async () => {
    const vault = aVault();
    expect(await vault.look('theirs')).toEqual({ kind: 'not_found' });
    await azure.operate('set-secret', { name: 'theirs', value: 'typed by hand' });
    expect(await vault.look('theirs')).toMatchObject({ kind: 'found' });
    await azure.operate('delete-secret', { name: 'theirs' });
    expect(await vault.look('theirs')).toEqual({ kind: 'deleted' });
    expect(waits).toEqual([6, 6]);
  });

  it('waits for a secret that is missing once, and again when it has been there since', async () => {
    const vault = aVault();
    for (let looks = 0; looks < 3; looks++) expect(await vault.look('missing')).toEqual({ kind: 'not_found' });
    expect(waits).toEqual([6]);
    await vault.write('missing', aWrite());
    await azure.operate('delete-secret', { name: 'missing' });
    expect(await vault.look('missing')).toEqual({ kind: 'deleted' });
    expect(waits).toEqual([6, 6]);
  });

  it('knows the password of a hand-written tag in any case, and passes over tags that say nothing', async () => {
    const value = 'typed by hand';
    const keyId = 'ABCDEF00-0000-4000-8000-00000000000A';
    await azure.operate('set-secret', { name: 'tagged', value, tags: { keyId, rotation: '', versions: 'many' } });
    expect(foundIn(await aVault().look('tagged'))).toMatchObject({
      keyId: keyId.toLowerCase(),
      rotation: undefined,
      versions: undefined,
    });
  });

  it('R1: reads a value that is empty as it is', async () => {
    const vault = aVault();
    const { version } = await azure.operate('set-secret', { name: 'empty', value: '' });
    expect(await vault.readValue('empty', String(version))).toBe('');
  });
});

describe('a refused look at a secret is a fact of its own', () => {
  it('forbidden: our identity has no role', async () => {
    const vault = aVault({ clientId: READER_IDENTITY.clientId });
    expect(await vault.look('trainer-password')).toEqual({ kind: 'forbidden' });
    await expect(vault.readValue('trainer-password', 'any')).rejects.toMatchObject(
      upstreamError({ kind: 'forbidden', status: 403, upstreamCode: 'ForbiddenByRbac' }),
    );
  });

  it('forbidden: the deleted secrets may not be seen', async () => {
    await azure.fault({ service: 'keyVault', match: 'GET /deletedsecrets', status: 403, code: 'Forbidden' });
    expect(await aVault().look('unknown-1')).toEqual({ kind: 'forbidden' });
  });

  it.each([
    ['throttled, with Retry-After', { status: 429, retryAfterSeconds: 7 }, 7],
    ['throttled, without', { status: 429 }, undefined],
    ['unavailable', { status: 503 }, undefined],
    ['unavailable, with Retry-After', { status: 503, retryAfterSeconds: 9 }, 9],
    ['changing at this moment', { status: 409, code: 'Conflict' }, undefined],
  ])('unreadable, never absent: %s', async (_case, fault, retryAfterSeconds) => {
    const unreadable = { kind: 'unreadable', retryAfterSeconds };
    await azure.fault({ service: 'keyVault', match: 'GET /secrets', ...fault });
    expect(await aVault().look('trainer-password')).toEqual(unreadable);
    await azure.clearFaults();
    await azure.fault({ service: 'keyVault', match: 'GET /deletedsecrets', ...fault });
    expect(await aVault().look('unknown-2')).toEqual(unreadable);
    await expect(aVault().look('trainer-password')).resolves.toMatchObject({ kind: 'found' });
  });

  it('unreadable: no token can be had for now', async () => {
    await azure.fault({ service: 'managedIdentity', status: 503 });
    // An identity whose token the SDK does not hold yet.
    const { clientId } = FRAUD_SCORER_IDENTITY;
    expect(await aVault({ clientId }).look('trainer-password')).toMatchObject({ kind: 'unreadable' });
  });

  it.each<[string, { status: number; code: string }, UpstreamKind]>([
    ['a 404 that is not about the secret', { status: 404, code: 'VaultNotFound' }, 'not_found'],
    ['a refusal that the contract does not know', { status: 400, code: 'BadParameter' }, 'unexpected'],
  ])('thrown: %s', async (_case, fault, kind) => {
    await azure.fault({ service: 'keyVault', match: 'GET /secrets', ...fault });
    const thrown = upstreamError({ service: 'key vault', kind, status: fault.status, upstreamCode: fault.code });
    await expect(aVault().look('trainer-password')).rejects.toMatchObject(thrown);
    await expect(aVault().readValue('trainer-password', 'any')).rejects.toMatchObject(thrown);
  });

  it('P2: thrown: an answer of another shape, of which the error shows nothing', async () => {
    const text = JSON.stringify({ value: 'secret-value', id: 'https://vault/secrets/odd/v1' });
    const odd = await azure.serveOdd({ status: 200, headers: { 'content-type': 'application/json' }, text });
    const thrown = await rejectionOf(aVault({ url: odd.url }).look('odd'));
    expect(thrown).toMatchObject(upstreamError({ kind: 'unexpected' }));
    expect(wordsOf(thrown)).not.toContain('secret-value');
  });
});

describe('a write of a secret', () => {
  it('is stored, without a count, where the versions cannot be counted: it may be the only copy of a text', async () => {
    const vault = aVault();
    await vault.write('uncounted', aWrite());
    await azure.fault({ service: 'keyVault', match: '/versions', status: 503 });
    await vault.write('uncounted', aWrite({ rotationId: 'rotation-2' }));
    expect(foundIn(await vault.look('uncounted'))).toMatchObject({ rotationId: 'rotation-2', versions: undefined });
    await azure.clearFaults();
    await vault.write('uncounted', aWrite({ rotationId: 'rotation-3' }));
    expect(foundIn(await vault.look('uncounted'))).toMatchObject({ rotationId: 'rotation-3', versions: 3 });
  });

  it('whose answer is lost fails, and is there at the next look', async () => {
    const vault = aVault();
    await vault.look('lost-answer');
    await azure.fault({ service: 'keyVault', match: 'PUT', commitThenDrop: true });
    await expect(vault.write('lost-answer', aWrite())).rejects.toMatchObject(upstreamError({ kind: 'unavailable' }));
    expect(await vault.look('lost-answer')).toMatchObject({ kind: 'found', value: { rotationId: 'rotation-1' } });
  });

  it.each([
    ['deleted', 6, 'ObjectIsDeletedButRecoverable'],
    ['being deleted', 0, 'ObjectIsBeingDeleted'],
  ])('to a name that is %s is a conflict that says so', async (state, seconds, upstreamCode) => {
    const vault = aVault();
    const name = `write-${state.replaceAll(' ', '-')}`;
    await vault.write(name, aWrite());
    await azure.operate('delete-secret', { name });
    azure.advance(seconds);
    await expect(vault.write(name, aWrite())).rejects.toMatchObject(
      upstreamError({ kind: 'conflict', status: 409, upstreamCode }),
    );
  });

  it.each([
    ['forbidden', { status: 403, code: 'Forbidden' }, undefined],
    ['throttled', { status: 429, retryAfterSeconds: 7 }, 7],
    ['unavailable', { status: 503 }, undefined],
  ] as const)('that is refused as %s is told apart', async (kind, fault, retryAfterSeconds) => {
    await azure.fault({ service: 'keyVault', match: 'PUT', ...fault });
    const thrown = await rejectionOf(aVault().write('refused', aWrite()));
    expect(thrown).toMatchObject(upstreamError({ kind, status: fault.status, retryAfterSeconds }));
    expect(wordsOf(thrown)).not.toContain('secret-value');
  });

  it('with a tag that Key Vault does not take is not sent', async () => {
    const rotation = 'x'.repeat(257);
    await expect(aVault().write('long-tag', aWrite({ rotation }))).rejects.toThrow(/tag rotation has 257 characters/);
    expect(await azure.outcomes('keyVault')).not.toContain('PUT 200');
  });
});
