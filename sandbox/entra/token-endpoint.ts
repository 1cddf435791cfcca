import type { Answer, Exchange } from '../http/service.ts';
import type { Application, Directory } from '../state/directory.ts';
import { appClaims, type TokenBasis, userClaims } from './claims.ts';
import { authenticateClient } from './client-authentication.ts';
import { type EntraError, type EntraErrorContext, tokenErrorAnswer, tokenHeaders } from './entra-error.ts';
import type { EntraKeys } from './keys.ts';
import { DELEGATED_SCOPE, readUserAssertion, userExtras, withoutOidcScopes } from './on-behalf-of.ts';
import { refusals } from './refusals.ts';
import { audienceOf, findResource, type Resource } from './resources.ts';

export interface EntraContext extends EntraErrorContext {
  directory: Directory;
  keys: EntraKeys;
  accessTokenSeconds: number;
  propagationSeconds: number;
  /** The sandbox Entra's own URL, without a trailing slash. */
  baseUrl: () => string;
}

interface TokenRequest {
  tenant: string;
  endpoint: 'v1' | 'v2';
  form: URLSearchParams;
  clientId: string | undefined;
  secret: string | undefined;
  /** How late the replica that got this request learns of changes. */
  lagSeconds: number;
}

interface IssuedToken {
  accessToken: string;
  /** The resource as it was asked for. */
  resource: string;
  issuedAt: Date;
  /** What answers in the name of a user have more. */
  extras?: Awaited<ReturnType<typeof userExtras>>;
}

const REPLICAS = 3;
const DEFAULT_SCOPE = '/.default';
const ON_BEHALF_OF = 'urn:ietf:params:oauth:grant-type:jwt-bearer';

/** How late a connection's replica learns of changes: the first after a third of the propagation time, the last after all of it. */
function replicaLagSeconds(connection: number, propagationSeconds: number): number {
  return (propagationSeconds * ((connection % REPLICAS) + 1)) / REPLICAS;
}

/** Answers a token request: `scope` and numbers at the v2 endpoint, `resource` and numbers as text at the v1 endpoint. */
export async function answerTokenRequest(
  exchange: Exchange,
  tenant: string,
  endpoint: 'v1' | 'v2',
  context: EntraContext,
): Promise<Answer> {
  const form = new URLSearchParams(isForm(exchange) ? exchange.body.toString('utf8') : '');
  const correlationId = form.get('client-request-id') ?? exchange.query.get('client-request-id');
  if (exchange.method !== 'POST') {
    return tokenErrorAnswer(refusals.wrongMethod(exchange.method), context, correlationId);
  }
  const basic = readBasic(exchange.headers.authorization);
  const outcome = await issue(
    {
      tenant,
      endpoint,
      form,
      clientId: basic?.clientId ?? form.get('client_id') ?? undefined,
      secret: basic?.secret ?? form.get('client_secret') ?? undefined,
      lagSeconds: replicaLagSeconds(exchange.connection, context.propagationSeconds),
    },
    context,
  );
  if ('code' in outcome) return tokenErrorAnswer(outcome, context, correlationId);
  return {
    status: 200,
    headers: tokenHeaders(context.random.id()),
    json: endpoint === 'v2' ? v2Body(outcome, context) : v1Body(outcome, context),
  };
}

/** The checks in the order in which Entra is seen to make them: request, application, credential, resource. */
async function issue(request: TokenRequest, context: EntraContext): Promise<IssuedToken | EntraError> {
  const { form, clientId, tenant } = request;
  const grantType = form.get('grant_type');
  if (!grantType) return refusals.missingParameter('grant_type');
  if (!isServed(request, grantType)) return refusals.unsupportedGrantType(grantType);
  if (!clientId) return refusals.missingParameter('client_id');
  const asked = readResource(request);
  if (typeof asked !== 'string') return asked;

  const application = context.directory.byAppId(clientId);
  if (!application) return refusals.unknownApplication(clientId, tenant);
  const now = context.clock();
  const proof = await authenticateClient(
    application,
    { secret: request.secret, assertion: form.get('client_assertion') ?? undefined },
    { now, lagSeconds: request.lagSeconds, keys: context.keys },
  );
  if (!proof.proved) return proof.error;

  const resource = findResource(asked);
  if (!resource) return refusals.unknownResource(asked, tenant);
  const basis = {
    version: resource.tokenVersion,
    tenant,
    audience: audienceOf(resource, asked),
    appId: application.appId,
    oid: application.servicePrincipalId,
    acr: proof.acr,
    now,
    lifetimeSeconds: context.accessTokenSeconds,
  };
  if (grantType === ON_BEHALF_OF) return issueForUser({ request, application, resource, asked, basis }, context);
  const claims = appClaims(basis, context.random);
  return { accessToken: await context.keys.sign(claims, resource.tokenVersion), resource: asked, issuedAt: now };
}

/** On-behalf-of exists at the v2 endpoint only, and the same grant type without its mark is another grant. */
function isServed({ endpoint, form }: TokenRequest, grantType: string): boolean {
  if (grantType === 'client_credentials') return true;
  return grantType === ON_BEHALF_OF && endpoint === 'v2' && form.get('requested_token_use') === 'on_behalf_of';
}

interface ForUser {
  request: TokenRequest;
  application: Application;
  resource: Resource;
  asked: string;
  basis: TokenBasis;
}

/** A token in the name of the user whose own token the application presents: that user's `oid`, `scp` in place of roles. */
async function issueForUser(
  { request, application, resource, asked, basis }: ForUser,
  context: EntraContext,
): Promise<IssuedToken | EntraError> {
  const assertion = request.form.get('assertion');
  if (!assertion) return refusals.missingParameter('assertion');
  const { keys, random, accessTokenSeconds: lifetimeSeconds } = context;
  const reading = await readUserAssertion(application, assertion, { keys, now: basis.now });
  if ('error' in reading) return reading.error;
  if (!resource.uris.some((uri) => application.delegatedApis.includes(uri))) {
    return refusals.noConsent(application.appId, application.displayName);
  }
  const { user } = reading;
  const claims = userClaims({ ...basis, oid: user.oid }, DELEGATED_SCOPE, random);
  const scope = `${asked}/${DELEGATED_SCOPE} ${asked}${DEFAULT_SCOPE}`;
  return {
    accessToken: await keys.sign(claims, resource.tokenVersion),
    resource: asked,
    issuedAt: basis.now,
    extras: await userExtras(user, { application, scope, now: basis.now, lifetimeSeconds, keys, id: random.id() }),
  };
}

/** What the token is asked for: v1 `resource`; v2 `scope`, exactly one, ending in `/.default`. */
function readResource({ endpoint, form }: TokenRequest): string | EntraError {
  if (endpoint === 'v1') return form.get('resource') || refusals.missingParameter('resource');
  const sent = form.get('scope');
  const scope = form.get('grant_type') === ON_BEHALF_OF ? withoutOidcScopes(sent ?? '') : sent;
  if (!scope) return refusals.missingParameter('scope');
  const wellFormed = /^\S+$/.test(scope) && scope.endsWith(DEFAULT_SCOPE) && scope.length > DEFAULT_SCOPE.length;
  return wellFormed ? scope.slice(0, -DEFAULT_SCOPE.length) : refusals.badScope(scope);
}

function v2Body(issued: IssuedToken, context: EntraContext) {
  return {
    token_type: 'Bearer',
    expires_in: context.accessTokenSeconds,
    ext_expires_in: context.accessTokenSeconds,
    access_token: issued.accessToken,
    ...issued.extras,
  };
}

function v1Body(issued: IssuedToken, context: EntraContext) {
  const notBefore = Math.floor(issued.issuedAt.getTime() / 1000);
  return {
    token_type: 'Bearer',
    expires_in: String(context.accessTokenSeconds),
    ext_expires_in: String(context.accessTokenSeconds),
    expires_on: String(notBefore + context.accessTokenSeconds),
    not_before: String(notBefore),
    resource: issued.resource,
    access_token: issued.accessToken,
  };
}

function isForm(exchange: Exchange): boolean {
  return exchange.headers['content-type']?.startsWith('application/x-www-form-urlencoded') ?? false;
}

/** RFC 6749 section 2.3.1: id and secret are form-encoded before they are joined. */
function readBasic(authorization: string | undefined): { clientId: string; secret: string } | undefined {
  const encoded = authorization?.match(/^Basic ([A-Za-z0-9+/=]+)$/i)?.[1];
  if (encoded === undefined) return undefined;
  const [id, ...rest] = Buffer.from(encoded, 'base64').toString('utf8').split(':');
  if (!id || rest.length === 0) return undefined;
  const decode = (text: string) => [...new URLSearchParams(`v=${text}`).values()][0] ?? '';
  return { clientId: decode(id), secret: decode(rest.join(':')) };
}
