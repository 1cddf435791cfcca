/**
 * The OIDC issuers that are not Entra. Their tokens carry these issuers as if they came from there; their documents are
 * served by the sandbox, host and path of the issuer below a path of its own.
 */

interface OidcIssuer {
  /** The `iss` of its tokens. */
  issuer: string;
  /** Path of the published keys, on the issuer's own host. */
  keysPath: string;
  algorithm: 'RS256' | 'ES256';
  /** Where its signing key is kept, in the sandbox's folder. */
  keyFile: string;
}

export const GITHUB_ACTIONS: OidcIssuer = {
  issuer: 'https://token.actions.githubusercontent.com',
  keysPath: '/.well-known/jwks',
  algorithm: 'RS256',
  keyFile: 'github-actions-signing-key.pem',
};

/** A cluster of Azure Kubernetes Service with its OIDC issuer switched on; such issuers end in a slash. */
export const KUBERNETES: OidcIssuer = {
  issuer:
    'https://westeurope.oic.prod-aks.azure.com/11111111-1111-4111-8111-111111111111/a5000000-0000-4000-8000-000000000001/',
  keysPath: '/11111111-1111-4111-8111-111111111111/a5000000-0000-4000-8000-000000000001/openid/v1/jwks',
  algorithm: 'ES256',
  keyFile: 'kubernetes-signing-key.pem',
};

export const OIDC_ISSUERS = [GITHUB_ACTIONS, KUBERNETES] as const;
