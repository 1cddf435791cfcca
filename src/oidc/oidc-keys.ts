import * as z from 'zod';
import type { FetchKeys, OidcKeySource } from '../callers/published-keys.ts';
import { UpstreamError } from '../errors.ts';
import type { GetJson } from './get-json.ts';

const service = 'oidc issuer';

const unexpected = (upstreamCode: string) => new UpstreamError({ service, kind: 'unexpected', upstreamCode });

/** OpenID Connect Discovery 1.0, section 3: what of the metadata matters to a verifier. */
const metadata = z.looseObject({ issuer: z.string(), jwks_uri: z.url({ protocol: /^https$/ }) });

const published = z.looseObject({ keys: z.array(z.unknown()).max(100) });

const text = z.string().min(1);
const signs = {
  kid: text,
  use: z.literal('sig').optional(),
  key_ops: z
    .array(z.string())
    .refine((ops) => ops.includes('verify'))
    .optional(),
};

const algorithmOfCurve = { 'P-256': 'ES256', 'P-384': 'ES384', 'P-521': 'ES512' } as const;

/** A key without `alg` is for the most common algorithm of its kind and for no other (RFC 7518, section 3.1). */
const publicKey = z.discriminatedUnion('kty', [
  z.object({
    ...signs,
    kty: z.literal('RSA'),
    alg: z.enum(['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512']).default('RS256'),
    n: text,
    e: text,
  }),
  z
    .object({
      ...signs,
      kty: z.literal('EC'),
      alg: z.enum(['ES256', 'ES384', 'ES512']).optional(),
      crv: z.enum(['P-256', 'P-384', 'P-521']),
      x: text,
      y: text,
    })
    .transform((key) => ({ ...key, alg: key.alg ?? algorithmOfCurve[key.crv] }))
    .refine(({ alg, crv }) => alg === algorithmOfCurve[crv]),
  z.object({
    ...signs,
    kty: z.literal('OKP'),
    alg: z.literal('EdDSA').default('EdDSA'),
    crv: z.literal('Ed25519'),
    x: text,
  }),
]);

/** Discovery 1.0, section 4: a final slash of the issuer is removed first. */
const discoveryUrl = (issuer: string): string => `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`;

/** Moves a document's URL, on a cloud of one's own: `https://host/path` is fetched at `{base}/host/path`. */
export type Locate = (url: string) => string;

/** Where the documents of issuers are fetched when `base` stands in for all hosts that `keeps` does not name. */
export function createLocate(base: string | undefined, keeps: (url: URL) => boolean): Locate {
  return (text) => {
    const url = new URL(text);
    return base === undefined || keeps(url) ? text : `${base}/${url.host}${url.pathname}${url.search}`;
  };
}

/**
 * Fetches the keys of an OIDC issuer: where they are pinned, else where the issuer's own discovery says, which must name
 * this very issuer and a place on its origin. Each key comes with the one algorithm that it is for; what cannot verify
 * signatures is passed over.
 */
export function createFetchOidcKeys(getJson: GetJson, locate: Locate = (url) => url): FetchKeys<OidcKeySource> {
  const get = async <T extends z.ZodType>(url: string, schema: T): Promise<z.output<T>> => {
    const parsed = schema.safeParse(await getJson(locate(url)));
    if (parsed.success) return parsed.data;
    throw unexpected(`contract:${parsed.error.issues[0]?.path.join('.') ?? ''}`);
  };

  const discover = async (issuer: string): Promise<string> => {
    const found = await get(discoveryUrl(issuer), metadata);
    if (found.issuer !== issuer) throw unexpected('another_issuer');
    const keys = new URL(found.jwks_uri);
    if (keys.origin !== new URL(issuer).origin || keys.username !== '' || keys.password !== '') {
      throw unexpected('keys_on_another_origin');
    }
    return found.jwks_uri;
  };

  return async ({ issuer, jwksUri }) => {
    const { keys } = await get(jwksUri ?? (await discover(issuer)), published);
    const usable = keys.flatMap((key) => publicKey.safeParse(key).data ?? []);
    if (usable.length === 0) throw unexpected('no_usable_keys');
    return { keys: usable.map(({ use, key_ops, ...key }) => ({ ...key, use: 'sig' })) };
  };
}
