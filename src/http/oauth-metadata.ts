import { workloadAlgorithms } from '../callers/token-parts.ts';
import { type OAuthNames, TOKEN_EXCHANGE } from './oauth-request.ts';

/** What the broker says about its token endpoint. Every address is on the public URL. */

const shared = ({ scopes }: OAuthNames) => ({
  grant_types_supported: ['client_credentials', TOKEN_EXCHANGE],
  // There is no authorization endpoint; the member is required all the same, and must not be empty.
  response_types_supported: ['none'],
  scopes_supported: [scopes.aml, scopes.arm],
  // RFC 7523 assertions; a token exchange needs no client authentication, its subject_token says who asks.
  token_endpoint_auth_methods_supported: ['private_key_jwt', 'none'],
  token_endpoint_auth_signing_alg_values_supported: workloadAlgorithms,
});

/** RFC 8414, section 2. */
export function authorizationServerMetadata(names: OAuthNames): object {
  return { issuer: names.publicUrl, token_endpoint: `${names.publicUrl}/oauth2/token`, ...shared(names) };
}

/**
 * OpenID Connect Discovery in the shape of Entra's, because that is what MSAL asks for before it signs in. MSAL demands
 * `authorization_endpoint` and `jwks_uri` too, though clients of this broker have no use for them: nobody signs in
 * here and the broker signs no token, so neither address answers.
 */
export function openIdConfiguration(names: OAuthNames, tenantId: string): object {
  const base = `${names.publicUrl}/${tenantId}`;
  return {
    issuer: `${base}/v2.0`,
    authorization_endpoint: `${base}/oauth2/v2.0/authorize`,
    token_endpoint: `${base}/oauth2/v2.0/token`,
    jwks_uri: `${base}/discovery/v2.0/keys`,
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: ['RS256'],
    ...shared(names),
  };
}
