import { createHash, createPrivateKey, createPublicKey, generateKeyPair, type KeyObject } from 'node:crypto';
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type JWK, type JWTPayload, SignJWT } from 'jose';
import { KUBERNETES, OIDC_ISSUERS } from './issuers.ts';

export interface OidcKeys {
  /** Signs claims as this issuer does; one that the sandbox does not play, with a key that nobody publishes. */
  sign(claims: JWTPayload, issuer: string): Promise<string>;
  /** What the issuer publishes; undefined where the sandbox does not play it. */
  published(issuer: string): JWK[] | undefined;
}

interface SigningKey {
  algorithm: 'RS256' | 'ES256';
  privateKey: KeyObject;
  jwk: JWK & { kid: string };
}

/** Reads each issuer's signing key from a folder, or makes it: kept over restarts, so that tokens in hand stay good. */
export async function ensureOidcKeys(folder: string): Promise<OidcKeys> {
  await mkdir(folder, { recursive: true });
  const stranger = toSigningKey(await makeKey('ES256'), 'ES256');
  const keys = new Map<string, SigningKey>();
  await Promise.all(
    OIDC_ISSUERS.map(async ({ issuer, algorithm, keyFile }) => {
      keys.set(issuer, toSigningKey(await ensureKey(join(folder, keyFile), algorithm), algorithm));
    }),
  );
  return {
    sign(claims, issuer) {
      const { algorithm: alg, privateKey, jwk } = keys.get(issuer) ?? stranger;
      // Kubernetes sends no typ.
      const typ = issuer === KUBERNETES.issuer ? {} : { typ: 'JWT' };
      return new SignJWT(claims).setProtectedHeader({ ...typ, alg, kid: jwk.kid }).sign(privateKey);
    },
    published(issuer) {
      const key = keys.get(issuer);
      return key && [key.jwk];
    },
  };
}

const makeKey = async (algorithm: SigningKey['algorithm']): Promise<string> => {
  const { privateKey } =
    algorithm === 'RS256'
      ? await promisify(generateKeyPair)('rsa', { modulusLength: 2048 })
      : await promisify(generateKeyPair)('ec', { namedCurve: 'P-256' });
  return privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
};

async function ensureKey(file: string, algorithm: SigningKey['algorithm']): Promise<string> {
  try {
    const pem = await readFile(file, 'utf8');
    if (createPrivateKey(pem).asymmetricKeyType === (algorithm === 'RS256' ? 'rsa' : 'ec')) return pem;
  } catch {
    // Missing or damaged: made anew.
  }
  const pem = await makeKey(algorithm);
  await writeFile(file, pem, { mode: 0o600 });
  await chmod(file, 0o600);
  return pem;
}

function toSigningKey(pem: string, algorithm: SigningKey['algorithm']): SigningKey {
  const publicKey = createPublicKey(pem);
  const kid = createHash('sha256')
    .update(publicKey.export({ type: 'spki', format: 'der' }))
    .digest('base64url');
  const jwk = { ...publicKey.export({ format: 'jwk' }), kid, use: 'sig', alg: algorithm };
  return { algorithm, privateKey: createPrivateKey(pem), jwk };
}
