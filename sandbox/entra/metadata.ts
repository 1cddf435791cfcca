import { v1Issuer, v2Issuer } from './issuers.ts';

/**
 * OpenID provider metadata of a tenant, v2. The endpoints are the sandbox's own; the issuer is the public cloud's, which MSAL
 * takes from any authority because the host is a known one.
 */
export function v2Metadata(base: string, tenant: string) {
  return {
    ...sharedMetadata(base, tenant),
    token_endpoint: `${base}/${tenant}/oauth2/v2.0/token`,
    jwks_uri: `${base}/${tenant}/discovery/v2.0/keys`,
    scopes_supported: ['openid', 'profile', 'email', 'offline_access'],
    issuer: v2Issuer(tenant),
    userinfo_endpoint: 'https://graph.microsoft.com/oidc/userinfo',
    authorization_endpoint: `${base}/${tenant}/oauth2/v2.0/authorize`,
    device_authorization_endpoint: `${base}/${tenant}/oauth2/v2.0/devicecode`,
    end_session_endpoint: `${base}/${tenant}/oauth2/v2.0/logout`,
  };
}

/** OpenID provider metadata of a tenant, v1: other endpoints and issuer, the same keys. */
export function v1Metadata(base: string, tenant: string) {
  return {
    ...sharedMetadata(base, tenant),
    token_endpoint: `${base}/${tenant}/oauth2/token`,
    jwks_uri: `${base}/${tenant}/discovery/keys`,
    scopes_supported: ['openid'],
    issuer: v1Issuer(tenant),
    microsoft_multi_refresh_token: true,
    userinfo_endpoint: `${base}/${tenant}/openid/userinfo`,
    authorization_endpoint: `${base}/${tenant}/oauth2/authorize`,
    device_authorization_endpoint: `${base}/${tenant}/oauth2/devicecode`,
    end_session_endpoint: `${base}/${tenant}/oauth2/logout`,
  };
}

/** The clouds that instance discovery tells, with the tenant's metadata URL. */
export function instanceDiscovery(tenantDiscoveryEndpoint: string) {
  const cloud = (network: string, cache: string, aliases: string[]) => ({
    preferred_network: network,
    preferred_cache: cache,
    aliases,
  });
  return {
    tenant_discovery_endpoint: tenantDiscoveryEndpoint,
    'api-version': '1.1',
    metadata: [
      cloud('login.microsoftonline.com', 'login.windows.net', [
        'login.microsoftonline.com',
        'login.windows.net',
        'login.microsoft.com',
        'sts.windows.net',
      ]),
      cloud('login.partner.microsoftonline.cn', 'login.partner.microsoftonline.cn', [
        'login.partner.microsoftonline.cn',
        'login.chinacloudapi.cn',
      ]),
      cloud('login.microsoftonline.de', 'login.microsoftonline.de', ['login.microsoftonline.de']),
      cloud('login.microsoftonline.us', 'login.microsoftonline.us', [
        'login.microsoftonline.us',
        'login.usgovcloudapi.net',
      ]),
      cloud('login-us.microsoftonline.com', 'login-us.microsoftonline.com', ['login-us.microsoftonline.com']),
    ],
  };
}

function sharedMetadata(base: string, tenant: string) {
  return {
    token_endpoint_auth_methods_supported: ['client_secret_post', 'private_key_jwt', 'client_secret_basic'],
    response_modes_supported: ['query', 'fragment', 'form_post'],
    subject_types_supported: ['pairwise'],
    id_token_signing_alg_values_supported: ['RS256'],
    response_types_supported: ['code', 'id_token', 'code id_token', 'id_token token'],
    request_uri_parameter_supported: false,
    http_logout_supported: true,
    frontchannel_logout_supported: true,
    claims_supported: [
      'sub',
      'iss',
      'cloud_instance_name',
      'cloud_instance_host_name',
      'cloud_graph_host_name',
      'msgraph_host',
      'aud',
      'exp',
      'iat',
      'auth_time',
      'acr',
      'nonce',
      'preferred_username',
      'name',
      'tid',
      'ver',
      'at_hash',
      'c_hash',
      'email',
    ],
    kerberos_endpoint: `${base}/${tenant}/kerberos`,
    tenant_region_scope: 'WW',
    cloud_instance_name: 'microsoftonline.com',
    cloud_graph_host_name: 'graph.windows.net',
    msgraph_host: 'graph.microsoft.com',
    rbac_url: 'https://pas.windows.net',
  };
}
