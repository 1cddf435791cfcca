import type { Answer, Handler } from '../http/exchange.ts';
import { OIDC_ISSUERS } from './issuers.ts';
import type { OidcKeys } from './keys.ts';

/** Below this path stand the documents of OIDC issuers: `https://host/path` is at `/workload/host/path`. */
export const OIDC_PREFIX = '/workload';

const pathOf = (url: string): string => {
  const { host, pathname } = new URL(url);
  return `${OIDC_PREFIX}/${host}${pathname}`.replace(/\/$/, '');
};

const notFound: Answer = { status: 404, headers: { 'Content-Type': 'text/plain' }, text: 'not found' };

/**
 * Discovery (OpenID Connect Discovery 1.0, section 4) and keys of the OIDC issuers. The documents name the issuers' own
 * URLs, not the sandbox's.
 */
export function createOidc(keys: OidcKeys): Handler {
  const documents = new Map<string, unknown>();
  for (const { issuer, keysPath, algorithm } of OIDC_ISSUERS) {
    const jwksUri = new URL(keysPath, issuer).href;
    documents.set(`${pathOf(issuer)}/.well-known/openid-configuration`, {
      issuer,
      jwks_uri: jwksUri,
      response_types_supported: ['id_token'],
      subject_types_supported: ['public'],
      id_token_signing_alg_values_supported: [algorithm],
    });
    documents.set(pathOf(jwksUri), { keys: keys.published(issuer) });
  }
  return ({ method, path }) => {
    const json = documents.get(path);
    return method === 'GET' && json !== undefined ? { status: 200, json } : notFound;
  };
}
