import fc from 'fast-check';
import { CompactSign, exportJWK, exportSPKI } from 'jose';
import { describe, expect, it } from 'vitest';
import {
  callerObjectId,
  claimsOf,
  createSigningKey,
  createWorld,
  expectRefusal,
  headerOf,
  signRaw,
  signToken,
  signWithAlgorithm,
} from './entra.ts';

const key = await createSigningKey('key-1');
const secondKey = await createSigningKey('key-2');
const strangersKey = await createSigningKey('key-1');

const base64url = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';

const verify = (token: string) => createWorld(key, secondKey).verify(token);
const verifyHeader = (changes: Record<string, unknown>) => verify(signRaw(key, headerOf(key, changes), claimsOf.appV2));

describe('the signature', () => {
  it('is accepted by any published key that its kid names', async () => {
    await expect(verify(await signToken(secondKey))).resolves.toMatchObject({ objectId: callerObjectId });
  });

  it('P1: is refused when a stranger signed under a published kid', async () => {
    await expectRefusal(verify(await signToken(strangersKey)), 'signature');
  });

  it('P1: is refused when the kid names another published key', async () => {
    await expectRefusal(verify(signRaw(key, headerOf(secondKey), claimsOf.appV2)), 'signature');
  });

  it.each(['PS256', 'PS384', 'RS384', 'RS512'])('P1: is refused with %s by a published key', async (alg) => {
    await expectRefusal(verify(await signWithAlgorithm(key, alg)), 'header_alg');
  });

  it('P1: is refused when the header says RS256 but the key signed with PS256', async () => {
    const [, payload = ''] = (await signToken(key)).split('.');
    const [, , signature = ''] = (await signWithAlgorithm(key, 'PS256')).split('.');
    const header = Buffer.from(JSON.stringify(headerOf(key))).toString('base64url');
    await expectRefusal(verify(`${header}.${payload}.${signature}`), 'signature');
  });

  it('P1: is refused with HS256 and the public key as the secret', async () => {
    const secrets = [await exportSPKI(key.publicKey), JSON.stringify(key.jwk), String(key.jwk.n)];
    for (const secret of secrets) {
      const token = await new CompactSign(Buffer.from(JSON.stringify(claimsOf.appV2)))
        .setProtectedHeader({ typ: 'JWT', alg: 'HS256', kid: key.kid })
        .sign(Buffer.from(secret));
      await expectRefusal(verify(token), 'header_alg');
    }
  });

  it.each(['none', 'None', 'rs256', 'RS256 ', '', 1, null, ['RS256'], undefined])(
    'P1: is refused with alg %j',
    async (alg) => {
      await expectRefusal(verifyHeader({ alg }), 'header_alg');
    },
  );

  it('P1: is refused when any one character of the token is another', async () => {
    const token = await signToken(key);
    const world = createWorld(key);
    const change = fc.tuple(fc.nat(token.length - 1), fc.constantFrom(...base64url));
    await fc.assert(
      fc.asyncProperty(change, async ([index, letter]) => {
        fc.pre(token[index] !== '.' && token[index] !== letter);
        const changed = token.slice(0, index) + letter + token.slice(index + 1);
        await expect(world.verify(changed)).rejects.toMatchObject({ code: 'invalid_token' });
      }),
      { numRuns: 200 },
    );
    await expect(world.verify(token)).resolves.toMatchObject({ objectId: callerObjectId });
  });
});

describe('the header', () => {
  it.each([undefined, '', 7, null, 'k'.repeat(257)])('P1: is refused with kid %j', async (kid) => {
    await expectRefusal(verifyHeader({ kid }), 'header_kid');
  });

  it.each(['key-3', 'KEY-1', 'key-1 ', '__proto__'])('P1: is refused with the unknown kid %j', async (kid) => {
    await expectRefusal(verifyHeader({ kid }), 'unknown_key');
  });

  it.each([undefined, '', 'jwt', 'at+jwt', 'JOSE', 'JWT ', null, 7])('P1: is refused with typ %j', async (typ) => {
    await expectRefusal(verifyHeader({ typ }), 'header_typ');
  });

  it.each([
    ['crit', ['exp']],
    ['crit', []],
    ['jwk', key.jwk],
    ['jwk', null],
    ['jku', 'https://login.microsoftonline.com/common/discovery/v2.0/keys'],
    ['x5u', 'https://example.com/certificate.pem'],
    ['x5c', ['MIIB']],
    ['b64', true],
    ['zip', 'DEF'],
    ['enc', 'A256GCM'],
    ['cty', 'JWT'],
  ])('P1: is refused with %s: %j, whatever it says', async (name, value) => {
    await expectRefusal(verifyHeader({ [name]: value }), `header_${name}`);
  });

  it('P1: is refused when it brings the key that signed it', async () => {
    const jwk = await exportJWK(strangersKey.publicKey);
    const token = signRaw(strangersKey, headerOf(strangersKey, { jwk }), claimsOf.appV2);
    await expectRefusal(verify(token), 'header_jwk');
  });

  it('may hold x5t, as v1 tokens do', async () => {
    await expect(verifyHeader({ x5t: 'made-up-thumbprint' })).resolves.toMatchObject({ class: 'app' });
  });
});

describe('the encoding', () => {
  it('P1: is refused when a part ends in bits that are not zero', async () => {
    const [header = '', payload = '', signature = ''] = (await signToken(key)).split('.');
    // 256 bytes are 342 characters, the last of which has four bits too many: another spelling of the same bytes.
    const last = base64url.indexOf(signature.slice(-1));
    const respelled = `${signature.slice(0, -1)}${base64url[last + 1]}`;
    expect(Buffer.from(respelled, 'base64url')).toEqual(Buffer.from(signature, 'base64url'));
    await expectRefusal(verify(`${header}.${payload}.${respelled}`), 'non_canonical_encoding');
  });

  it.each([
    ['padding', (part: string) => `${part}=`],
    ['a space', (part: string) => `${part} `],
    ['a line break', (part: string) => `${part}\n`],
    ['a left-over character', (part: string) => `${part.slice(0, 4)}A`],
  ])('P1: is refused with %s in any part', async (_what, respell) => {
    const parts = (await signToken(key)).split('.');
    for (const index of [0, 1, 2]) {
      const changed = parts.map((part, at) => (at === index ? respell(part) : part)).join('.');
      await expectRefusal(verify(changed), 'non_canonical_encoding');
    }
  });

  it.each([
    ['no part at all', 0, 'header_not_json'],
    ['a header alone', 1, 'payload_not_json'],
    ['two parts', 2, 'not_verifiable'],
    ['four parts', 4, 'not_verifiable'],
  ])('P1: is refused with %s', async (_what, count, reason) => {
    const parts = (await signToken(key)).split('.');
    await expectRefusal(verify([...parts, 'ZXh0cmE'].slice(0, count).join('.')), reason);
  });

  it.each([
    ['header', 'header_not_json', (text: string) => signRaw(key, text, claimsOf.appV2)],
    ['payload', 'payload_not_json', (text: string) => signRaw(key, headerOf(key), text)],
  ])('P1: is refused when the %s is not JSON', async (_part, reason, make) => {
    for (const text of ['', 'x', '{', "{'alg':'RS256'}", '{"alg":"RS256",}']) {
      await expectRefusal(verify(make(text)), reason);
    }
  });

  it('P1: is refused when the payload is not UTF-8', async () => {
    const header = Buffer.from(JSON.stringify(headerOf(key))).toString('base64url');
    const payload = Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]).toString('base64url');
    await expectRefusal(verify(`${header}.${payload}.AAAA`), 'payload_not_json');
  });

  it.each(['[]', 'null', '"text"', '7'])('P1: is refused when a part is the JSON %s', async (text) => {
    await expectRefusal(verify(signRaw(key, text, claimsOf.appV2)), 'not_an_object');
    await expectRefusal(verify(signRaw(key, headerOf(key), text)), 'not_an_object');
  });

  it('P2: leaves no part of the token in the error', async () => {
    const token = await signToken(strangersKey);
    const failed = await verify(token).catch((error: unknown) => error);
    expect(failed).toBeInstanceOf(Error);
    const shown = `${String(failed)} ${JSON.stringify(failed)} ${failed instanceof Error ? failed.stack : ''}`;
    for (const part of token.split('.')) expect(shown).not.toContain(part);
  });
});
