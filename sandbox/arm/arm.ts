import { decodeJwt } from 'jose';
import type { EntraKeys } from '../entra/keys.ts';
import { readServiceToken, type ServiceCaller } from '../entra/service-token.ts';
import type { Answer, Exchange, Handler } from '../http/service.ts';
import { REGION, RESOURCE_GROUP, SUBSCRIPTION_ID, TENANT_ID } from '../seed.ts';
import { type Random, systemRandom } from '../state/random.ts';
import { answerOperation, workspaceNotFound } from './answer-operation.ts';
import { answerPoll } from './answer-poll.ts';
import type { ArmContext } from './arm-context.ts';
import { gatewayError } from './arm-errors.ts';
import { type ArmRoute, actions, readArmRoute } from './arm-route.ts';
import { cloudMetadata, isCloudMetadata } from './cloud-metadata.ts';
import type { EndpointStore } from './endpoint-store.ts';
import { createEndpointTokenSigner } from './endpoint-token.ts';
import { resourceGroupIdOf } from './resource-ids.ts';
import { isAllowed, type RoleAssignment, seededAssignments } from './role-assignments.ts';
import { callKindOf, createThrottle, type ThrottleDecision } from './throttle.ts';

export interface ArmOptions {
  store: EndpointStore;
  /** Verifies callers' tokens. */
  entra: EntraKeys;
  /** Named in the answer to a call without a token. */
  entraUrl: string;
  /** Where the endpoints score; no trailing slash. */
  scoringUrl: string;
  /** Life of an endpoint's own token, and when its holder should ask for the next one. */
  endpointTokenSeconds: number;
  endpointRefreshAfterSeconds: number;
  clock: () => Date;
  assignments?: readonly RoleAssignment[];
  random?: Random;
}

/** With and without the final slash; the second pair is the older name, which tokens still carry. */
const audiences = [
  'https://management.azure.com',
  'https://management.azure.com/',
  'https://management.core.windows.net',
  'https://management.core.windows.net/',
];

/**
 * Azure Resource Manager with the Machine Learning resource provider: workspaces, online endpoints with their tokens and
 * keys, long-running operations, role-based access and request limits. Paths compare without case.
 *
 * Links in answers are built from the `Host` header, so they name the host and port by which the caller came.
 *
 * Source: https://learn.microsoft.com/rest/api/azureml
 */
export function createArm(options: ArmOptions): Handler {
  const { entra, clock, random = systemRandom } = options;
  const throttle = createThrottle(clock);
  const signer = createEndpointTokenSigner();
  return async (exchange) => {
    if (isCloudMetadata(exchange)) {
      const metadata = cloudMetadata(`https://${exchange.headers.host}`, options.entraUrl);
      return withArmHeaders(checkApiVersion(exchange) ?? metadata, { clock, random });
    }
    const authorization = exchange.headers.authorization;
    const reading = await readServiceToken(authorization, audiences, entra, clock());
    if (!reading.ok) return withArmHeaders(unauthorized(options, authorization, reading.reason), { clock, random });

    const kind = callKindOf(exchange.method);
    const decision = throttle(kind, reading.caller.oid);
    const context = {
      ...options,
      random,
      signer,
      exchange,
      caller: reading.caller,
      armUrl: `https://${exchange.headers.host}`,
    };
    const answer = decision.isAllowed ? await authenticated(context, options) : throttled(decision, exchange.method);
    return withArmHeaders(
      answer,
      { clock, random },
      {
        [`x-ms-ratelimit-remaining-subscription-${kind}`]: String(decision.remaining),
        [`x-ms-ratelimit-remaining-subscription-global-${kind}`]: String(decision.globalRemaining),
      },
    );
  };
}

async function authenticated(context: ArmContext, options: ArmOptions): Promise<Answer> {
  const { exchange, caller } = context;
  const versionProblem = checkApiVersion(exchange);
  if (versionProblem !== undefined) return versionProblem;
  const route = readArmRoute(exchange.method, exchange.path);
  if (route === undefined) {
    return gatewayError(404, 'InvalidResourceType', `No operation ${exchange.method} is known for this path.`);
  }
  if (route.subscription.toLowerCase() !== SUBSCRIPTION_ID) {
    return gatewayError(404, 'SubscriptionNotFound', `The subscription '${route.subscription}' could not be found.`);
  }
  if (route.kind !== 'resource') return answerPoll(route, context);
  return forbidden(route, caller, options.assignments ?? seededAssignments) ?? answerResource(route, context);
}

/** Role assignments are looked at before existence: who may not read does not learn what is there. */
function forbidden(
  route: ArmRoute & { kind: 'resource' },
  caller: ServiceCaller,
  assignments: readonly RoleAssignment[],
): Answer | undefined {
  const action = actions[route.operation];
  const resourceId = resourceIdOf(route);
  if (isAllowed(assignments, { principalId: caller.oid, resourceId, kind: 'actions', action })) return undefined;
  const message = `The client '${caller.appid}' with object id '${caller.oid}' does not have authorization to perform action '${action}' over scope '${resourceId}' or the scope is invalid. If access was recently granted, please refresh your credentials.`;
  return gatewayError(403, 'AuthorizationFailed', message);
}

function resourceIdOf({
  subscription,
  resourceGroup,
  workspace,
  endpoint,
  operation,
}: ArmRoute & { kind: 'resource' }): string {
  const workspaceId = `${resourceGroupIdOf(subscription, resourceGroup)}/providers/Microsoft.MachineLearningServices/workspaces/${workspace}`;
  if (endpoint === '') return workspaceId;
  const collection =
    operation === 'getBatchEndpoint' || operation === 'listBatchKeys' ? 'batchEndpoints' : 'onlineEndpoints';
  return `${workspaceId}/${collection}/${endpoint}`;
}

async function answerResource(route: ArmRoute & { kind: 'resource' }, context: ArmContext): Promise<Answer> {
  if (route.resourceGroup.toLowerCase() !== RESOURCE_GROUP) {
    return gatewayError(404, 'ResourceGroupNotFound', `Resource group '${route.resourceGroup}' could not be found.`);
  }
  const workspace = context.store.findWorkspace(route.workspace);
  if (workspace !== undefined) return await answerOperation(route, workspace, context);
  if (route.operation !== 'getWorkspace') return workspaceNotFound(context);
  const message = `The Resource 'Microsoft.MachineLearningServices/workspaces/${route.workspace}' under resource group '${RESOURCE_GROUP}' was not found. For more details please go to https://aka.ms/ARMResourceNotFoundFix`;
  return gatewayError(404, 'ResourceNotFound', message);
}

function checkApiVersion({ query }: Exchange): Answer | undefined {
  const version = query.get('api-version');
  if (version === null || version === '') {
    const message = 'The api-version query parameter (?api-version=) is required for all requests.';
    return gatewayError(400, 'MissingApiVersionParameter', message);
  }
  if (/^20\d{2}-\d{2}-\d{2}(-preview)?$/.test(version)) return undefined;
  return gatewayError(400, 'InvalidApiVersionParameter', `The api-version '${version}' is invalid.`);
}

function unauthorized({ entraUrl }: ArmOptions, authorization: string | undefined, reason: string): Answer {
  const { code, message } = refusalText(reason, authorization);
  const challenge = `Bearer authorization_uri="${entraUrl}/${TENANT_ID}", error="invalid_token", error_description="${message}"`;
  return gatewayError(401, code, message, { 'WWW-Authenticate': challenge });
}

function refusalText(reason: string, authorization: string | undefined): { code: string; message: string } {
  if (reason === 'missing') {
    const message = "Authentication failed. The 'Authorization' header is missing.";
    return { code: 'AuthenticationFailed', message };
  }
  if (reason !== 'expired') {
    return { code: 'InvalidAuthenticationToken', message: `The access token is invalid: ${reason}.` };
  }
  const { exp = 0 } = decodeJwt(authorization?.replace(/^Bearer /i, '') ?? '');
  const message = `The access token expiry UTC time '${new Date(exp * 1000).toISOString()}' is earlier than current UTC time.`;
  return { code: 'ExpiredAuthenticationToken', message };
}

function throttled({ retryAfterSeconds }: ThrottleDecision, method: string): Answer {
  const message = `The number of ${method} requests of this principal is over its limit. Please try again after '${retryAfterSeconds}' seconds.`;
  return gatewayError(429, 'SubscriptionRequestsThrottled', message, { 'Retry-After': String(retryAfterSeconds) });
}

function withArmHeaders(
  answer: Answer,
  { clock, random }: { clock: () => Date; random: Random },
  limits: Record<string, string> = {},
): Answer {
  const correlationId = random.id();
  const now = clock().toISOString().slice(0, 19).replaceAll(/[-:]/g, '');
  const headers: Record<string, string> = {
    'Cache-Control': 'no-cache',
    Pragma: 'no-cache',
    Expires: '-1',
    'Strict-Transport-Security': 'max-age=31536000; includeSubDomains',
    'X-Content-Type-Options': 'nosniff',
    'azureml-served-by-cluster': `vienna-${REGION}-01`,
    'x-ms-correlation-request-id': correlationId,
    'x-ms-response-type': 'standard',
    'x-ms-routing-request-id': `${REGION.toUpperCase()}:${now}Z:${correlationId}`,
    'x-request-time': '0.010',
    ...limits,
  };
  return { ...answer, headers: { ...headers, ...answer.headers } };
}
