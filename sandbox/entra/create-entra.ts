import type { Answer, Exchange, Handler } from '../http/service.ts';
import { createOidc, OIDC_PREFIX } from '../oidc/create-oidc.ts';
import type { OidcKeys } from '../oidc/keys.ts';
import { PARTNER_TENANT_ID, TENANT_ID } from '../seed.ts';
import { type EntraError, metadataErrorAnswer, serverHeaders, tokenErrorAnswer } from './entra-error.ts';
import { v2Issuer } from './issuers.ts';
import { instanceDiscovery, v1Metadata, v2Metadata } from './metadata.ts';
import { refusals } from './refusals.ts';
import { answerTokenRequest, type EntraContext } from './token-endpoint.ts';

const TENANT_NAME = /^[0-9a-z.-]+$/i;

/**
 * Microsoft Entra ID of one tenant: metadata, keys, instance discovery and the token endpoints, v1 and v2; of a second
 * tenant, which has no application here, metadata and keys. Beside it, the documents of the OIDC issuers.
 */
export function createEntra(context: EntraContext & { oidcKeys: OidcKeys }): Handler {
  const oidc = createOidc(context.oidcKeys);
  return (exchange) => {
    if (exchange.path.startsWith(`${OIDC_PREFIX}/`)) return oidc(exchange);
    if (exchange.path === '/common/discovery/instance') return discoverInstance(exchange, context);
    const [, tenant = '', ...rest] = exchange.path.split('/');
    const page = rest.join('/').toLowerCase();
    if (page === 'oauth2/v2.0/token') return answerToken(exchange, tenant, 'v2', context);
    if (page === 'oauth2/token') return answerToken(exchange, tenant, 'v1', context);
    return answerMetadata(exchange, tenant, page, context);
  };
}

function answerToken(exchange: Exchange, tenant: string, endpoint: 'v1' | 'v2', context: EntraContext) {
  const error = refuseTenant(tenant) ?? refuseEveryApplication(exchange, tenant);
  if (error) return tokenErrorAnswer(error, context, exchange.query.get('client-request-id'));
  return answerTokenRequest(exchange, tenant, endpoint, context);
}

function answerMetadata(exchange: Exchange, tenant: string, page: string, context: EntraContext): Answer {
  const json = metadataPage(page, tenant, context);
  if (json === undefined)
    return { status: 404, headers: { 'Content-Type': 'text/html' }, text: '<p>Page not found.</p>' };
  // All tenants have the same keys, so `common` shows them too.
  const isCommonKeys = tenant === 'common' && isKeysPage(page);
  const error = isCommonKeys ? undefined : refuseTenant(tenant);
  if (error) return metadataErrorAnswer(error, context, exchange.query.get('client-request-id'));
  return cachedForADay(json, context);
}

function metadataPage(page: string, tenant: string, context: EntraContext): unknown {
  if (isKeysPage(page)) {
    const issuer = v2Issuer(tenant === 'common' ? '{tenantid}' : tenant);
    return { keys: context.keys.published.map((key) => ({ ...key, issuer })) };
  }
  if (page === 'v2.0/.well-known/openid-configuration') return v2Metadata(context.baseUrl(), tenant);
  if (page === '.well-known/openid-configuration') return v1Metadata(context.baseUrl(), tenant);
  return undefined;
}

function isKeysPage(page: string): boolean {
  return page === 'discovery/v2.0/keys' || page === 'discovery/keys';
}

function refuseTenant(tenant: string): EntraError | undefined {
  if (!TENANT_NAME.test(tenant)) return refusals.badTenantName(tenant);
  return [TENANT_ID, PARTNER_TENANT_ID].includes(tenant.toLowerCase()) ? undefined : refusals.unknownTenant(tenant);
}

function refuseEveryApplication({ body }: Exchange, tenant: string): EntraError | undefined {
  if (tenant.toLowerCase() !== PARTNER_TENANT_ID) return undefined;
  const clientId = new URLSearchParams(body.toString('utf8')).get('client_id') ?? '';
  return refusals.unknownApplication(clientId, tenant);
}

function discoverInstance(exchange: Exchange, context: EntraContext): Answer {
  const authority = exchange.query.get('authorization_endpoint')?.match(/^(https:\/\/[^/]+\/[^/]+)\//)?.[1];
  if (authority === undefined) {
    return metadataErrorAnswer(refusals.badInstance(), context, exchange.query.get('client-request-id'));
  }
  return cachedForADay(instanceDiscovery(`${authority}/v2.0/.well-known/openid-configuration`), context);
}

function cachedForADay(json: unknown, { random }: EntraContext): Answer {
  const caching = { 'Cache-Control': 'max-age=86400, private', 'Access-Control-Allow-Origin': '*' };
  return { status: 200, headers: { ...caching, ...serverHeaders(random.id()) }, json };
}
