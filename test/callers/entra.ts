import { createPrivateKey, type KeyObject, sign } from 'node:crypto';
import {
  CompactSign,
  type CryptoKey,
  exportJWK,
  exportPKCS8,
  generateKeyPair,
  importPKCS8,
  type JWK,
  SignJWT,
} from 'jose';
import { expect } from 'vitest';
import { createKeyRing } from '../../src/callers/published-keys.ts';
import { createVerifier } from '../../src/callers/verify.ts';
import { problems } from '../../src/errors.ts';

/** A pretend Entra for the verifier: keys of our own, a published set that tests change, and a clock that they move. */

export const tenant = '11111111-1111-4111-8111-111111111111';
export const otherTenant = '22222222-2222-4222-8222-222222222222';
export const identifierUri = 'api://b0000000-0000-4000-8000-000000000001';
export const apiAppId = 'b0000000-0000-4000-8000-000000000001';
export const callerAppId = 'e0000000-0000-4000-8000-000000000001';
export const callerObjectId = 'e0000000-0000-4000-8000-0000000000f1';

/** Where every test's clock starts. */
export const start = new Date('2026-03-01T12:00:00Z');
export const startSeconds = start.getTime() / 1000;

type Json = Record<string, unknown>;

export interface SigningKey {
  kid: string;
  /** PKCS#8, so that one key can sign with every RSA algorithm. */
  pem: string;
  privateKey: KeyObject;
  publicKey: CryptoKey;
  /** As Entra publishes it: without `alg`. */
  jwk: JWK;
}

export async function createSigningKey(kid: string): Promise<SigningKey> {
  const { privateKey, publicKey } = await generateKeyPair('RS256', { extractable: true });
  const jwk = { ...(await exportJWK(publicKey)), kid, use: 'sig' };
  const pem = await exportPKCS8(privateKey);
  return { kid, pem, privateKey: createPrivateKey(pem), publicKey, jwk };
}

export const issuerV1 = (tenantId = tenant) => `https://sts.windows.net/${tenantId}/`;
export const issuerV2 = (tenantId = tenant) => `https://login.microsoftonline.com/${tenantId}/v2.0`;

const common = {
  tid: tenant,
  oid: callerObjectId,
  sub: callerObjectId,
  iat: startSeconds,
  nbf: startSeconds,
  exp: startSeconds + 3600,
  uti: 'made-up-uti',
};

/** Claims as Microsoft's "Access token claims reference" shows them, for each version and class. */
export const claimsOf = {
  appV1: { ...common, iss: issuerV1(), aud: identifierUri, ver: '1.0', appid: callerAppId },
  appV2: { ...common, iss: issuerV2(), aud: apiAppId, ver: '2.0', azp: callerAppId },
  userV1: { ...common, iss: issuerV1(), aud: identifierUri, ver: '1.0', appid: callerAppId, scp: 'Use', sub: 'pair-1' },
  userV2: { ...common, iss: issuerV2(), aud: apiAppId, ver: '2.0', azp: callerAppId, scp: 'Use', sub: 'pair-2' },
} as const satisfies Record<string, Json>;

const withoutUndefined = (json: Json): Json =>
  Object.fromEntries(Object.entries(json).filter(([, value]) => value !== undefined));

/** A token as Entra would sign it; a change to `undefined` removes the member. */
export async function signToken(key: SigningKey, changes: Json = {}, header: { typ?: string } = {}): Promise<string> {
  return new SignJWT(withoutUndefined({ ...claimsOf.appV2, ...changes }))
    .setProtectedHeader({ typ: 'JWT', alg: 'RS256', kid: key.kid, ...header })
    .sign(await importPKCS8(key.pem, 'RS256'));
}

/** A token whose signature is right for another algorithm of the same key. */
export async function signWithAlgorithm(key: SigningKey, alg: string): Promise<string> {
  return new CompactSign(Buffer.from(JSON.stringify(claimsOf.appV2)))
    .setProtectedHeader({ typ: 'JWT', alg, kid: key.kid })
    .sign(await importPKCS8(key.pem, alg));
}

const encode = (part: unknown): string =>
  Buffer.from(typeof part === 'string' ? part : JSON.stringify(part)).toString('base64url');

/** Signs any two parts with RSASSA-PKCS1-v1_5 and SHA-256, also ones that no library would sign. */
export function signRaw(key: SigningKey, header: unknown, payload: unknown): string {
  const signed = `${encode(header)}.${encode(payload)}`;
  return `${signed}.${sign('RSA-SHA256', Buffer.from(signed), key.privateKey).toString('base64url')}`;
}

/** The header of a good token with changes; a change to `undefined` removes the member. */
export const headerOf = (key: SigningKey, changes: Json = {}): Json =>
  withoutUndefined({ typ: 'JWT', alg: 'RS256', kid: key.kid, ...changes });

/** A verifier on a published set that the test controls. */
export function createWorld(...keys: SigningKey[]) {
  let now = start;
  let published = keys;
  let reachable = true;
  let fetches = 0;
  const clock = () => now;
  const keyRing = createKeyRing({
    clock,
    fetchKeys: async () => {
      fetches += 1;
      if (!reachable) throw new Error('out of reach');
      return { keys: published.map(({ jwk }) => jwk) };
    },
    log: { info: () => undefined, warn: () => undefined, error: () => undefined },
    report: () => undefined,
  });
  const verify = createVerifier({
    issuers: { contoso: { entraTenant: tenant, audience: [identifierUri, apiAppId] } },
    issuerV1,
    issuerV2,
    keyRing,
    clock,
  });
  return {
    verify,
    fetches: () => fetches,
    publish(...next: SigningKey[]) {
      published = next;
    },
    setReachable(next: boolean) {
      reachable = next;
    },
    advance(seconds: number) {
      now = new Date(now.getTime() + seconds * 1000);
    },
  };
}

/** Asserts the one answer that every refused token gets, and the reason that the log gets. */
export async function expectRefusal(attempt: Promise<unknown>, reason: string): Promise<void> {
  await expect(attempt).rejects.toMatchObject({
    name: 'BrokerError',
    code: 'invalid_token',
    status: 401,
    detail: problems.invalid_token.help,
    reason,
  });
}
