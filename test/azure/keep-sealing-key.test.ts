import { describe, expect, it } from 'vitest';
import { keepSealingKey } from '../../src/azure/keep-sealing-key.ts';
import type { Secret } from '../../src/azure/key-vault.ts';
import { createSealingKeys } from '../../src/azure/sealing-keys.ts';
import { UpstreamError } from '../../src/errors.ts';
import { upstream } from '../support/builders.ts';
import { createMovableClock } from '../support/clock.ts';
import { createDeferred, createLogSpy, settle } from '../support/ports.ts';

const name = 'token-cache-key';
const daySeconds = 86_400;
const text = (fill: number) => Buffer.alloc(32, fill).toString('base64url');
const notFound = () => upstream('not_found', { service: 'key vault', status: 404, upstreamCode: 'SecretNotFound' });

/** A vault of one secret, kept by any number of rotators. */
function setUp() {
  const time = createMovableClock();
  const { log, lines } = createLogSpy();
  const versions: Secret[] = [];
  const vault = {
    readFault: undefined as Error | undefined,
    writeFault: undefined as Error | undefined,
    beforeWrite: async (): Promise<unknown> => undefined,
    versions,
    readSecret: async (_name: string, version?: string): Promise<Secret> => {
      if (vault.readFault !== undefined) throw vault.readFault;
      const found = version === undefined ? versions.at(-1) : versions.find((one) => one.version === version);
      if (found === undefined) throw notFound();
      return found;
    },
    async writeSecret(_name: string, { value, tags }: { value: string; tags: Record<string, string> }) {
      await vault.beforeWrite();
      if (vault.writeFault !== undefined) throw vault.writeFault;
      versions.push({ value, tags, version: `version-${versions.length + 1}`, createdOn: time.clock() });
    },
  };
  let fill = 0;
  const asked: number[] = [];
  const random = (byteCount: number) => {
    asked.push(byteCount);
    fill += 1;
    return new Uint8Array(byteCount).fill(fill);
  };
  const { readSecret, writeSecret } = vault;
  const keep = () => keepSealingKey({ readSecret, writeSecret, name, clock: time.clock, random, log });
  const anIssuer = () => createSealingKeys({ readSecret, name, clock: time.clock, log, report: () => undefined });
  const held = (value: string) => versions.push({ value, tags: {}, version: 'by-hand', createdOn: time.clock() });
  return { time, vault, versions, keep, anIssuer, held, asked, lines };
}

describe('keeping the key that seals cached tokens', () => {
  it('makes it where there is none: 32 random bytes in base64url', async () => {
    const { keep, versions, asked, lines } = setUp();
    expect(await keep()).toBe('made');
    expect(versions).toMatchObject([{ value: text(1), tags: {} }]);
    expect(asked).toEqual([32]);
    expect(lines).toEqual([expect.stringMatching(/^info .*token_cache_key_made.*first/)]);
  });

  it('leaves one alone that is younger than 30 days, and says nothing', async () => {
    const { keep, versions, time, lines } = setUp();
    await keep();
    time.advance(30 * daySeconds - 0.001);
    expect(await keep()).toBe('young');
    expect(versions).toHaveLength(1);
    expect(lines).toHaveLength(1);
  });

  it('makes a new version after 30 days, which names the one before', async () => {
    const { keep, versions, time } = setUp();
    await keep();
    time.advance(30 * daySeconds);
    expect(await keep()).toBe('made');
    expect(versions.map(({ value, tags }) => ({ value, tags }))).toEqual([
      { value: text(1), tags: {} },
      { value: text(2), tags: { previous: 'version-1' } },
    ]);
    expect(await keep()).toBe('young');
  });

  it('renews a key that somebody made by hand', async () => {
    const { keep, versions, held, time } = setUp();
    held(text(9));
    time.advance(31 * daySeconds);
    expect(await keep()).toBe('made');
    expect(versions.at(-1)?.tags).toEqual({ previous: 'by-hand' });
  });

  it('lets an issuer that starts after a change open what the last two versions sealed, and nothing older', async () => {
    const { keep, anIssuer, time } = setUp();
    for (let month = 0; month < 3; month++) {
      await keep();
      time.advance(30 * daySeconds);
    }
    const keys = anIssuer();
    expect(await keys.current()).toMatchObject({ keyId: 'version-3' });
    expect(await keys.byId('version-2')).toMatchObject({ keyId: 'version-2' });
    expect(await keys.byId('version-1')).toBeUndefined();
  });

  it('does no harm when two rotators make it at once: one is current and names the key that was in use', async () => {
    const { keep, vault, versions, anIssuer, time } = setUp();
    await keep();
    time.advance(30 * daySeconds);
    const gate = createDeferred();
    vault.beforeWrite = () => gate.promise;
    const both = Promise.all([keep(), keep()]);
    await settle();
    gate.resolve();
    expect(await both).toEqual(['made', 'made']);
    expect(versions.slice(1).map(({ tags }) => tags)).toEqual([{ previous: 'version-1' }, { previous: 'version-1' }]);
    const keys = anIssuer();
    expect(await keys.current()).toMatchObject({ keyId: 'version-3' });
    expect(await keys.byId('version-1')).toMatchObject({ keyId: 'version-1' });
    expect(await keys.byId('version-2')).toBeUndefined();
    expect(await keep()).toBe('young');
  });

  it('writes once when the answer to a write is lost', async () => {
    const { keep, vault, versions } = setUp();
    const write = vault.writeSecret;
    vault.beforeWrite = async () => {
      vault.beforeWrite = async () => undefined;
      await write(name, { value: text(7), tags: {} });
      throw upstream('unavailable', { service: 'key vault' });
    };
    expect(await keep()).toBe('unreadable');
    expect(await keep()).toBe('young');
    expect(versions).toHaveLength(1);
  });
});

describe('a key that cannot be kept', () => {
  it.each([
    ['disabled', upstream('forbidden', { service: 'key vault', status: 403, upstreamCode: 'SecretDisabled' })],
    ['forbidden', upstream('forbidden', { service: 'key vault', status: 403, upstreamCode: 'ForbiddenByRbac' })],
    ['unreadable', upstream('throttled', { service: 'key vault', status: 429 })],
    ['unreadable', upstream('unavailable', { service: 'key vault', status: 500 })],
    ['unreadable', upstream('not_found', { service: 'key vault', status: 404, upstreamCode: 'VaultNotFound' })],
    ['unreadable', upstream('credential_refused', { service: 'key vault (sign-in)', status: 400 })],
    ['unreadable', new TypeError('a mistake of ours')],
  ])('is named %s when reading fails with %s, and is not written', async (reason, fault) => {
    const { keep, vault, versions, lines } = setUp();
    vault.readFault = fault;
    expect(await keep()).toBe(reason);
    expect(versions).toEqual([]);
    expect(lines).toEqual([expect.stringMatching(`^warn .*token_cache_key_not_kept.*"reason":"${reason}","help":".+`)]);
    if (fault instanceof UpstreamError) expect(lines.join()).toContain(fault.message);
    else expect(lines.join()).not.toContain(fault.message);
  });

  it.each([
    ['deleted', upstream('conflict', { service: 'key vault', status: 409, upstreamCode: 'ObjectIsBeingDeleted' })],
    ['forbidden', upstream('forbidden', { service: 'key vault', status: 403, upstreamCode: 'ForbiddenByRbac' })],
  ])('is named %s when only the write is refused', async (reason, fault) => {
    const { keep, vault, versions, lines } = setUp();
    vault.writeFault = fault;
    expect(await keep()).toBe(reason);
    expect(versions).toEqual([]);
    expect(lines.join()).toContain(`"reason":"${reason}"`);
  });

  it.each([
    ['a service principal’s password', 'abC8Q~0123456789abcdefghijklmnopqrst-_.x'],
    ['31 bytes', Buffer.alloc(31, 1).toString('base64url')],
    ['64 hex digits', Buffer.alloc(32, 1).toString('hex')],
  ])('R1: is left alone for ever where the secret holds %s, and the log does not repeat it', async (_what, value) => {
    const { keep, versions, held, time, lines } = setUp();
    held(value);
    expect(await keep()).toBe('not_a_key');
    time.advance(365 * daySeconds);
    expect(await keep()).toBe('not_a_key');
    expect(versions).toHaveLength(1);
    expect(lines.join()).toContain('TOKEN_CACHE_KEY');
    expect(lines.join()).not.toContain(value);
  });

  it('P2: never reaches the log, whatever happens', async () => {
    const { keep, vault, versions, time, lines } = setUp();
    await keep();
    time.advance(30 * daySeconds);
    await keep();
    vault.writeFault = upstream('conflict', { service: 'key vault', status: 409 });
    time.advance(30 * daySeconds);
    await keep();
    expect(lines).toHaveLength(3);
    for (const value of [...versions.map((one) => one.value), text(3)]) expect(lines.join()).not.toContain(value);
  });
});
