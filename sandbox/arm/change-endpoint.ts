import type { Answer } from '../http/service.ts';
import type { ArmContext } from './arm-context.ts';
import { BadEndpointBody, readEndpoint, readEndpointPatch, readKeyRequest } from './endpoint-body.ts';
import type { Endpoint, EndpointSettings, Workspace } from './endpoint-store.ts';
import { type Operation, operationPath } from './long-running-operations.ts';
import { toEndpointBody } from './resource-bodies.ts';

/** Names of managed online endpoints: 3 to 32 letters, digits and hyphens, a letter first, no hyphen last. */
const endpointName = /^[a-zA-Z][a-zA-Z0-9-]{1,30}[a-zA-Z0-9]$/;

/** PUT of a new endpoint: 201 at once, its address when the operation is complete. */
export function createEndpoint(workspace: Workspace, name: string, context: ArmContext): Answer {
  if (!endpointName.test(name)) {
    throw new BadEndpointBody(
      `The endpoint name ${name} is not valid: 3 to 32 letters, digits and hyphens, a letter first.`,
    );
  }
  const settings = readEndpoint(context.exchange.body);
  refuseModeOnKubernetes(settings);
  const endpoint = context.store.add(workspace, name, settings);
  endpoint.isServing = false;
  const operation = start(endpoint, 'create', 'Creating', context, () => {
    endpoint.isServing = true;
  });
  return created(201, endpoint, operation, context);
}

/** Entra tokens open managed endpoints only. */
function refuseModeOnKubernetes({ authMode, compute }: Pick<EndpointSettings, 'authMode' | 'compute'>): void {
  if (compute !== null && authMode === 'AADToken') {
    throw new BadEndpointBody('The auth mode AADToken is not supported for Kubernetes online endpoints.');
  }
}

/** PUT or PATCH of an endpoint that exists: the change counts when the operation is complete. */
export function changeEndpoint(endpoint: Endpoint, context: ArmContext): Answer {
  const { method, body } = context.exchange;
  const change: Partial<EndpointSettings> = method === 'PUT' ? readEndpoint(body) : readEndpointPatch(body);
  refuseModeOnKubernetes({ ...endpoint, ...change });
  const operation = start(endpoint, 'update', 'Updating', context, () => {
    Object.assign(endpoint, change);
  });
  if (method === 'PUT') return created(200, endpoint, operation, context);
  return { status: 202, headers: accepted(operation, context), json: toEndpointBody(endpoint, urlsOf(context)) };
}

/** DELETE: the endpoint serves until the operation is complete. */
export function deleteEndpoint(endpoint: Endpoint, context: ArmContext): Answer {
  const operation = start(endpoint, 'delete', 'Deleting', context, () => context.store.remove(endpoint));
  // The recorded body is the JSON value null.
  return { status: 202, headers: { ...status(operation, context), ...accepted(operation, context) }, json: null };
}

/** Starts replacing one key; the old one works until the operation is complete. */
export function regenerateKeys(endpoint: Endpoint, context: ArmContext): Answer {
  const { keyType, keyValue } = readKeyRequest(context.exchange.body);
  const operation = start(endpoint, 'regenerateKeys', 'Updating', context, () => {
    endpoint.keys[keyType] = keyValue ?? context.store.newKey();
  });
  const retryAfter = String(context.store.operations.retryAfterSeconds);
  return { status: 202, headers: { ...accepted(operation, context), 'Retry-After': retryAfter } };
}

function start(
  endpoint: Endpoint,
  kind: Operation['kind'],
  meanwhile: Endpoint['provisioningState'],
  { store, clock }: ArmContext,
  complete: () => void,
): Operation {
  endpoint.provisioningState = meanwhile;
  const { id: resourceId, workspace } = endpoint;
  const operation = store.operations.start({
    resourceId,
    workspaceId: workspace.workspaceId,
    kind,
    complete: () => {
      complete();
      endpoint.provisioningState = 'Succeeded';
      endpoint.modified = clock();
    },
  });
  endpoint.lastOperation = operation.name;
  return operation;
}

/** The resource itself, with the way to its operation's status; `Location` is the resource. */
function created(statusCode: 200 | 201, endpoint: Endpoint, operation: Operation, context: ArmContext): Answer {
  const location = `${context.armUrl}${endpoint.id}?api-version=${apiVersion(context)}`;
  const headers = { ...status(operation, context), Location: location };
  return { status: statusCode, headers, json: toEndpointBody(endpoint, urlsOf(context)) };
}

function status(operation: Operation, context: ArmContext): Record<string, string> {
  return {
    'Azure-AsyncOperation': pollUrl(operation, 'mfeOperationsStatus', context),
    'x-ms-async-operation-timeout': 'PT30M',
  };
}

function accepted(operation: Operation, context: ArmContext): Record<string, string> {
  return { Location: pollUrl(operation, 'mfeOperationResults', context), 'x-ms-async-operation-timeout': 'PT30M' };
}

function pollUrl(
  operation: Operation,
  what: 'mfeOperationsStatus' | 'mfeOperationResults',
  context: ArmContext,
): string {
  const path = operationPath(operation.name, what);
  return `${context.armUrl}${path}?api-version=${apiVersion(context)}&${context.store.operations.signedQuery(operation)}`;
}

function apiVersion({ exchange }: ArmContext): string {
  return exchange.query.get('api-version') ?? '';
}

function urlsOf({ armUrl, scoringUrl }: ArmContext): { arm: string; scoring: string } {
  return { arm: armUrl, scoring: scoringUrl };
}
