import { describe, expect, it } from 'vitest';
import type { Secret } from '../../src/azure/key-vault.ts';
import { createSealingKeys, decodeSealingKey } from '../../src/azure/sealing-keys.ts';
import { upstream } from '../support/builders.ts';
import { createMovableClock } from '../support/clock.ts';
import { createDeferred, createLogSpy, settle } from '../support/ports.ts';

const bytes = (fill: number) => new Uint8Array(32).fill(fill);
const text = (fill: number) => Buffer.from(bytes(fill)).toString('base64url');

interface FakeVault {
  fault: Error | undefined;
  before: () => Promise<unknown>;
  /** What is read without a version; older ones are in `versions`. */
  secret: Secret;
  versions: Map<string, Secret>;
  /** The names read, with the version where one was asked for. */
  reads: string[];
}

function setUp() {
  const time = createMovableClock();
  const aSecret = (serial: number, tags: Record<string, string> = {}): Secret => ({
    value: text(serial),
    version: `version-${serial}`,
    createdOn: time.clock(),
    tags,
  });
  const { log, lines } = createLogSpy();
  const reports: boolean[] = [];
  const vault: FakeVault = {
    fault: undefined,
    before: async () => undefined,
    secret: aSecret(1),
    versions: new Map(),
    reads: [],
  };
  const keys = createSealingKeys({
    name: 'token-cache-key',
    clock: time.clock,
    log,
    report: (ok) => reports.push(ok),
    async readSecret(name, version) {
      vault.reads.push(version === undefined ? name : `${name}/${version}`);
      await vault.before();
      if (vault.fault !== undefined) throw vault.fault;
      if (version === undefined) return vault.secret;
      const found = vault.versions.get(version);
      if (found === undefined) throw upstream('not_found', { service: 'key vault', upstreamCode: 'SecretNotFound' });
      return found;
    },
  });
  /** What is current becomes an older version; with `tags`, as the rotator writes the next one. */
  const rotate = (serial: number, tags: Record<string, string> = {}) => {
    vault.versions.set(vault.secret.version, vault.secret);
    vault.secret = aSecret(serial, tags);
  };
  return { time, keys, vault, rotate, lines, reports };
}

describe('the keys that seal tokens', () => {
  it('are read from the secret of the setting, named by its version', async () => {
    const { keys, vault, reports } = setUp();
    expect(await keys.current()).toEqual({ keyId: 'version-1', key: bytes(1) });
    expect(vault.reads).toEqual(['token-cache-key']);
    expect(reports).toEqual([true]);
  });

  it('are read once for 10 minutes, and once for concurrent callers', async () => {
    const { keys, vault, time } = setUp();
    const gate = createDeferred();
    vault.before = () => gate.promise;
    const asked = Promise.all([keys.current(), keys.current(), keys.byId('version-1')]);
    await settle();
    gate.resolve();
    await asked;
    time.advance(599.999);
    await keys.current();
    expect(vault.reads).toHaveLength(1);
    time.advance(0.001);
    await keys.current();
    expect(vault.reads).toHaveLength(2);
  });

  it('follow a new version after 10 minutes, and still open what the one before sealed', async () => {
    const { keys, rotate, time } = setUp();
    await keys.current();
    rotate(2);
    time.advance(600);
    expect(await keys.current()).toMatchObject({ keyId: 'version-2' });
    expect(await keys.byId('version-1')).toEqual({ keyId: 'version-1', key: bytes(1) });
    expect(await keys.byId('version-2')).toEqual({ keyId: 'version-2', key: bytes(2) });
  });

  it('keep the one before through further reads of the same version', async () => {
    const { keys, rotate, time } = setUp();
    await keys.current();
    rotate(2);
    for (let read = 0; read < 3; read++) {
      time.advance(600);
      await keys.current();
    }
    expect(await keys.byId('version-1')).toMatchObject({ keyId: 'version-1' });
  });

  it('do not know the version before the one before', async () => {
    const { keys, rotate, time } = setUp();
    await keys.current();
    for (const serial of [2, 3]) {
      rotate(serial);
      time.advance(600);
      await keys.current();
    }
    expect(await keys.byId('version-1')).toBeUndefined();
    expect(await keys.byId('version-2')).toMatchObject({ keyId: 'version-2' });
  });

  it.each(['', 'version-0', 'VERSION-1'])('do not know the version %j', async (keyId) => {
    expect(await setUp().keys.byId(keyId)).toBeUndefined();
  });

  it('are undefined while they cannot be read, and asked for again after 15 seconds', async () => {
    const { keys, vault, time, reports, lines } = setUp();
    vault.fault = upstream('forbidden', { service: 'key vault', upstreamCode: 'SecretDisabled' });
    expect(await keys.current()).toBeUndefined();
    expect(reports).toEqual([false]);
    expect(lines).toEqual([expect.stringMatching(/token_cache_key_not_read.*SecretDisabled/)]);
    vault.fault = undefined;
    time.advance(14.999);
    expect(await keys.current()).toBeUndefined();
    expect(vault.reads).toHaveLength(1);
    time.advance(0.001);
    expect(await keys.current()).toMatchObject({ keyId: 'version-1' });
    expect(reports).toEqual([false, true]);
  });

  it('stay in service when a later read fails', async () => {
    const { keys, vault, time, reports } = setUp();
    await keys.current();
    vault.fault = upstream('unavailable', { service: 'key vault' });
    time.advance(600);
    expect(await keys.current()).toMatchObject({ keyId: 'version-1' });
    expect(reports).toEqual([true, true]);
  });

  it.each([
    ['31 bytes', Buffer.alloc(31).toString('base64url')],
    ['33 bytes', Buffer.alloc(33).toString('base64url')],
    ['an empty text', ''],
    ['a password', 'correct horse battery staple'],
    ['64 hex characters', Buffer.alloc(32).toString('hex')],
  ])('P2: are not made of %s, and the log does not repeat it', async (_what, value) => {
    const { keys, vault, lines, reports } = setUp();
    vault.secret = { ...vault.secret, value };
    expect(await keys.current()).toBeUndefined();
    expect(reports).toEqual([false]);
    expect(lines).toHaveLength(1);
    if (value !== '') expect(lines.join()).not.toContain(value);
  });

  it('take the text with a line end, as a shell writes it', async () => {
    const { keys, vault } = setUp();
    vault.secret = { ...vault.secret, value: `${text(1)}\n` };
    expect(await keys.current()).toMatchObject({ key: bytes(1) });
  });
});

describe('the key before the current one', () => {
  it('is found by the current version’s tag, so that an instance that starts after a change opens older rows', async () => {
    const { keys, vault, rotate } = setUp();
    rotate(2, { previous: 'version-1' });
    expect(await keys.byId('version-1')).toEqual({ keyId: 'version-1', key: bytes(1) });
    expect(await keys.byId('version-2')).toEqual({ keyId: 'version-2', key: bytes(2) });
    expect(vault.reads).toEqual(['token-cache-key', 'token-cache-key/version-1']);
  });

  it('is read once, not again with each look at an unchanged current version', async () => {
    const { keys, vault, rotate, time } = setUp();
    rotate(2, { previous: 'version-1' });
    await keys.current();
    for (let look = 0; look < 3; look++) {
      time.advance(600);
      await keys.current();
    }
    expect(vault.reads.filter((read) => read.endsWith('version-1'))).toHaveLength(1);
    expect(await keys.byId('version-1')).toMatchObject({ key: bytes(1) });
  });

  it('is not read where this instance has used it', async () => {
    const { keys, vault, rotate, time } = setUp();
    await keys.current();
    rotate(2, { previous: 'version-1' });
    time.advance(600);
    expect(await keys.byId('version-1')).toMatchObject({ key: bytes(1) });
    expect(vault.reads).toEqual(['token-cache-key', 'token-cache-key']);
  });

  it('is the one named, not the one seen, where an instance slept through a change', async () => {
    const { keys, rotate, time } = setUp();
    await keys.current();
    rotate(2, { previous: 'version-1' });
    rotate(3, { previous: 'version-2' });
    time.advance(600);
    expect(await keys.byId('version-2')).toEqual({ keyId: 'version-2', key: bytes(2) });
    expect(await keys.byId('version-1')).toBeUndefined();
  });

  it.each([
    ['is not there', undefined],
    ['is no key', { value: 'a-password-of-somebody', version: 'version-1' }],
    ['comes back as another version', { value: text(1), version: 'version-0' }],
  ])('P2: is unknown where the version named %s; the current key serves, and the log says so', async (_case, older) => {
    const { keys, vault, rotate, lines, reports } = setUp();
    rotate(2, { previous: 'version-1' });
    vault.versions.clear();
    if (older !== undefined) vault.versions.set('version-1', { ...vault.secret, ...older });
    expect(await keys.current()).toMatchObject({ keyId: 'version-2' });
    expect(await keys.byId('version-1')).toBeUndefined();
    expect(reports).toEqual([true]);
    expect(lines).toEqual([expect.stringContaining('previous_token_cache_key_not_read')]);
    expect(lines.join()).not.toContain('a-password');
  });

  it('is asked for again at the next look where it could not be read', async () => {
    const { keys, vault, rotate, time } = setUp();
    rotate(2, { previous: 'version-1' });
    vault.before = async () => {
      if (vault.reads.length === 2) throw upstream('throttled', { service: 'key vault' });
    };
    expect(await keys.byId('version-1')).toBeUndefined();
    time.advance(600);
    expect(await keys.byId('version-1')).toEqual({ keyId: 'version-1', key: bytes(1) });
  });

  it('is none where a version names itself', async () => {
    const { keys, vault, rotate } = setUp();
    rotate(2, { previous: 'version-2' });
    expect(await keys.current()).toMatchObject({ keyId: 'version-2' });
    expect(vault.reads).toEqual(['token-cache-key']);
  });
});

describe('a key that only a row names', () => {
  it('P5: is looked for at once, since another instance may have noticed a new version first', async () => {
    const { keys, rotate, time } = setUp();
    await keys.current();
    rotate(2, { previous: 'version-1' });
    time.advance(15);
    expect(await keys.byId('version-2')).toEqual({ keyId: 'version-2', key: bytes(2) });
    expect(await keys.current()).toMatchObject({ keyId: 'version-2' });
    expect(await keys.byId('version-1')).toMatchObject({ key: bytes(1) });
  });

  it('is looked for no more than once in 15 seconds, however many rows name it', async () => {
    const { keys, vault, time } = setUp();
    await keys.current();
    time.advance(14.999);
    await keys.byId('version-0');
    expect(vault.reads).toHaveLength(1);
    time.advance(0.001);
    for (let row = 0; row < 3; row++) expect(await keys.byId('version-0')).toBeUndefined();
    expect(vault.reads).toHaveLength(2);
  });
});

describe('the text of a key', () => {
  it.each([
    ['base64url', Buffer.alloc(32, 0xfb).toString('base64url')],
    ['base64, as openssl prints it', Buffer.alloc(32, 0xfb).toString('base64')],
  ])('may be %s', (_form, value) => {
    expect(decodeSealingKey(value)).toEqual(new Uint8Array(32).fill(0xfb));
  });

  it.each([
    ['a character of another alphabet', `${'a'.repeat(42)}~`],
    ['a space inside', `${'a'.repeat(20)} ${'a'.repeat(23)}`],
    ['two lines', `${'a'.repeat(43)}\n${'a'.repeat(43)}`],
  ])('has not %s', (_what, value) => {
    expect(decodeSealingKey(value)).toBeUndefined();
  });
});
