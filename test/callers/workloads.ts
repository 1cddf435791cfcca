import { createPrivateKey, type KeyObject, sign } from 'node:crypto';
import { type CryptoKey, exportJWK, exportPKCS8, generateKeyPair, type JWK } from 'jose';
import { createKeyRing, type KeySource } from '../../src/callers/published-keys.ts';
import { createVerifier } from '../../src/callers/verify.ts';
import type { Issuer } from '../../src/config/policy-schema.ts';
import { issuerV1, issuerV2, start, startSeconds } from './entra.ts';

/** Pretend OIDC issuers for the verifier: keys of our own, published sets that tests change. */

export const github = 'https://token.actions.githubusercontent.com';
export const cluster = 'https://oidc.example.com/cluster-1/';
export const audience = 'aml-token-broker';
export const jobSubject = 'repo:contoso/fraud:ref:refs/heads/main';

type Json = Record<string, unknown>;

export interface WorkloadKey {
  privateKey: KeyObject;
  publicKey: CryptoKey;
  /** As the adapter gives it: with the algorithm that is its own. */
  jwk: JWK & { kid: string; alg: string };
}

export async function createWorkloadKey(kid: string, alg = 'RS256'): Promise<WorkloadKey> {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true });
  const jwk = { ...(await exportJWK(publicKey)), kid, alg, use: 'sig' };
  return { privateKey: createPrivateKey(await exportPKCS8(privateKey)), publicKey, jwk };
}

const withoutUndefined = (json: Json): Json =>
  Object.fromEntries(Object.entries(json).filter(([, value]) => value !== undefined));

/** A GitHub job's claims with changes; a change to `undefined` removes the claim. */
export const jobClaims = (changes: Json = {}): Json =>
  withoutUndefined({
    iss: github,
    aud: audience,
    sub: jobSubject,
    jti: 'made-up-jti',
    iat: startSeconds,
    nbf: startSeconds,
    exp: startSeconds + 600,
    repository_owner_id: '1234',
    ...changes,
  });

const encode = (part: unknown): string => Buffer.from(JSON.stringify(part)).toString('base64url');

/** Signs with RSASSA-PKCS1-v1_5 or ECDSA and SHA-256, whatever the header says. */
export function signJob(key: WorkloadKey, changes: Json = {}, header: Json = {}): string {
  const head = withoutUndefined({ typ: 'JWT', alg: key.jwk.alg, kid: key.jwk.kid, ...header });
  const signed = `${encode(head)}.${encode(jobClaims(changes))}`;
  const signature = sign('sha256', Buffer.from(signed), { key: key.privateKey, dsaEncoding: 'ieee-p1363' });
  return `${signed}.${signature.toString('base64url')}`;
}

export const issuers = {
  github: { issuer: github, audience },
  cluster: { issuer: cluster, audience },
} as const satisfies Record<string, Issuer>;

/** A verifier on the sets that the test gives for each issuer URL (or tenant). */
export function createWorkloadWorld(
  published: Record<string, readonly JWK[]>,
  trusted: Readonly<Record<string, Issuer>> = issuers,
) {
  let now = start;
  const fetched: KeySource[] = [];
  const clock = () => now;
  const keyRing = createKeyRing({
    clock,
    fetchKeys: async (source) => {
      fetched.push(source);
      return { keys: [...(published['issuer' in source ? source.issuer : source.entraTenant] ?? [])] };
    },
    log: { info: () => undefined, warn: () => undefined, error: () => undefined },
    report: () => undefined,
  });
  return {
    verify: createVerifier({ issuers: trusted, issuerV1, issuerV2, keyRing, clock }),
    fetched,
    advance(seconds: number) {
      now = new Date(now.getTime() + seconds * 1000);
    },
  };
}
