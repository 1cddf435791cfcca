import { createHash, createPrivateKey, createPublicKey, generateKeyPair, X509Certificate } from 'node:crypto';
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { createLocalJWKSet, importPKCS8, type JWTPayload, type JWTVerifyGetKey, SignJWT } from 'jose';
import { generate } from 'selfsigned';

/** One key as Entra publishes it: no `alg`, `kid` equal to `x5t`. */
export interface PublishedKey {
  kty: 'RSA';
  use: 'sig';
  kid: string;
  x5t: string;
  n: string;
  e: string;
  x5c: [string];
}

export interface EntraKeys {
  /** Signs claims (RS256) with the first published key; `x5t` goes into the header of v1 tokens only. */
  sign(claims: JWTPayload, version: '1.0' | '2.0'): Promise<string>;
  /** The published set; the first key is the signing key. */
  published: readonly PublishedKey[];
  /** Finds the public key for a token's header, for jose's `jwtVerify`. */
  verificationKey: JWTVerifyGetKey;
}

interface KeyFiles {
  key: string;
  certificate: string;
}

const SIGNING_KEY_FILE = 'entra-signing-key.pem';
const CERTIFICATE_YEARS_MS = 5 * 365 * 86_400_000;

/**
 * Reads Entra's keys from a folder, or makes them: the signing key (`entra-signing-key.pem`, PKCS#8, mode 0600) and a second
 * one that is published but signs nothing yet. Kept over restarts, so that tokens in hand stay good.
 */
export async function ensureEntraKeys(folder: string, now: Date): Promise<EntraKeys> {
  await mkdir(folder, { recursive: true });
  const [signing, next] = await Promise.all([
    ensureKey({ key: join(folder, SIGNING_KEY_FILE), certificate: join(folder, 'entra-signing-certificate.pem') }, now),
    ensureKey(
      { key: join(folder, 'entra-next-key.pem'), certificate: join(folder, 'entra-next-certificate.pem') },
      now,
    ),
  ]);
  const privateKey = await importPKCS8(signing.pem, 'RS256');
  const { kid } = signing.published;
  const published = [signing.published, next.published];
  return {
    published,
    verificationKey: createLocalJWKSet({ keys: published }),
    sign: (claims, version) => {
      const header = { typ: 'JWT', alg: 'RS256', kid };
      return new SignJWT(claims)
        .setProtectedHeader(version === '1.0' ? { ...header, x5t: kid } : header)
        .sign(privateKey);
    },
  };
}

async function ensureKey(files: KeyFiles, now: Date): Promise<{ pem: string; published: PublishedKey }> {
  const stored = await readKey(files);
  if (stored) return stored;
  const { publicKey, privateKey } = await promisify(generateKeyPair)('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
  const { cert } = await generate([{ name: 'commonName', value: 'accounts.accesscontrol.windows.net' }], {
    keyPair: { privateKey, publicKey },
    keyType: 'rsa',
    algorithm: 'sha256',
    notBeforeDate: now,
    notAfterDate: new Date(now.getTime() + CERTIFICATE_YEARS_MS),
  });
  await writeFile(files.key, privateKey, { mode: 0o600 });
  await chmod(files.key, 0o600);
  await writeFile(files.certificate, cert);
  return { pem: privateKey, published: publish(privateKey, cert) };
}

async function readKey(files: KeyFiles): Promise<{ pem: string; published: PublishedKey } | undefined> {
  try {
    const pem = await readFile(files.key, 'utf8');
    const certificate = await readFile(files.certificate, 'utf8');
    const matches = new X509Certificate(certificate).checkPrivateKey(createPrivateKey(pem));
    return matches ? { pem, published: publish(pem, certificate) } : undefined;
  } catch {
    // Missing or damaged: made anew.
    return undefined;
  }
}

function publish(privateKeyPem: string, certificatePem: string): PublishedKey {
  const { n = '', e = '' } = createPublicKey(privateKeyPem).export({ format: 'jwk' });
  const der = new X509Certificate(certificatePem).raw;
  const kid = createHash('sha1').update(der).digest('base64url');
  return { kty: 'RSA', use: 'sig', kid, x5t: kid, n, e, x5c: [der.toString('base64')] };
}
