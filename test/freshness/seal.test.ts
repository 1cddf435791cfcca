import { CompactEncrypt, compactDecrypt, decodeProtectedHeader } from 'jose';
import { describe, expect, it } from 'vitest';
import { addSeconds } from '../../src/clock.ts';
import type { StoredToken } from '../../src/freshness/ports.ts';
import { open, type SealingKey, seal, sealingKeyId } from '../../src/freshness/seal.ts';
import { anEndpoint, anEndpointToken } from '../support/builders.ts';

const key: SealingKey = { keyId: 'version-1', key: new Uint8Array(32).fill(7) };
const stored: StoredToken = { endpoint: anEndpoint(), identity: 'reader', token: anEndpointToken() };
const expected = { endpointId: stored.endpoint.id, identity: 'reader' };

/** Seals any contents under any header with the right key: what a holder of the key could do by mistake. */
function sealRaw(contents: unknown, header: Record<string, unknown>): Promise<string> {
  return new CompactEncrypt(new TextEncoder().encode(JSON.stringify(contents)))
    .setProtectedHeader({ alg: 'dir', enc: 'A256GCM', ...header })
    .encrypt(key.key);
}

const header = {
  kid: key.keyId,
  endpoint: stored.endpoint.id,
  identity: stored.identity,
  exp: Math.floor(stored.token.expiresOn.getTime() / 1000),
};

describe('seal and open', () => {
  it('gives back what was sealed', async () => {
    expect(await open(await seal(stored, key), key, expected)).toEqual(stored);
  });

  it('keeps instants to the millisecond', async () => {
    const obtainedAt = new Date('2026-11-22T10:00:00.123Z');
    const precise = { ...stored, token: anEndpointToken({ obtainedAt }) };
    expect(await open(await seal(precise, key), key, expected)).toEqual(precise);
  });

  it('P2: shows neither the token nor the scoring address in the sealed text', async () => {
    const sealed = await seal(stored, key);
    const readable = sealed
      .split('.')
      .map((part) => Buffer.from(part, 'base64url').toString('latin1'))
      .join(' ');
    for (const secret of [stored.token.accessToken, stored.endpoint.scoringUri]) {
      expect(sealed).not.toContain(secret);
      expect(readable).not.toContain(secret);
    }
  });

  it('seals the same token differently each time', async () => {
    expect(await seal(stored, key)).not.toBe(await seal(stored, key));
  });

  it('names endpoint, identity, expiry and key in the protected header', async () => {
    expect(decodeProtectedHeader(await seal(stored, key))).toEqual({ alg: 'dir', enc: 'A256GCM', ...header });
  });

  it('does not open with another key', async () => {
    const other = { keyId: key.keyId, key: new Uint8Array(32).fill(8) };
    expect(await open(await seal(stored, key), other, expected)).toBeUndefined();
  });

  it('does not open with a key of another length', async () => {
    const short = { keyId: key.keyId, key: new Uint8Array(16).fill(7) };
    expect(await open(await seal(stored, key), short, expected)).toBeUndefined();
  });

  it('does not open when any one of its characters was altered', async () => {
    const sealed = await seal(stored, key);
    const opened: number[] = [];
    for (let at = 0; at < sealed.length; at++) {
      const character = sealed.charAt(at);
      // `A` and `Q` differ in the first bits, so no altered character decodes to the same bytes.
      const altered = `${sealed.slice(0, at)}${character === 'A' ? 'Q' : 'A'}${sealed.slice(at + 1)}`;
      const sameBytes = altered
        .split('.')
        .every((part, index) =>
          Buffer.from(part, 'base64url').equals(Buffer.from(sealed.split('.')[index] ?? '', 'base64url')),
        );
      if (!sameBytes && (await open(altered, key, expected)) !== undefined) opened.push(at);
    }
    expect(opened).toEqual([]);
  });

  it('does not open under the header of another sealed token', async () => {
    const other = { ...stored, token: anEndpointToken({ expiresOn: addSeconds(stored.token.expiresOn, 60) }) };
    const [, ...body] = (await seal(stored, key)).split('.');
    const [otherHeader] = (await seal(other, key)).split('.');
    expect(await open([otherHeader, ...body].join('.'), key, expected)).toBeUndefined();
  });

  it('does not open as the token of another endpoint', async () => {
    const other = { ...expected, endpointId: anEndpoint({ name: 'fraud-other' }).id };
    expect(await open(await seal(stored, key), key, other)).toBeUndefined();
  });

  it('does not open as the token of another identity', async () => {
    expect(await open(await seal(stored, key), key, { ...expected, identity: 'other-reader' })).toBeUndefined();
  });

  it('does not open when the key has another name than the header says', async () => {
    expect(await open(await seal(stored, key), { ...key, keyId: 'version-2' }, expected)).toBeUndefined();
  });

  it('opens what its own builder makes, so the refusals below are for the reason they name', async () => {
    expect(await open(await sealRaw(stored, header), key, expected)).toEqual(stored);
  });

  it.each([
    ['names another endpoint than the contents', stored, { ...header, endpoint: '/other' }],
    ['names another identity than the contents', stored, { ...header, identity: 'other-reader' }],
    ['names another expiry than the contents', stored, { ...header, exp: header.exp + 1 }],
    ['names no expiry', stored, { kid: header.kid, endpoint: header.endpoint, identity: header.identity }],
    ['names no key', stored, { endpoint: header.endpoint, identity: header.identity, exp: header.exp }],
    ['is right but the contents are of another endpoint', { ...stored, endpoint: anEndpoint({ name: 'x' }) }, header],
    ['is right but the contents are of another identity', { ...stored, identity: 'other-reader' }, header],
    ['is right but the contents are empty', {}, header],
    ['is right but the contents have a field more', { ...stored, more: 1 }, header],
    ['is right but an instant is none', { ...stored, token: { ...stored.token, refreshBy: 'soon' } }, header],
    ['is right but the address is no URL', { ...stored, endpoint: anEndpoint({ scoringUri: 'javascript:1' }) }, header],
  ])('does not open when the header %s', async (_what, contents, protectedHeader) => {
    expect(await open(await sealRaw(contents, protectedHeader), key, expected)).toBeUndefined();
  });

  it('does not open what was encrypted by another algorithm', async () => {
    const sealed = await new CompactEncrypt(new TextEncoder().encode(JSON.stringify(stored)))
      .setProtectedHeader({ alg: 'A256KW', enc: 'A256GCM', ...header })
      .encrypt(key.key);
    await expect(compactDecrypt(sealed, key.key)).resolves.toBeDefined();
    expect(await open(sealed, key, expected)).toBeUndefined();
  });

  it.each(['', 'text', 'a.b.c', '....', 'e30.....', '🙂', `e30.${'A'.repeat(5000)}.A.A.A`])(
    'answers undefined for %j, which is no sealed token',
    async (text) => {
      expect(await open(text, key, expected)).toBeUndefined();
      expect(sealingKeyId(text)).toBeUndefined();
    },
  );

  it('tells the name of the key before opening', async () => {
    expect(sealingKeyId(await seal(stored, key))).toBe('version-1');
  });
});
