import { beforeAll, describe, expect, it } from 'vitest';
import type { PublishedKeys } from '../../src/callers/published-keys.ts';
import { createKeyRing } from '../../src/callers/published-keys.ts';
import { withRefusalsRemembered } from '../../src/callers/refused-tokens.ts';
import { createVerifier } from '../../src/callers/verify.ts';
import { upstream } from '../support/builders.ts';
import { createMovableClock } from '../support/clock.ts';
import {
  apiAppId,
  createSigningKey,
  expectRefusal,
  identifierUri,
  issuerV1,
  issuerV2,
  type SigningKey,
  signRaw,
  signToken,
  start,
  startSeconds,
  tenant,
} from './entra.ts';

let key: SigningKey;
let stranger: SigningKey;
beforeAll(async () => {
  key = await createSigningKey('key-1');
  stranger = await createSigningKey('key-1');
});

/** The verifier as the broker has it, on published keys that count how often a signature is checked with them. */
function setUp() {
  const time = createMovableClock(start);
  const { clock } = time;
  const state = { published: [key], fault: undefined as Error | undefined };
  const ring = createKeyRing({
    clock,
    fetchKeys: async () => {
      if (state.fault !== undefined) throw state.fault;
      return { keys: state.published.map(({ jwk }) => jwk) };
    },
    log: { info: () => undefined, warn: () => undefined, error: () => undefined },
    report: () => undefined,
  });
  let checks = 0;
  const counting = new WeakMap<PublishedKeys, PublishedKeys>();
  const keyRing: typeof ring = async (...asked) => {
    const keys = await ring(...asked);
    const keySet: PublishedKeys['keySet'] = Object.assign(
      (...picked: Parameters<PublishedKeys['keySet']>) => {
        checks += 1;
        return keys.keySet(...picked);
      },
      { jwks: keys.keySet.jwks },
    );
    const counted = counting.get(keys) ?? { ...keys, keySet };
    counting.set(keys, counted);
    return counted;
  };
  const issuers = { contoso: { entraTenant: tenant, audience: [identifierUri, apiAppId] } };
  const verify = withRefusalsRemembered(createVerifier({ issuers, issuerV1, issuerV2, keyRing, clock }), clock);
  return { time, state, verify, checks: () => checks };
}

describe('a token that was refused', () => {
  it.each([
    ['for its signature', 'signature', () => signToken(stranger)],
    ['for its audience', 'audience', () => signToken(key, { aud: 'api://another' })],
    ['for its end', 'expired', () => signToken(key, { exp: startSeconds - 3600 })],
  ])('%s costs one signature check a minute, however often it comes', async (_why, reason, make) => {
    const { time, verify, checks } = setUp();
    const token = await make();
    for (let time = 0; time < 5; time++) await expectRefusal(verify(token), reason);
    expect(checks()).toBe(1);
    time.advance(60);
    await expectRefusal(verify(token), reason);
    expect(checks()).toBe(2);
  });

  it('does not keep a good one of the same caller out', async () => {
    const { verify } = setUp();
    await expectRefusal(verify(await signToken(stranger)), 'signature');
    await expect(verify(await signToken(key))).resolves.toMatchObject({ issuer: 'contoso' });
  });

  it('because its time had not come is let in when it has', async () => {
    const { time, verify } = setUp();
    const token = await signToken(key, { nbf: startSeconds + 310 });
    await expectRefusal(verify(token), 'not_yet_valid');
    time.advance(20);
    await expect(verify(token)).resolves.toMatchObject({ issuer: 'contoso' });
  });

  it('because its key was not published yet is let in when it is', async () => {
    const { time, state, verify, checks } = setUp();
    const next = await createSigningKey('key-2');
    const token = await signToken(next);
    await expectRefusal(verify(token), 'unknown_key');
    expect(checks()).toBe(0);
    state.published = [key, next];
    time.advance(31);
    await expect(verify(token)).resolves.toMatchObject({ issuer: 'contoso' });
  });

  it('is nothing that an outage makes: the next try may be let in', async () => {
    const { time, state, verify } = setUp();
    state.fault = upstream('unavailable');
    const token = await signToken(key);
    await expect(verify(token)).rejects.toMatchObject({ kind: 'unavailable' });
    state.fault = undefined;
    time.advance(6);
    await expect(verify(token)).resolves.toMatchObject({ issuer: 'contoso' });
  });
});

describe('cheap refusals', () => {
  const header = { typ: 'JWT', alg: 'RS256', kid: 'key-1' };
  const cases: [what: string, reason: string, make: () => string][] = [
    ['an issuer that nobody trusts', 'issuer', () => signRaw(key, header, { iss: 'https://elsewhere.example' })],
    ['a header with a key of its own', 'header_jwk', () => signRaw(key, { ...header, jwk: {} }, { iss: issuerV2() })],
    ['another algorithm', 'header_alg', () => signRaw(key, { ...header, alg: 'none' }, { iss: issuerV2() })],
    ['a key that is not published', 'unknown_key', () => signRaw(key, { ...header, kid: 'k' }, { iss: issuerV2() })],
    ['a payload that is no JSON', 'payload_not_json', () => signRaw(key, header, '{')],
  ];

  it.each(cases)('%s (%s) costs no signature check', async (_what, reason, make) => {
    const { verify, checks } = setUp();
    await expectRefusal(verify(make()), reason);
    expect(checks()).toBe(0);
  });
});
