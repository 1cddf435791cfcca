import * as z from 'zod';

/**
 * The claims of an Entra access token that the broker reads (Microsoft reference: "Access token claims"). Everything
 * else stays in `claims` for exact matchers. `aud` is one text: Entra never sends a list.
 */

/** Seconds since 1970 that a Date can hold: what lies beyond would compare as neither earlier nor later. */
const numericDate = z.int().min(0).max(253_402_300_799);

const guid = z.guid().transform((text) => text.toLowerCase());

const common = {
  aud: z.string(),
  tid: guid,
  oid: guid,
  sub: z.string().min(1).max(256),
  exp: numericDate,
  nbf: numericDate,
  iat: numericDate,
  scp: z.string().trim().min(1).optional(),
  roles: z.array(z.string()).default([]),
  idtyp: z.string().optional(),
  uti: z.string().max(256).optional(),
};

export const entraClaims = z.discriminatedUnion('ver', [
  z
    .looseObject({ ...common, ver: z.literal('1.0'), appid: guid })
    .transform(({ appid, ...rest }) => ({ ...rest, client: appid })),
  z
    .looseObject({ ...common, ver: z.literal('2.0'), azp: guid })
    .transform(({ azp, ...rest }) => ({ ...rest, client: azp })),
]);

export type EntraClaims = z.output<typeof entraClaims>;

/** Claims that only ID tokens carry; an ID token says who signed in, it does not open an API. */
export const idTokenClaims = ['nonce', 'at_hash', 'c_hash'] as const;

/** Header of a caller token: RS256 alone, a key named, and nothing that brings its own key or a critical extension. */
export const entraHeader = z.looseObject({
  alg: z.literal('RS256'),
  kid: z.string().min(1).max(256),
  typ: z.literal('JWT'),
});

/** Header members that bring or point to a key, or change how the token is read (RFC 7515, section 4.1). */
export const forbiddenHeaders = ['crit', 'jwk', 'jku', 'x5u', 'x5c', 'b64', 'zip', 'enc', 'cty'] as const;
