import { appClaims } from '../entra/claims.ts';
import type { EntraKeys } from '../entra/keys.ts';
import { audienceOf, findResource, type Resource } from '../entra/resources.ts';
import type { Answer, Exchange, FaultBody, Handler } from '../http/service.ts';
import { BROKER_IDENTITY, MANAGED_IDENTITIES, type ManagedIdentitySeed, TENANT_ID } from '../seed.ts';
import type { Random } from '../state/random.ts';

export interface ManagedIdentityContext {
  keys: EntraKeys;
  /** What `X-IDENTITY-HEADER` must be: the app setting IDENTITY_HEADER. */
  identityHeader: string;
  clock: () => Date;
  random: Random;
}

interface CachedToken {
  accessToken: string;
  expiresOn: Date;
}

const API_VERSION = '2019-08-01';
/** Managed identity tokens live a day, whatever an Entra policy says. */
const LIFETIME_SECONDS = 86_400;
/** The platform hands out the same token until this near its end. */
const RENEW_BEFORE_SECONDS = 300;

/**
 * The managed-identity endpoint of App Service and Functions, protocol 2019-08-01: `GET /msi/token?api-version&resource`, header
 * `X-IDENTITY-HEADER`, at most one of `client_id`, `mi_res_id`, `object_id`, `principal_id`; none is the system-assigned identity.
 */
export function createManagedIdentity(context: ManagedIdentityContext): Handler {
  const cache = new Map<string, CachedToken>();
  return async (exchange) => {
    const refusal = refuse(exchange, context);
    if (refusal) return refusal;
    const asked = exchange.query.get('resource') ?? '';
    const resource = findResource(asked);
    if (!resource) return failure(400, `AADSTS500011: The resource principal named ${asked} was not found.`, context);
    const identity = selectIdentity(exchange.query);
    if (!identity) {
      const text =
        'No User Assigned or Delegated Managed Identity found for specified ClientId/ResourceId/PrincipalId.';
      return failure(400, text, context);
    }
    const token = await tokenFor(identity, resource, asked, cache, context);
    return {
      status: 200,
      headers: { 'Content-Type': 'application/json' },
      json: {
        access_token: token.accessToken,
        expires_on: String(Math.floor(token.expiresOn.getTime() / 1000)),
        resource: asked,
        token_type: 'Bearer',
        client_id: identity.clientId,
      },
    };
  };
}

/** Error body of a planned fault, in this endpoint's shape. */
export function managedIdentityFaultBody(random: Random): FaultBody {
  return (status, code) => errorBody(status, `${code ?? 'A fault'} was planned for this call.`, random);
}

function refuse(exchange: Exchange, context: ManagedIdentityContext): Answer | undefined {
  const { query, headers } = exchange;
  if (exchange.path.toLowerCase() !== '/msi/token') return failure(404, 'Not found: use /msi/token.', context);
  if (exchange.method !== 'GET') return failure(405, 'Use GET.', context);
  if (headers['x-identity-header'] !== context.identityHeader) {
    return failure(
      401,
      'The header X-IDENTITY-HEADER is missing or wrong: send the value of IDENTITY_HEADER.',
      context,
    );
  }
  if (query.get('api-version') !== API_VERSION) {
    return failure(400, `The query parameter api-version must be ${API_VERSION}.`, context);
  }
  if (!query.get('resource')) return failure(400, 'The query parameter resource is required.', context);
  if (selectors(query).length > 1) {
    return failure(400, 'Give at most one of client_id, mi_res_id, object_id and principal_id.', context);
  }
  return undefined;
}

function selectors(query: URLSearchParams): string[] {
  return ['client_id', 'mi_res_id', 'object_id', 'principal_id'].filter((name) => query.has(name));
}

function selectIdentity(query: URLSearchParams): ManagedIdentitySeed | undefined {
  const [selector] = selectors(query);
  if (selector === undefined) return BROKER_IDENTITY;
  const wanted = query.get(selector)?.toLowerCase();
  return MANAGED_IDENTITIES.find((identity) => {
    if (selector === 'client_id') return identity.clientId === wanted;
    if (selector === 'mi_res_id') return identity.resourceId?.toLowerCase() === wanted;
    return identity.oid === wanted;
  });
}

async function tokenFor(
  identity: ManagedIdentitySeed,
  resource: Resource,
  asked: string,
  cache: Map<string, CachedToken>,
  { keys, clock, random }: ManagedIdentityContext,
): Promise<CachedToken> {
  const cacheKey = `${identity.clientId} ${asked}`;
  const now = clock();
  const cached = cache.get(cacheKey);
  if (cached && cached.expiresOn.getTime() - now.getTime() > RENEW_BEFORE_SECONDS * 1000) return cached;
  const claims = appClaims(
    {
      version: resource.tokenVersion,
      tenant: TENANT_ID,
      audience: audienceOf(resource, asked),
      appId: identity.clientId,
      oid: identity.oid,
      acr: '2',
      roles: resource.uris.includes('https://graph.microsoft.com') ? identity.graphRoles : [],
      now,
      lifetimeSeconds: LIFETIME_SECONDS,
    },
    random,
  );
  const withResourceId = identity.resourceId === null ? claims : { ...claims, xms_mirid: identity.resourceId };
  const token = {
    accessToken: await keys.sign(withResourceId, resource.tokenVersion),
    expiresOn: new Date(now.getTime() + LIFETIME_SECONDS * 1000),
  };
  cache.set(cacheKey, token);
  return token;
}

function failure(status: number, message: string, { random }: ManagedIdentityContext): Answer {
  return { status, headers: { 'Content-Type': 'application/json' }, json: errorBody(status, message, random) };
}

function errorBody(statusCode: number, message: string, random: Random) {
  return { statusCode, message, correlationId: random.id() };
}
