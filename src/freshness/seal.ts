import { CompactEncrypt, compactDecrypt, decodeProtectedHeader } from 'jose';
import * as z from 'zod';
import type { StoredToken } from './ports.ts';

/** The key that seals tokens, and its name: the version of its Key Vault secret. */
export interface SealingKey {
  keyId: string;
  /** 32 bytes. */
  key: Uint8Array;
}

const instant = z.iso.datetime().transform((text) => new Date(text));

const contents = z.strictObject({
  endpoint: z.strictObject({
    kind: z.enum(['managed', 'kubernetes', 'webService']),
    id: z.string(),
    name: z.string(),
    authMode: z.enum(['aml_token', 'aad_token', 'key', 'none']),
    createdAt: z.string(),
    scoringUri: z.url({ protocol: /^https?$/ }),
  }),
  identity: z.string(),
  token: z.strictObject({ accessToken: z.string(), obtainedAt: instant, refreshBy: instant, expiresOn: instant }),
});

/** What the sealed text says of itself before it is opened; compared with what is inside after. */
const namedInHeader = z.looseObject({ endpoint: z.string(), identity: z.string(), exp: z.int(), kid: z.string() });

const seconds = (instantOfToken: Date): number => Math.floor(instantOfToken.getTime() / 1000);

/**
 * Seals a token as compact JWE (RFC 7516, `dir` with `A256GCM`). The endpoint's address is sealed with it, so that
 * nobody who can write the table can send callers' requests elsewhere.
 */
export function seal(stored: StoredToken, { keyId, key }: SealingKey): Promise<string> {
  return new CompactEncrypt(new TextEncoder().encode(JSON.stringify(stored)))
    .setProtectedHeader({
      alg: 'dir',
      enc: 'A256GCM',
      kid: keyId,
      endpoint: stored.endpoint.id,
      identity: stored.identity,
      exp: seconds(stored.token.expiresOn),
    })
    .encrypt(key);
}

/** The `kid` of a sealed token, or undefined where it is not one. */
export function sealingKeyId(sealed: string): string | undefined {
  try {
    return namedInHeader.safeParse(decodeProtectedHeader(sealed)).data?.kid;
  } catch {
    return undefined;
  }
}

/**
 * Opens a sealed token that should be for this endpoint and identity; undefined when it was altered, sealed with
 * another key, or is for something else.
 */
export async function open(
  sealed: string,
  { keyId, key }: SealingKey,
  expected: { endpointId: string; identity: string },
): Promise<StoredToken | undefined> {
  try {
    const { plaintext, protectedHeader } = await compactDecrypt(sealed, key, {
      keyManagementAlgorithms: ['dir'],
      contentEncryptionAlgorithms: ['A256GCM'],
    });
    const named = namedInHeader.parse(protectedHeader);
    const stored = contents.parse(JSON.parse(new TextDecoder().decode(plaintext)));
    const agrees =
      named.kid === keyId &&
      named.endpoint === expected.endpointId &&
      stored.endpoint.id === expected.endpointId &&
      named.identity === expected.identity &&
      stored.identity === expected.identity &&
      named.exp === seconds(stored.token.expiresOn);
    return agrees ? stored : undefined;
  } catch {
    return undefined;
  }
}
