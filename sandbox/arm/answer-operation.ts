import type { Answer } from '../http/service.ts';
import type { ArmContext } from './arm-context.ts';
import { providerError } from './arm-errors.ts';
import type { ArmRoute } from './arm-route.ts';
import { changeEndpoint, createEndpoint, deleteEndpoint, regenerateKeys } from './change-endpoint.ts';
import { BadEndpointBody } from './endpoint-body.ts';
import { BadListQuery, pageOfEndpoints } from './endpoint-list.ts';
import type { Endpoint, Workspace } from './endpoint-store.ts';
import { toBatchEndpointBody, toDeploymentBody, toEndpointBody, toWorkspaceBody } from './resource-bodies.ts';

type ResourceRoute = ArmRoute & { kind: 'resource' };

/** Every workspace has one batch endpoint of this name. */
const batchEndpointName = 'nightly';

/** Does one operation in an existing workspace for a caller who may do it. */
export async function answerOperation(
  route: ResourceRoute,
  workspace: Workspace,
  context: ArmContext,
): Promise<Answer> {
  try {
    return await doOperation(route, workspace, context);
  } catch (error) {
    if (error instanceof BadEndpointBody || error instanceof BadListQuery) {
      return userError(context, 400, error.message, ['ValidationError']);
    }
    throw error;
  }
}

async function doOperation(route: ResourceRoute, workspace: Workspace, context: ArmContext): Promise<Answer> {
  switch (route.operation) {
    case 'getWorkspace':
      return { status: 200, json: toWorkspaceBody(workspace) };
    case 'listEndpoints':
      return listEndpoints(workspace, context);
    case 'listBatchEndpoints':
      return { status: 200, json: { value: [toBatchEndpointBody(workspace, batchEndpointName)] } };
    case 'getBatchEndpoint':
      return onBatchEndpoint(route, context, () => toBatchEndpointBody(workspace, batchEndpointName));
    case 'listBatchKeys':
      return onBatchEndpoint(route, context, () => {
        const { Primary, Secondary } = workspace.batchKeys;
        return { primaryKey: Primary, secondaryKey: Secondary };
      });
    default:
      return await doEndpointOperation(route, workspace, context);
  }
}

async function doEndpointOperation(route: ResourceRoute, workspace: Workspace, context: ArmContext): Promise<Answer> {
  const endpoint = context.store.find(workspace, route.endpoint);
  if (route.operation === 'putEndpoint' && endpoint === undefined) {
    return createEndpoint(workspace, route.endpoint, context);
  }
  if (endpoint === undefined) return route.operation === 'deleteEndpoint' ? { status: 204 } : endpointNotFound(context);
  switch (route.operation) {
    case 'getToken':
      return await getToken(endpoint, context);
    case 'listKeys':
      return listKeys(endpoint, context);
    case 'listDeployments':
      return {
        status: 200,
        json: { value: endpoint.deployments.map((name) => toDeploymentBody(endpoint, name, urls(context))) },
      };
    case 'getEndpoint':
      return { status: 200, json: toEndpointBody(endpoint, urls(context)) };
    default:
      return doChange(route, endpoint, context);
  }
}

/** One long-running operation at a time on one endpoint. */
function doChange(route: ResourceRoute, endpoint: Endpoint, context: ArmContext): Answer {
  if (context.store.operations.isRunning(endpoint.id)) {
    const message = `There is already an operation in progress on the endpoint ${endpoint.name}. Wait for its end.`;
    return userError(context, 409, message, ['Conflict']);
  }
  if (route.operation === 'deleteEndpoint') return deleteEndpoint(endpoint, context);
  if (route.operation !== 'regenerateKeys') return changeEndpoint(endpoint, context);
  return endpoint.authMode === 'Key' ? regenerateKeys(endpoint, context) : wrongAuthMode(endpoint, 'Key', context);
}

async function getToken(endpoint: Endpoint, context: ArmContext): Promise<Answer> {
  if (endpoint.authMode !== 'AMLToken') return wrongAuthMode(endpoint, 'AMLToken', context);
  const now = context.clock();
  const after = (seconds: number) => Math.floor(now.getTime() / 1000) + seconds;
  const expiryTimeUtc = after(context.endpointTokenSeconds);
  const expires = new Date(expiryTimeUtc * 1000);
  const accessToken = await context.signer.sign(endpoint, context.caller, expires);
  endpoint.tokens.remember(accessToken, expires, now);
  const refreshAfterTimeUtc = after(context.endpointRefreshAfterSeconds);
  return { status: 200, json: { accessToken, tokenType: 'Bearer', expiryTimeUtc, refreshAfterTimeUtc } };
}

function listKeys(endpoint: Endpoint, context: ArmContext): Answer {
  if (endpoint.authMode !== 'Key') return wrongAuthMode(endpoint, 'Key', context);
  const { Primary, Secondary } = endpoint.keys;
  return { status: 200, json: { primaryKey: Primary, secondaryKey: Secondary } };
}

function listEndpoints(workspace: Workspace, context: ArmContext): Answer {
  const { exchange, store, armUrl } = context;
  const { items, skip } = pageOfEndpoints(store.list(workspace), exchange.query);
  const value = items.map((endpoint) => toEndpointBody(endpoint, urls(context)));
  if (skip === undefined) return { status: 200, json: { value } };
  const next = new URLSearchParams(exchange.query);
  next.set('$skip', skip);
  return { status: 200, json: { value, nextLink: `${armUrl}${exchange.rawPath}?${next}` } };
}

function onBatchEndpoint(route: ResourceRoute, context: ArmContext, body: () => unknown): Answer {
  return route.endpoint.toLowerCase() === batchEndpointName ? { status: 200, json: body() } : endpointNotFound(context);
}

function urls({ armUrl, scoringUrl }: ArmContext): { arm: string; scoring: string } {
  return { arm: armUrl, scoring: scoringUrl };
}

function wrongAuthMode({ name, authMode }: Endpoint, needed: string, context: ArmContext): Answer {
  const message = `The endpoint ${name} has the auth mode ${authMode}; this call needs ${needed}.`;
  return userError(context, 400, message, ['BadArgument']);
}

export function workspaceNotFound(context: ArmContext): Answer {
  return userError(context, 404, 'Workspace not found.', ['NotFound', 'WorkspaceNotFound']);
}

function endpointNotFound(context: ArmContext): Answer {
  return userError(context, 404, 'The specified resource was not found.', ['NotFound', 'EndpointNotFound']);
}

function userError(context: ArmContext, status: number, message: string, inner: readonly string[]): Answer {
  const { clock, random } = context;
  return providerError({ status, message, codes: ['UserError', ...inner], now: clock(), random });
}
