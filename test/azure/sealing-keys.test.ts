import { describe, expect, it } from 'vitest';
import { createSealingKeys } from '../../src/azure/sealing-keys.ts';
import { upstream } from '../support/builders.ts';
import { createMovableClock } from '../support/clock.ts';
import { createDeferred, createLogSpy, settle } from '../support/ports.ts';

const bytes = (fill: number) => new Uint8Array(32).fill(fill);
const text = (fill: number) => Buffer.from(bytes(fill)).toString('base64url');

interface FakeVault {
  fault: Error | undefined;
  before: () => Promise<unknown>;
  secret: { value: string; version: string };
  reads: string[];
}

function setUp() {
  const time = createMovableClock();
  const { log, lines } = createLogSpy();
  const reports: boolean[] = [];
  const vault: FakeVault = {
    fault: undefined,
    before: async () => undefined,
    secret: { value: text(1), version: 'version-1' },
    reads: [],
  };
  const keys = createSealingKeys({
    name: 'token-cache-key',
    clock: time.clock,
    log,
    report: (ok) => reports.push(ok),
    async readSecret(name) {
      vault.reads.push(name);
      await vault.before();
      if (vault.fault !== undefined) throw vault.fault;
      return vault.secret;
    },
  });
  const rotate = (serial: number) => {
    vault.secret = { value: text(serial), version: `version-${serial}` };
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
    vault.secret = { value, version: 'version-9' };
    expect(await keys.current()).toBeUndefined();
    expect(reports).toEqual([false]);
    expect(lines).toHaveLength(1);
    if (value !== '') expect(lines.join()).not.toContain(value);
  });

  it('take the text with a line end, as a shell writes it', async () => {
    const { keys, vault } = setUp();
    vault.secret = { value: `${text(1)}\n`, version: 'version-1' };
    expect(await keys.current()).toMatchObject({ key: bytes(1) });
  });
});
