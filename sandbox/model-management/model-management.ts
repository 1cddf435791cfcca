import * as z from 'zod';
import { resourceGroupId } from '../arm/resource-ids.ts';
import { isAllowed, type RoleAssignment, seededAssignments } from '../arm/role-assignments.ts';
import type { EntraKeys } from '../entra/keys.ts';
import { readServiceToken } from '../entra/service-token.ts';
import type { Answer, Exchange, Handler } from '../http/service.ts';
import { REGION } from '../seed.ts';
import type { Random } from '../state/random.ts';
import type { WebService, WebServiceStore } from './service-store.ts';

export interface ModelManagementOptions {
  store: WebServiceStore;
  /** Verifies callers' tokens. */
  entra: EntraKeys;
  /** Where the services score; no trailing slash. */
  scoringUrl: string;
  tokenSeconds: number;
  refreshAfterSeconds: number;
  clock: () => Date;
  random: Random;
  assignments?: readonly RoleAssignment[];
}

/** The paths that are this API's. */
export const MODEL_MANAGEMENT_PREFIX = '/modelmanagement/';

const audiences = ['https://management.azure.com', 'https://management.azure.com/'];
const provider = 'Microsoft.MachineLearningServices/workspaces';
const servicePath =
  /^\/modelmanagement\/v1\.0(\/subscriptions\/[^/]+\/resourceGroups\/[^/]+\/providers\/Microsoft\.MachineLearningServices\/workspaces\/([^/]+))\/services(?:\/([^/]+)(?:\/([^/]+))?)?$/i;

const keysRequest = z.object({
  // The specification types the enum as a number; texts are what is sent.
  keyType: z.union([
    z.enum(['Primary', 'Secondary']),
    z.literal(0).transform(() => 'Primary' as const),
    z.literal(1).transform(() => 'Secondary' as const),
  ]),
  keyValue: z.string().min(1).nullish(),
});

/**
 * Web services of Azure ML SDK v1: the model management API (data plane, specification preview/2019-09-30, path version
 * v1.0). Built from the specification alone; the product's support ended on 30 June 2026.
 */
export function createModelManagement(options: ModelManagementOptions): Handler {
  return async (exchange) => {
    const { entra, clock, store, assignments = seededAssignments } = options;
    const reading = await readServiceToken(exchange.headers.authorization, audiences, entra, clock());
    if (!reading.ok) return refusal(401, 'Unauthorized', `The access token is ${reading.reason}.`);
    const [, workspaceId = '', workspace = '', name, action = ''] = servicePath.exec(exchange.path) ?? [];
    const call = `${exchange.method} ${name === undefined ? 'services' : 'service'} ${action}`.trim().toLowerCase();
    const needed = actionOf(call, name === undefined ? undefined : store.find(name));
    if (needed === undefined) return refusal(404, 'NotFound', 'There is no such operation.');
    const principalId = reading.caller.oid;
    if (!isAllowed(assignments, { principalId, resourceId: workspaceId, kind: 'actions', action: needed })) {
      return refusal(403, 'Forbidden', `The caller needs the action ${needed}.`);
    }
    const isHere = workspaceId.toLowerCase().startsWith(`${resourceGroupId}/`.toLowerCase());
    if (!isHere || workspace.toLowerCase() !== store.workspace) {
      return refusal(404, 'NotFound', 'The workspace has no such service.');
    }
    if (name === undefined) return { status: 200, json: list(exchange, options) };
    const service = store.find(name);
    if (service === undefined) return refusal(404, 'NotFound', `The service ${name} was not found.`);
    return answer(call, service, exchange, options);
  };
}

/** Reading and tokens take Reader on the workspace; keys take an action of their own. */
function actionOf(call: string, service: WebService | undefined): string | undefined {
  if (['get services', 'get service', 'post service token'].includes(call)) return `${provider}/read`;
  if (call === 'post service listkeys' || call === 'post service regeneratekeys') {
    return `${provider}/services/${service?.computeType.toLowerCase() ?? 'aks'}/listkeys/action`;
  }
  return undefined;
}

function answer(call: string, service: WebService, exchange: Exchange, options: ModelManagementOptions): Answer {
  if (call === 'get service') return { status: 200, json: toBody(service, options) };
  if (call === 'post service token') return issueToken(service, options);
  if (!service.authEnabled) return refusal(400, 'BadRequest', 'Key authentication is off for this service.');
  if (call === 'post service regeneratekeys') {
    const parsed = keysRequest.safeParse(toJson(exchange.body));
    if (!parsed.success) return refusal(400, 'BadRequest', 'keyType must be Primary or Secondary.');
    service.keys[parsed.data.keyType] = parsed.data.keyValue ?? options.store.newKey();
  }
  const { Primary: primaryKey, Secondary: secondaryKey } = service.keys;
  return { status: 200, json: { primaryKey, secondaryKey } };
}

function issueToken(service: WebService, { clock, random, tokenSeconds, refreshAfterSeconds }: ModelManagementOptions) {
  if (!service.aadAuthEnabled) return refusal(400, 'BadRequest', 'Token authentication is off for this service.');
  const now = clock();
  const after = (seconds: number) => Math.floor(now.getTime() / 1000) + seconds;
  const accessToken = random.bytes(48).toString('base64url');
  const expiryOn = after(tokenSeconds);
  service.tokens.remember(accessToken, new Date(expiryOn * 1000), now);
  return {
    status: 201,
    json: { accessToken, tokenType: 'Bearer', expiryOn, refreshAfter: after(refreshAfterSeconds) },
  };
}

function list({ query }: Exchange, options: ModelManagementOptions): unknown {
  const [name, computeType] = [query.get('name'), query.get('computeType')];
  const value = options.store
    .list()
    .filter((one) => (name === null || one.name === name) && (computeType === null || one.computeType === computeType))
    .map((one) => toBody(one, options));
  return { value, nextLink: null };
}

function toBody(service: WebService, { scoringUrl, store }: ModelManagementOptions): object {
  const { name, computeType, authEnabled, aadAuthEnabled, created } = service;
  const base = `${scoringUrl}/${store.workspace}/api/v1/service/${name}`;
  return {
    id: name,
    name,
    description: null,
    kvTags: {},
    properties: {},
    operationId: null,
    state: 'Healthy',
    createdTime: created.toISOString(),
    updatedTime: created.toISOString(),
    error: null,
    computeType,
    deploymentType: 'HttpRealtimeEndpoint',
    scoringUri: `${base}/score`,
    swaggerUri: `${base}/swagger.json`,
    authEnabled,
    ...(computeType === 'AKS' ? { aadAuthEnabled } : {}),
    sslEnabled: true,
    location: REGION,
    appInsightsEnabled: false,
    publicIp: null,
    publicFqdn: null,
    models: [],
  };
}

/** Errors of this API are not wrapped in `error`. */
function refusal(statusCode: number, code: string, message: string): Answer {
  return { status: statusCode, json: { code, statusCode, message, details: [{ code, message }] } };
}

function toJson(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch {
    return undefined;
  }
}
