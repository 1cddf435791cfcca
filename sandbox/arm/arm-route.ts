/** One operation of the Machine Learning resource provider, read from method and path. */
export type ArmOperation =
  | 'getWorkspace'
  | 'listEndpoints'
  | 'getEndpoint'
  | 'putEndpoint'
  | 'patchEndpoint'
  | 'deleteEndpoint'
  | 'getToken'
  | 'listKeys'
  | 'regenerateKeys'
  | 'listDeployments'
  | 'listBatchEndpoints'
  | 'getBatchEndpoint'
  | 'listBatchKeys';

export type ArmRoute =
  | { kind: 'operationStatus' | 'operationResult'; subscription: string; name: string }
  | {
      kind: 'resource';
      operation: ArmOperation;
      subscription: string;
      resourceGroup: string;
      workspace: string;
      /** Empty for operations on the workspace. */
      endpoint: string;
    };

const provider = 'Microsoft.MachineLearningServices/workspaces';

/** The action that a caller needs for each operation. */
export const actions: Readonly<Record<ArmOperation, string>> = {
  getWorkspace: `${provider}/read`,
  listEndpoints: `${provider}/onlineEndpoints/read`,
  getEndpoint: `${provider}/onlineEndpoints/read`,
  putEndpoint: `${provider}/onlineEndpoints/write`,
  patchEndpoint: `${provider}/onlineEndpoints/write`,
  deleteEndpoint: `${provider}/onlineEndpoints/delete`,
  getToken: `${provider}/onlineEndpoints/token/action`,
  listKeys: `${provider}/onlineEndpoints/listKeys/action`,
  regenerateKeys: `${provider}/onlineEndpoints/regenerateKeys/action`,
  listDeployments: `${provider}/onlineEndpoints/deployments/read`,
  listBatchEndpoints: `${provider}/batchEndpoints/read`,
  getBatchEndpoint: `${provider}/batchEndpoints/read`,
  listBatchKeys: `${provider}/batchEndpoints/listKeys/action`,
};

/** `METHOD`, then what comes after the workspace, names left out, in lower case. */
const operations: Readonly<Record<string, ArmOperation>> = {
  'GET ': 'getWorkspace',
  'GET onlineendpoints': 'listEndpoints',
  'GET onlineendpoints/*': 'getEndpoint',
  'PUT onlineendpoints/*': 'putEndpoint',
  'PATCH onlineendpoints/*': 'patchEndpoint',
  'DELETE onlineendpoints/*': 'deleteEndpoint',
  'POST onlineendpoints/*/token': 'getToken',
  'POST onlineendpoints/*/listkeys': 'listKeys',
  'POST onlineendpoints/*/regeneratekeys': 'regenerateKeys',
  'GET onlineendpoints/*/deployments': 'listDeployments',
  'GET batchendpoints': 'listBatchEndpoints',
  'GET batchendpoints/*': 'getBatchEndpoint',
  'POST batchendpoints/*/listkeys': 'listBatchKeys',
};

const workspacePath =
  /^\/subscriptions\/([^/]+)\/resourceGroups\/([^/]+)\/providers\/Microsoft\.MachineLearningServices\/workspaces\/([^/]+)(?:\/(.*))?$/i;
const operationPath =
  /^\/subscriptions\/([^/]+)\/providers\/Microsoft\.MachineLearningServices\/locations\/[^/]+\/(mfeOperationsStatus|mfeOperationResults)\/([^/]+)$/i;

/** Reads a route; the fixed parts of a path compare without case. Undefined when there is no such operation here. */
export function readArmRoute(method: string, path: string): ArmRoute | undefined {
  const poll = operationPath.exec(path);
  if (poll !== null && method === 'GET') {
    const [, subscription = '', what = '', name = ''] = poll;
    const kind = what.toLowerCase() === 'mfeoperationsstatus' ? 'operationStatus' : 'operationResult';
    return { kind, subscription, name };
  }
  const match = workspacePath.exec(path.replace(/\/$/, ''));
  if (match === null) return undefined;
  const [, subscription = '', resourceGroup = '', workspace = '', rest = ''] = match;
  const [collection = '', endpoint, ...action] = rest.split('/');
  const pattern = [collection.toLowerCase(), ...(endpoint === undefined ? [] : ['*']), ...action]
    .join('/')
    .toLowerCase();
  const operation = operations[`${method} ${pattern}`];
  if (operation === undefined) return undefined;
  return { kind: 'resource', operation, subscription, resourceGroup, workspace, endpoint: endpoint ?? '' };
}
