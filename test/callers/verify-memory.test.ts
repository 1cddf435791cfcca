import type { JWK } from 'jose';
import { describe, expect, it } from 'vitest';
import { createKeyRing } from '../../src/callers/published-keys.ts';
import { createVerifier } from '../../src/callers/verify.ts';
import {
  apiAppId,
  callerObjectId,
  claimsOf,
  createSigningKey,
  createWorld,
  expectRefusal,
  headerOf,
  issuerV1,
  issuerV2,
  signRaw,
  signToken,
  start,
  startSeconds,
  tenant,
} from './entra.ts';

const key = await createSigningKey('key-1');
const nextKey = await createSigningKey('key-2');
const strangersKey = await createSigningKey('key-3');

describe('a verified token', () => {
  it('is remembered: the same caller comes back for it', async () => {
    const world = createWorld(key);
    const token = await signToken(key);
    const first = await world.verify(token);
    world.advance(299);
    expect(await world.verify(token)).toBe(first);
  });

  it('stays known when the published set was fetched again unchanged', async () => {
    const world = createWorld(key);
    await world.verify(await signToken(key));
    world.advance(3500);
    const token = await signToken(key, { exp: startSeconds + 7200 });
    const first = await world.verify(token);
    world.advance(100);
    expect(await world.verify(token)).toBe(first);
    expect(world.fetches()).toBe(2);
  });

  it('is verified again after 5 minutes', async () => {
    const world = createWorld(key);
    const token = await signToken(key);
    const first = await world.verify(token);
    world.advance(300);
    const second = await world.verify(token);
    expect(second).not.toBe(first);
    expect(second).toEqual(first);
  });

  it('P1: is not remembered past its expiry and the skew', async () => {
    const world = createWorld(key);
    const token = await signToken(key, { exp: startSeconds - 200 });
    await expect(world.verify(token)).resolves.toMatchObject({ objectId: callerObjectId });
    world.advance(99);
    await expect(world.verify(token)).resolves.toMatchObject({ objectId: callerObjectId });
    world.advance(1);
    await expectRefusal(world.verify(token), 'expired');
  });

  it('P1: is forgotten when its key leaves the published set', async () => {
    const world = createWorld(key, nextKey);
    const token = await signToken(key);
    await world.verify(token);
    world.publish(nextKey);
    world.advance(31);
    // An unknown kid makes the broker look again, and so learn that the old key is gone.
    await expectRefusal(world.verify(await signToken(strangersKey)), 'unknown_key');
    await expectRefusal(world.verify(token), 'unknown_key');
  });

  it('P1: is verified with the new key when a kid is published with another key', async () => {
    const world = createWorld(key);
    const token = await signToken(key);
    await world.verify(token);
    world.publish(await createSigningKey('key-1'));
    world.advance(3600);
    await expectRefusal(world.verify(token), 'signature');
  });

  it('is known by its whole text: one that differs in its signature alone is not recalled', async () => {
    const world = createWorld(key);
    const [header, payload, signature = ''] = (await signToken(key)).split('.');
    await world.verify(`${header}.${payload}.${signature}`);
    await expectRefusal(world.verify(`${header}.${payload}.${'A'.repeat(342)}`), 'signature');
  });

  it('stays one of at most 10,000: the oldest is forgotten first', { timeout: 60_000 }, async () => {
    const world = createWorld(key);
    const token = await signToken(key);
    const first = await world.verify(token);
    for (let index = 0; index < 10_000; index++) {
      await world.verify(signRaw(key, headerOf(key), { ...claimsOf.appV2, index }));
    }
    const second = await world.verify(token);
    expect(second).not.toBe(first);
    expect(await world.verify(token)).toBe(second);
  });
});

describe('a refused token', () => {
  it('is never remembered: the same text is accepted once it becomes valid', async () => {
    const world = createWorld(key);
    const token = await signToken(key, { nbf: startSeconds + 310, exp: startSeconds + 3600 });
    await expectRefusal(world.verify(token), 'not_yet_valid');
    world.advance(10);
    await expect(world.verify(token)).resolves.toMatchObject({ objectId: callerObjectId });
  });

  it('costs no fetch of keys when its issuer is not trusted', async () => {
    const world = createWorld(key);
    await expectRefusal(world.verify(await signToken(key, { iss: 'https://example.com/' })), 'issuer');
    expect(world.fetches()).toBe(0);
  });

  it('costs no fetch of keys when its header is wrong', async () => {
    const world = createWorld(key);
    await expectRefusal(world.verify(await signToken(key, {}, { typ: 'at+jwt' })), 'header_typ');
    expect(world.fetches()).toBe(0);
  });
});

describe('a published set that cannot be used', () => {
  const verifyWith = async (keys: JWK[]) => {
    const clock = () => start;
    const keyRing = createKeyRing({
      clock,
      fetchKeys: async () => ({ keys }),
      log: { info: () => undefined, warn: () => undefined, error: () => undefined },
      report: () => undefined,
    });
    const issuers = { contoso: { entraTenant: tenant, audience: [apiAppId] } };
    return createVerifier({ issuers, issuerV1, issuerV2, keyRing, clock })(await signToken(key));
  };

  it('P1: refuses a token whose kid is there twice', async () => {
    await expectRefusal(verifyWith([key.jwk, { ...nextKey.jwk, kid: 'key-1' }]), 'not_verifiable');
  });

  it('P1: refuses a token whose key is meant for encryption', async () => {
    await expectRefusal(verifyWith([{ ...key.jwk, use: 'enc' }]), 'unknown_key');
  });

  it('P1: refuses a token whose key is published for another algorithm', async () => {
    await expectRefusal(verifyWith([{ ...key.jwk, alg: 'RS512' }]), 'unknown_key');
  });

  it('P1: refuses a token whose key has no RSA modulus', async () => {
    await expectRefusal(verifyWith([{ kty: 'RSA', kid: 'key-1', use: 'sig' }]), 'not_verifiable');
  });
});

it('passes on that the keys cannot be had: that is no fault of the token', async () => {
  const world = createWorld(key);
  world.setReachable(false);
  await expect(world.verify(await signToken(key))).rejects.toThrow('out of reach');
});
