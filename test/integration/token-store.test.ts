import { randomBytes } from 'node:crypto';
import { TableClient } from '@azure/data-tables';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { managedIdentityCredential } from '../../src/azure/credentials.ts';
import { createReadSecret } from '../../src/azure/key-vault.ts';
import { createSealingKeys } from '../../src/azure/sealing-keys.ts';
import { createTables } from '../../src/azure/tables.ts';
import { createTokenStore } from '../../src/azure/token-store.ts';
import { addSeconds } from '../../src/clock.ts';
import type { StoredToken } from '../../src/freshness/ports.ts';
import { anEndpoint, anEndpointToken } from '../support/builders.ts';
import { createMovableClock } from '../support/clock.ts';
import { createLogSpy } from '../support/ports.ts';
import { startAzure, type TestAzure, upstreamError } from './azure.ts';

const tableName = 'endpointtokens';
/** The sealing keys look for a new version of theirs this often. */
const keyFreshSeconds = 600;

let azure: TestAzure;
let count = 0;

beforeAll(async () => {
  azure = await startAzure();
  await anInstance().store.prepare();
});
beforeEach(() => azure.reset());
afterAll(() => azure.stop());

/** What one instance of the broker has of the store: its own memory of the keys, its own clock. */
function anInstance({ keyName = 'token-cache-key', url = azure.endpoints.tables } = {}) {
  const own = managedIdentityCredential(undefined);
  const { clock, advance } = createMovableClock();
  const { log, lines } = createLogSpy();
  const reports: boolean[] = [];
  const keyReports: boolean[] = [];
  const readSecret = createReadSecret({ url: azure.endpoints.keyVault, credential: own, challengeVerification: false });
  const keys = createSealingKeys({ readSecret, name: keyName, clock, log, report: (ok) => keyReports.push(ok) });
  const tables = createTables('token store', url, own);
  const store = createTokenStore({ tables, keys, clock, report: (ok) => reports.push(ok) });
  return { store, tables, reports, keyReports, advance, lines };
}

/** Of an endpoint that no other test uses. */
function aStoredToken(): StoredToken {
  count += 1;
  const endpoint = anEndpoint({ name: `endpoint-${count}` });
  return { endpoint, identity: 'reader', token: anEndpointToken({ accessToken: `secret-token-${count}` }) };
}

const byHand = () => new TableClient(azure.endpoints.tables, tableName, managedIdentityCredential(undefined));

async function rowOf({ endpoint }: StoredToken) {
  for await (const row of byHand().listEntities<{ sealed: string; endpoint: string }>()) {
    if (row.endpoint === endpoint.id) return { ...row, partitionKey: row.partitionKey ?? '', rowKey: row.rowKey ?? '' };
  }
  throw new Error(`The table has no row of ${endpoint.id}.`);
}

/** Replaces the sealed text of a row, as somebody would who may write the table. */
async function overwrite(stored: StoredToken, sealed: unknown, rowKey = stored.identity): Promise<void> {
  const { partitionKey } = await rowOf(stored);
  await byHand().upsertEntity({ partitionKey, rowKey, sealed, endpoint: stored.endpoint.id }, 'Replace');
}

async function newKey(name: string): Promise<void> {
  await azure.operate('set-secret', { name, value: randomBytes(32).toString('base64url') });
}

describe('token store in Table Storage', () => {
  it('gives another instance what one instance wrote, to the millisecond', async () => {
    const stored = aStoredToken();
    await anInstance().store.write(stored);
    expect(await anInstance().store.read(stored.endpoint.id, 'reader')).toEqual(stored);
  });

  it('keeps one row for each endpoint and identity; the last write wins', async () => {
    const { store } = anInstance();
    const first = aStoredToken();
    const second = { ...first, token: anEndpointToken({ accessToken: 'its-successor' }) };
    const others = { ...first, identity: 'other-reader' };
    for (const one of [first, others, second]) await store.write(one);
    expect(await store.read(first.endpoint.id, 'reader')).toEqual(second);
    expect(await store.read(first.endpoint.id, 'other-reader')).toEqual(others);
  });

  it('has nothing for an endpoint that was never written, and nothing after a removal', async () => {
    const { store } = anInstance();
    const stored = aStoredToken();
    expect(await store.read(stored.endpoint.id, 'reader')).toBeUndefined();
    await store.write(stored);
    await store.remove(stored.endpoint.id, 'reader');
    expect(await store.read(stored.endpoint.id, 'reader')).toBeUndefined();
    await expect(store.remove(stored.endpoint.id, 'reader')).resolves.toBeUndefined();
  });

  it('P2: a row shows no token, in clear or in base64; what stands beside the sealed text is for people', async () => {
    const stored = aStoredToken();
    await anInstance().store.write(stored);
    const row = await rowOf(stored);
    const [header = ''] = row.sealed.split('.');
    const shown = `${JSON.stringify(row)} ${Buffer.from(header, 'base64url')}`;
    expect(shown).not.toContain(stored.token.accessToken);
    expect(shown).not.toContain(Buffer.from(stored.token.accessToken).toString('base64url').slice(0, -2));
    expect(row).toMatchObject({ endpoint: stored.endpoint.id, rowKey: 'reader', expiresOn: stored.token.expiresOn });
    const known = ['endpoint', 'etag', 'expiresOn', 'partitionKey', 'rowKey', 'sealed', 'timestamp', 'writtenAt'];
    expect(
      Object.keys(row)
        .filter((name) => !name.startsWith('odata'))
        .sort(),
    ).toEqual(known);
  });
});

describe('token store: rows that somebody else wrote', () => {
  it('P3: a row moved to another endpoint, or to another identity, reads as undefined', async () => {
    const { store } = anInstance();
    const [mine, other] = [aStoredToken(), aStoredToken()];
    await store.write(mine);
    await store.write(other);
    const { sealed } = await rowOf(other);
    await overwrite(mine, sealed);
    await overwrite(other, sealed, 'other-reader');
    expect(await store.read(mine.endpoint.id, 'reader')).toBeUndefined();
    expect(await store.read(other.endpoint.id, 'other-reader')).toBeUndefined();
    expect(await store.read(other.endpoint.id, 'reader')).toEqual(other);
  });

  it('P3: a sealed text altered in its header, its content or its tag reads as undefined', async () => {
    const { store } = anInstance();
    const [mine, other] = [aStoredToken(), aStoredToken()];
    await store.write(mine);
    await store.write(other);
    const parts = (await rowOf(other)).sealed.split('.');
    const header: object = JSON.parse(Buffer.from(parts[0] ?? '', 'base64url').toString());
    const renamed = Buffer.from(JSON.stringify({ ...header, endpoint: mine.endpoint.id })).toString('base64url');
    const flip = (text = '') => (text.startsWith('A') ? 'B' : 'A') + text.slice(1);
    const altered = [parts.with(0, renamed), parts.with(3, flip(parts[3])), parts.with(4, flip(parts[4]))];
    for (const sealed of altered) {
      await overwrite(mine, sealed.join('.'));
      expect(await store.read(mine.endpoint.id, 'reader')).toBeUndefined();
    }
  });

  it.each(['', 'nonsense', 'a.b.c.d.e'])(
    'reads a row with %j in place of the sealed text as undefined',
    async (text) => {
      const { store, reports } = anInstance();
      const stored = aStoredToken();
      await store.write(stored);
      await overwrite(stored, text);
      expect(await store.read(stored.endpoint.id, 'reader')).toBeUndefined();
      expect(reports).toEqual([true, true]);
    },
  );

  it('refuses a row without sealed text as an answer against the contract', async () => {
    const { store } = anInstance();
    const stored = aStoredToken();
    await store.write(stored);
    await overwrite(stored, 42);
    const unexpected = upstreamError({ kind: 'unexpected', upstreamCode: 'contract:sealed' });
    await expect(store.read(stored.endpoint.id, 'reader')).rejects.toMatchObject(unexpected);
  });

  it('believes nothing that stands beside the sealed text', async () => {
    const { store } = anInstance();
    const stored = aStoredToken();
    await store.write(stored);
    const { partitionKey, sealed } = await rowOf(stored);
    const claimed = { endpoint: 'another', expiresOn: addSeconds(stored.token.expiresOn, 3600) };
    await byHand().upsertEntity({ partitionKey, rowKey: 'reader', sealed, ...claimed }, 'Replace');
    expect(await store.read(stored.endpoint.id, 'reader')).toEqual(stored);
  });
});

describe('token store: the key in Key Vault', () => {
  it('still reads the rows of the previous version after the key was rolled, and seals with the new one', async () => {
    await newKey('rolled');
    const instance = anInstance({ keyName: 'rolled' });
    const [before, after] = [aStoredToken(), aStoredToken()];
    await instance.store.write(before);
    await newKey('rolled');
    instance.advance(keyFreshSeconds);
    await instance.store.write(after);
    expect(await instance.store.read(before.endpoint.id, 'reader')).toEqual(before);
    expect(await instance.store.read(after.endpoint.id, 'reader')).toEqual(after);

    const fresh = anInstance({ keyName: 'rolled' });
    expect(await fresh.store.read(after.endpoint.id, 'reader')).toEqual(after);
  });

  it('reads a row of a version that it does not know as undefined', async () => {
    await newKey('rolled-twice');
    const instance = anInstance({ keyName: 'rolled-twice' });
    const stored = aStoredToken();
    await instance.store.write(stored);
    await newKey('rolled-twice');
    expect(await anInstance({ keyName: 'rolled-twice' }).store.read(stored.endpoint.id, 'reader')).toBeUndefined();

    instance.advance(keyFreshSeconds);
    expect(await instance.store.read(stored.endpoint.id, 'reader')).toEqual(stored);
    await newKey('rolled-twice');
    instance.advance(keyFreshSeconds);
    expect(await instance.store.read(stored.endpoint.id, 'reader')).toBeUndefined();
  });

  it('asks Key Vault once for many reads, and not again before the key is due', async () => {
    const { store } = anInstance();
    const { endpoint } = aStoredToken();
    await Promise.all(Array.from({ length: 5 }, () => store.read(endpoint.id, 'reader')));
    await store.read(endpoint.id, 'reader');
    expect(await azure.outcomes('keyVault')).toEqual(['GET 401', 'GET 200']);
  });

  it.each([
    ['is missing', 'never-set', undefined],
    ['is not 32 bytes', 'too-short', 'c2hvcnQ'],
  ])('P2: stores nothing and reads nothing while the key %s, and says so', async (_case, keyName, value) => {
    if (value !== undefined) await azure.operate('set-secret', { name: keyName, value });
    const { store, keyReports, lines } = anInstance({ keyName });
    const stored = aStoredToken();
    await store.write(stored);
    expect(await store.read(stored.endpoint.id, 'reader')).toBeUndefined();
    expect(await azure.calls('tables')).toEqual([]);
    expect(keyReports).toEqual([false]);
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain('token_cache_key_not_read');
    expect(lines[0]).not.toContain('c2hvcnQ');
  });

  it('goes on with the key in hand while Key Vault is down', async () => {
    const { store, advance, keyReports } = anInstance();
    const stored = aStoredToken();
    await store.write(stored);
    await azure.fault({ service: 'keyVault', status: 503 });
    advance(keyFreshSeconds);
    expect(await store.read(stored.endpoint.id, 'reader')).toEqual(stored);
    expect(keyReports).toEqual([true, true]);
  });
});

describe('token store: when Table Storage fails', () => {
  it.each([
    [{ status: 503 }, { kind: 'unavailable', status: 503, upstreamCode: 'ServerBusy' }],
    [{ status: 500 }, { kind: 'unavailable', status: 500, upstreamCode: 'InternalError' }],
    [{ status: 403 }, { kind: 'forbidden', status: 403, upstreamCode: 'AuthorizationFailure' }],
    [
      { status: 429, retryAfterSeconds: 7 },
      { kind: 'throttled', status: 429, retryAfterSeconds: 7 },
    ],
  ] as const)('P7: %j is told as %j after one call, and reported', async (fault, expected) => {
    const { store, reports } = anInstance();
    const stored = aStoredToken();
    const uses = [
      () => store.read(stored.endpoint.id, 'reader'),
      () => store.write(stored),
      () => store.remove(stored.endpoint.id, 'reader'),
    ];
    await azure.fault({ service: 'tables', ...fault });
    for (const use of uses) await expect(use()).rejects.toMatchObject(upstreamError(expected));
    expect(await azure.calls('tables')).toHaveLength(uses.length);
    expect(reports).toEqual([false, false, false]);

    await azure.clearFaults();
    await store.write(stored);
    expect(await store.read(stored.endpoint.id, 'reader')).toEqual(stored);
    expect(reports).toEqual([false, false, false, true, true]);
  });

  it('P7: a store that nobody runs is unavailable', async () => {
    const odd = await azure.serveOdd({ status: 200, text: '' });
    await odd.stop();
    const { store, reports } = anInstance({ url: `${odd.url}/brokertokens` });
    const reading = store.read(aStoredToken().endpoint.id, 'reader');
    await expect(reading).rejects.toMatchObject(upstreamError({ kind: 'unavailable', service: 'token store' }));
    expect(reports).toEqual([false]);
  });

  it('P7: a write whose answer is lost is unavailable, whether it landed or not', async () => {
    const { store, reports } = anInstance();
    const stored = aStoredToken();
    await azure.fault({ service: 'tables', commitThenDrop: true, times: 1 });
    await expect(store.write(stored)).rejects.toMatchObject(upstreamError({ kind: 'unavailable' }));
    expect(reports).toEqual([false]);
    expect(await store.read(stored.endpoint.id, 'reader')).toEqual(stored);
  });

  it('reports a missing row as well and a missing table as failing; neither has anything to read', async () => {
    const { store, tables, reports } = anInstance();
    const { id } = aStoredToken().endpoint;
    const look = async () => {
      expect(await store.read(id, 'reader')).toBeUndefined();
      await expect(store.remove(id, 'reader')).resolves.toBeUndefined();
    };
    await look();
    expect(reports).toEqual([true, true]);
    await tables.drop(tableName);
    await look();
    expect(reports).toEqual([true, true, false, false]);
    await store.prepare();
  });

  it('is prepared by prepare(), again and again', async () => {
    const { store, tables, reports } = anInstance();
    const stored = aStoredToken();
    await tables.drop(tableName);
    await store.prepare();
    await store.prepare();
    await store.write(stored);
    expect(await store.read(stored.endpoint.id, 'reader')).toEqual(stored);
    expect(reports).toEqual([true, true, true, true]);
  });

  it('makes a missing table at the first write, and tells when it cannot', async () => {
    const { store, tables, reports } = anInstance();
    const stored = aStoredToken();
    await tables.drop(tableName);
    await azure.fault({ service: 'tables', match: '^POST /brokertokens/Tables', status: 503, times: 1 });
    await expect(store.write(stored)).rejects.toMatchObject(upstreamError({ kind: 'unavailable', status: 503 }));
    expect(reports).toEqual([false, false]);
    await store.write(stored);
    expect(await store.read(stored.endpoint.id, 'reader')).toEqual(stored);
    expect(reports).toEqual([false, false, false, true, true, true]);
  });
});
