import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { READER_IDENTITY } from '../../sandbox/seed.ts';
import { managedIdentityCredential } from '../../src/azure/credentials.ts';
import { keepSealingKey } from '../../src/azure/keep-sealing-key.ts';
import { createReadSecret, createWriteSecret } from '../../src/azure/key-vault.ts';
import { createSealingKeys } from '../../src/azure/sealing-keys.ts';
import { createTables } from '../../src/azure/tables.ts';
import { createTokenStore } from '../../src/azure/token-store.ts';
import { addSeconds } from '../../src/clock.ts';
import type { StoredToken } from '../../src/freshness/ports.ts';
import { anEndpoint, anEndpointToken } from '../support/builders.ts';
import { createLogSpy } from '../support/ports.ts';
import { startAzure, type TestAzure } from './azure.ts';

const monthSeconds = 30 * 86_400;

let azure: TestAzure;

beforeAll(async () => {
  azure = await startAzure();
});
beforeEach(() => azure.reset());
afterAll(() => azure.stop());

/** Key Vault dates versions by the sandbox's clock, so only the rotator's and the issuer's clocks go ahead. */
const clockAhead = (seconds: number) => () => addSeconds(azure.now(), seconds);

const vaultOf = (clientId?: string) => ({
  url: azure.endpoints.keyVault,
  credential: managedIdentityCredential(clientId),
  challengeVerification: false,
});

/** A rotator that looks at keys by name. */
function aRotator(clientId?: string, afterRead = async () => {}) {
  const { log, lines } = createLogSpy();
  const [read, writeSecret] = [createReadSecret(vaultOf(clientId)), createWriteSecret(vaultOf(clientId))];
  const readSecret: typeof read = async (...asked) => {
    const secret = await read(...asked);
    await afterRead();
    return secret;
  };
  const look = (name: string, ahead = 0) =>
    keepSealingKey({ readSecret, writeSecret, name, clock: clockAhead(ahead), random: randomBytes, log });
  return { look, lines };
}

/** Everybody who comes waits until so many have come. */
function meeting(size: number): () => Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  let here = 0;
  return () => {
    here += 1;
    if (here >= size) resolve();
    return promise;
  };
}

/** One look of a rotator that has just started; with `ahead`, so many seconds from now. */
const keep = (name: string, ahead = 0) => aRotator().look(name, ahead);

/** A token store as an instance has it that starts now. */
async function anIssuer(name: string) {
  const readSecret = createReadSecret(vaultOf());
  const { log } = createLogSpy();
  const keys = createSealingKeys({ readSecret, name, clock: clockAhead(0), log, report: () => undefined });
  const tables = createTables('token store', azure.endpoints.tables, managedIdentityCredential(undefined));
  const store = createTokenStore({ tables, keys, clock: clockAhead(0), report: () => undefined });
  await store.prepare();
  return { store, keys };
}

function aStoredToken(name: string): StoredToken {
  return {
    endpoint: anEndpoint({ name }),
    identity: 'reader',
    token: anEndpointToken({ accessToken: `t-of-${name}` }),
  };
}

const read = ({ endpoint, identity }: StoredToken, { store }: Awaited<ReturnType<typeof anIssuer>>) =>
  store.read(endpoint.id, identity);

describe('the sealing key in Key Vault', () => {
  it('is made where there is none, and an issuer seals with it', async () => {
    expect(await keep('made-key')).toBe('made');
    expect(await keep('made-key')).toBe('young');
    const stored = aStoredToken('made');
    await (await anIssuer('made-key')).store.write(stored);
    expect(await read(stored, await anIssuer('made-key'))).toEqual(stored);
  });

  it('changes monthly: an instance that starts after it opens rows of the last two versions; older ones are a miss', async () => {
    const rows = [];
    for (const month of [0, 1, 2]) {
      expect(await keep('monthly-key', month * (monthSeconds + 60))).toBe('made');
      const stored = aStoredToken(`monthly-${month}`);
      await (await anIssuer('monthly-key')).store.write(stored);
      rows.push(stored);
    }
    const fresh = await anIssuer('monthly-key');
    const found = await Promise.all(rows.map((row) => read(row, fresh)));
    expect(found).toEqual([undefined, rows[1], rows[2]]);
  });

  it('changes without harm when two rotators do it at the same time', async () => {
    await keep('shared-key');
    const stored = aStoredToken('shared');
    await (await anIssuer('shared-key')).store.write(stored);
    // Both have read the key before either writes.
    const together = meeting(2);
    await Promise.all([1, 2].map(() => aRotator(undefined, together).look('shared-key', monthSeconds)));
    expect(await read(stored, await anIssuer('shared-key'))).toEqual(stored);
  });

  it('is not touched while it is disabled, deleted or forbidden; the log names why', async () => {
    for (const name of ['disabled-key', 'deleted-key']) await keep(name);
    await azure.operate('disable-secret', { name: 'disabled-key' });
    await azure.operate('delete-secret', { name: 'deleted-key' });
    expect(await keep('disabled-key', monthSeconds)).toBe('disabled');
    expect(await keep('deleted-key', monthSeconds)).toBe('deleted');
    const stranger = aRotator(READER_IDENTITY.clientId);
    expect(await stranger.look('no-such-key')).toBe('forbidden');
    expect(stranger.lines).toEqual([expect.stringContaining('ForbiddenByRbac')]);
    const written = (await azure.calls('keyVault')).filter(({ method, status }) => method === 'PUT' && status === 200);
    expect(written).toHaveLength(2);
  });

  it('R1: does not overwrite another secret that TOKEN_CACHE_KEY names by mistake', async () => {
    await azure.operate('set-secret', { name: 'a-password', value: 'abC8Q~some-password-of-an-application' });
    expect(await keep('a-password', 12 * monthSeconds)).toBe('not_a_key');
    expect(await createReadSecret(vaultOf())('a-password')).toMatchObject({
      value: 'abC8Q~some-password-of-an-application',
    });
  });

  it('is written once where the answer to the write is lost', async () => {
    const rotator = aRotator();
    await rotator.look('another-key');
    await azure.fault({ service: 'keyVault', match: '^PUT', commitThenDrop: true, times: 1 });
    expect(await rotator.look('lost-key')).toBe('unreadable');
    const { version } = await createReadSecret(vaultOf())('lost-key');
    expect(await rotator.look('lost-key')).toBe('young');
    expect(await createReadSecret(vaultOf())('lost-key')).toMatchObject({ version });
  });
});
