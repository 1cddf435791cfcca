import type { JWK } from 'jose';
import { describe, expect, it } from 'vitest';
import { createKeyRing, type KeySource } from '../../src/callers/published-keys.ts';
import { createSigningKey, otherTenant, start, tenant } from './entra.ts';

const one = (await createSigningKey('key-1')).jwk;
const two = (await createSigningKey('key-2')).jwk;

const HOUR = 3600;

function createTenant(...first: JWK[]) {
  let now = start;
  let published = first;
  let failure: Error | undefined;
  let gate: Promise<void> | undefined;
  const fetched: string[] = [];
  const warnings: string[] = [];
  const reports: string[] = [];
  const keyRing = createKeyRing({
    clock: () => now,
    fetchKeys: async (source) => {
      fetched.push('entraTenant' in source ? source.entraTenant : source.issuer);
      await gate;
      if (failure !== undefined) throw failure;
      return { keys: published };
    },
    log: {
      info: () => undefined,
      warn: (event, fields) => warnings.push(`${event} ${fields?.ageSeconds}`),
      error: () => undefined,
    },
    report: (state, source) => reports.push(`${state} ${source}`),
  });
  return {
    fetched,
    warnings,
    reports,
    keyIds: async (keyId: string, tenantId = tenant) => [...(await keyRing({ entraTenant: tenantId }, keyId)).keyIds],
    ring: (source: string | KeySource, keyId: string) =>
      keyRing(typeof source === 'string' ? { entraTenant: source } : source, keyId),
    publish(...next: JWK[]) {
      published = next;
    },
    fail(error: Error | undefined) {
      failure = error;
    },
    /** Holds every fetch until the returned function is called. */
    hold(): () => void {
      const { promise, resolve } = Promise.withResolvers<void>();
      gate = promise;
      return resolve;
    },
    advance(seconds: number) {
      now = new Date(now.getTime() + seconds * 1000);
    },
  };
}

describe('the key ring', () => {
  it('fetches a tenant’s keys once and holds them for an hour', async () => {
    const entra = createTenant(one);
    expect(await entra.keyIds('key-1')).toEqual(['key-1']);
    entra.advance(HOUR - 1);
    expect(await entra.keyIds('key-1')).toEqual(['key-1']);
    expect(entra.fetched).toEqual([tenant]);
    entra.advance(1);
    await entra.keyIds('key-1');
    expect(entra.fetched).toEqual([tenant, tenant]);
  });

  it('gives the same object while it holds the set, so that remembered callers stay known', async () => {
    const entra = createTenant(one);
    const first = await entra.ring(tenant, 'key-1');
    entra.advance(HOUR - 1);
    expect(await entra.ring(tenant, 'key-1')).toBe(first);
  });

  it('gives the same object for a set that was fetched again unchanged, and another for a changed one', async () => {
    const entra = createTenant(one);
    const first = await entra.ring(tenant, 'key-1');
    entra.advance(HOUR);
    expect(await entra.ring(tenant, 'key-1')).toBe(first);
    entra.advance(HOUR - 1);
    expect(await entra.ring(tenant, 'key-1')).toBe(first);
    expect(entra.fetched).toHaveLength(2);
    entra.publish(one, two);
    entra.advance(1);
    expect(await entra.ring(tenant, 'key-1')).not.toBe(first);
    expect(entra.fetched).toHaveLength(3);
  });

  it('P1: gives another object when a key’s text changed under its kid', async () => {
    const entra = createTenant(one);
    const first = await entra.ring(tenant, 'key-1');
    entra.publish({ ...two, kid: 'key-1' });
    entra.advance(HOUR);
    expect(await entra.ring(tenant, 'key-1')).not.toBe(first);
  });

  it('P1: keeps OIDC issuers apart by their URL and by what is pinned: keys held for one are never another’s', async () => {
    const held = createTenant(one);
    const issuer = 'https://issuer.example';
    const first = await held.ring({ issuer, jwksUri: undefined }, 'key-1');
    held.publish(two);
    const others = [
      { issuer, jwksUri: 'https://keys.example/jwks' },
      { issuer, jwksUri: 'https://keys.example/other' },
      { issuer: `${issuer}/`, jwksUri: undefined },
    ];
    for (const source of others) expect([...(await held.ring(source, 'key-2')).keyIds]).toEqual(['key-2']);
    expect(await held.ring({ issuer, jwksUri: undefined }, 'key-1')).toBe(first);
    expect(held.fetched).toHaveLength(4);
  });

  it('keeps tenants apart', async () => {
    const entra = createTenant(one);
    await entra.keyIds('key-1');
    entra.publish(two);
    expect(await entra.keyIds('key-2', otherTenant)).toEqual(['key-2']);
    expect(await entra.keyIds('key-1')).toEqual(['key-1']);
    expect(entra.fetched).toEqual([tenant, otherTenant]);
  });

  it('shares one fetch among all who ask while it is under way', async () => {
    const entra = createTenant(one);
    const release = entra.hold();
    const asked = ['key-1', 'key-1', 'unknown', 'key-1'].map((keyId) => entra.keyIds(keyId));
    release();
    expect(await Promise.all(asked)).toEqual([['key-1'], ['key-1'], ['key-1'], ['key-1']]);
    expect(entra.fetched).toHaveLength(1);
  });

  it('shares one failure among all who ask while the fetch is under way', async () => {
    const entra = createTenant(one);
    const release = entra.hold();
    entra.fail(new Error('out of reach'));
    const asked = [entra.keyIds('key-1'), entra.keyIds('key-1')];
    release();
    const outcomes = await Promise.allSettled(asked);
    expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    expect(entra.fetched).toHaveLength(1);
  });

  it('lets those who ask during a fetch wait for its keys, even while it holds older ones', async () => {
    const entra = createTenant(one);
    await entra.keyIds('key-1');
    entra.advance(30);
    entra.publish(one, two);
    const release = entra.hold();
    const asked = ['key-2', 'key-2'].map((keyId) => entra.keyIds(keyId));
    release();
    expect(await Promise.all(asked)).toEqual([
      ['key-1', 'key-2'],
      ['key-1', 'key-2'],
    ]);
    expect(entra.fetched).toHaveLength(2);
  });

  it('P1: counts a key that is published without a kid as nobody’s', async () => {
    const { kid: _kid, ...unnamed } = one;
    const entra = createTenant(unnamed, two);
    expect(await entra.keyIds('key-2')).toEqual(['key-2']);
  });

  it('picks up a key that was published since, as soon as a token names it', async () => {
    const entra = createTenant(one);
    await entra.keyIds('key-1');
    entra.advance(30);
    entra.publish(one, two);
    expect(await entra.keyIds('key-2')).toEqual(['key-1', 'key-2']);
  });

  it('drops a key that is no longer published within the hour', async () => {
    const entra = createTenant(one, two);
    expect(await entra.keyIds('key-1')).toEqual(['key-1', 'key-2']);
    entra.publish(two);
    entra.advance(HOUR);
    expect(await entra.keyIds('key-1')).toEqual(['key-2']);
  });

  it('looks for unknown kids once in 30 s, however many strangers ask', async () => {
    const entra = createTenant(one);
    await entra.keyIds('key-1');
    entra.advance(29);
    for (const keyId of ['a', 'b', 'c']) expect(await entra.keyIds(keyId)).toEqual(['key-1']);
    expect(entra.fetched).toHaveLength(1);
    entra.advance(1);
    for (const keyId of ['a', 'b', 'c']) await entra.keyIds(keyId);
    expect(entra.fetched).toHaveLength(2);
  });

  it('tells the readiness answer about every fetch', async () => {
    const entra = createTenant(one);
    await entra.keyIds('key-1');
    entra.fail(new Error('out of reach'));
    entra.advance(HOUR);
    await entra.keyIds('key-1');
    expect(entra.reports).toEqual([`ok ${tenant}`, `degraded ${tenant}`]);
    entra.advance(23 * HOUR);
    await entra.keyIds('key-1').catch(() => undefined);
    expect(entra.reports).toEqual([`ok ${tenant}`, `degraded ${tenant}`, `down ${tenant}`]);
  });

  it('tells that a tenant is down while it never had its keys', async () => {
    const entra = createTenant(one);
    entra.fail(new Error('out of reach'));
    await entra.keyIds('key-1').catch(() => undefined);
    expect(entra.reports).toEqual([`down ${tenant}`]);
  });
});

describe('the key ring while the issuer is unreachable', () => {
  it('goes on with the keys that it has for 24 h, and says so', async () => {
    const entra = createTenant(one);
    await entra.keyIds('key-1');
    entra.fail(new Error('out of reach'));
    entra.advance(24 * HOUR - 1);
    expect(await entra.keyIds('key-1')).toEqual(['key-1']);
    expect(entra.warnings).toEqual(['published_keys_kept 86399']);
  });

  it('P1: refuses to use keys that are 24 h old', async () => {
    const entra = createTenant(one);
    await entra.keyIds('key-1');
    entra.fail(new Error('out of reach'));
    entra.advance(24 * HOUR);
    await expect(entra.keyIds('key-1')).rejects.toThrow('out of reach');
  });

  it('tries again at most once in 30 s while it still has keys', async () => {
    const entra = createTenant(one);
    await entra.keyIds('key-1');
    entra.fail(new Error('out of reach'));
    entra.advance(HOUR);
    for (let call = 0; call < 5; call++) await entra.keyIds('key-1');
    expect(entra.fetched).toHaveLength(2);
    entra.advance(30);
    await entra.keyIds('key-1');
    expect(entra.fetched).toHaveLength(3);
  });

  it('passes the failure on when it has no keys, and recovers with the next fetch that works', async () => {
    const entra = createTenant(one);
    entra.fail(new Error('out of reach'));
    await expect(entra.keyIds('key-1')).rejects.toThrow('out of reach');
    entra.fail(undefined);
    entra.advance(5);
    expect(await entra.keyIds('key-1')).toEqual(['key-1']);
  });

  it('P7: says the same failure for 5 s without asking again while it has no keys, then asks', async () => {
    const entra = createTenant(one);
    const failure = new Error('out of reach');
    entra.fail(failure);
    await expect(entra.keyIds('key-1')).rejects.toBe(failure);
    entra.fail(undefined);
    entra.advance(4.999);
    for (const keyId of ['key-1', 'unknown']) await expect(entra.keyIds(keyId)).rejects.toBe(failure);
    expect(entra.fetched).toHaveLength(1);
    entra.advance(0.001);
    expect(await entra.keyIds('key-1')).toEqual(['key-1']);
    expect(entra.fetched).toHaveLength(2);
  });

  it('pauses 5 s, not 30 s, once the keys in hand are too old', async () => {
    const entra = createTenant(one);
    await entra.keyIds('key-1');
    entra.fail(new Error('out of reach'));
    entra.advance(24 * HOUR);
    for (let call = 0; call < 3; call++) await expect(entra.keyIds('key-1')).rejects.toThrow('out of reach');
    expect(entra.fetched).toHaveLength(2);
    entra.fail(undefined);
    entra.advance(5);
    expect(await entra.keyIds('key-1')).toEqual(['key-1']);
  });

  it('the failure of one tenant does not pause another', async () => {
    const entra = createTenant(one);
    entra.fail(new Error('out of reach'));
    await expect(entra.keyIds('key-1')).rejects.toThrow('out of reach');
    entra.fail(undefined);
    expect(await entra.keyIds('key-1', otherTenant)).toEqual(['key-1']);
  });

  it('takes the new set as soon as the issuer is back', async () => {
    const entra = createTenant(one);
    await entra.keyIds('key-1');
    entra.fail(new Error('out of reach'));
    entra.advance(2 * HOUR);
    await entra.keyIds('key-1');
    entra.fail(undefined);
    entra.publish(two);
    entra.advance(30);
    expect(await entra.keyIds('key-1')).toEqual(['key-2']);
  });
});
