import { REGION, TENANT_ID } from '../seed.ts';
import { ticksOf, toAzureInstant } from './azure-instant.ts';
import type { Endpoint, Workspace } from './endpoint-store.ts';
import { operationPath } from './long-running-operations.ts';
import { resourceGroupId } from './resource-ids.ts';

/** Resources as ARM's JSON has them, with the mixed case that recorded ids have. */
export type Body = Record<string, unknown>;

/** Where links in bodies point to; no trailing slash. */
export interface BodyUrls {
  arm: string;
  scoring: string;
}

const writer = 'platform-team@contoso.example';
const managed = 'Managed';
const kubernetes = 'K8S';

/** A workspace in the form of API versions before 2024, which later ones only add to. */
export function toWorkspaceBody(workspace: Workspace): Body {
  const { id, name, workspaceId, principalId, created } = workspace;
  const suffix = workspaceId.replaceAll('-', '').slice(0, 13);
  const related = (type: string, prefix: string) => `${resourceGroupId}/providers/${type}/${prefix}${suffix}`;
  const createdAt = toAzureInstant(created, ticksOf(workspaceId), 'Z');
  return {
    id,
    name,
    type: 'Microsoft.MachineLearningServices/workspaces',
    location: REGION,
    tags: {},
    etag: null,
    properties: {
      friendlyName: name,
      description: '',
      storageAccount: related('Microsoft.Storage/storageAccounts', 'st'),
      keyVault: related('Microsoft.Keyvault/vaults', 'kv'),
      applicationInsights: related('Microsoft.insights/components', 'ai'),
      hbiWorkspace: false,
      tenantId: TENANT_ID,
      imageBuildCompute: null,
      provisioningState: 'Succeeded',
      v1LegacyMode: false,
      softDeleteEnabled: false,
      containerRegistry: related('Microsoft.ContainerRegistry/registries', 'cr'),
      notebookInfo: {
        resourceId: workspaceId.replaceAll('-', ''),
        fqdn: `ml-${name}-${REGION}-${workspaceId}.${REGION}.notebooks.azure.net`,
        isPrivateLinkEnabled: false,
        notebookPreparationError: null,
      },
      storageHnsEnabled: false,
      workspaceId,
      linkedModelInventoryArmId: null,
      privateLinkCount: 0,
      publicNetworkAccess: 'Enabled',
      discoveryUrl: `https://${REGION}.api.azureml.ms/discovery`,
      mlFlowTrackingUri: `azureml://${REGION}.api.azureml.ms/mlflow/v1.0${id}`,
      sdkTelemetryAppInsightsKey: principalId,
      sasGetterUri: '',
    },
    identity: { type: 'SystemAssigned', principalId, tenantId: TENANT_ID },
    sku: { name: 'Basic', tier: 'Basic' },
    systemData: {
      createdAt,
      createdBy: writer,
      createdByType: 'User',
      lastModifiedAt: createdAt,
      lastModifiedBy: writer,
      lastModifiedByType: 'User',
    },
  };
}

/** An online endpoint; it has no scoring address until its creation is complete. */
export function toEndpointBody(endpoint: Endpoint, urls: BodyUrls): Body {
  const { id, name, workspace, authMode, traffic, mirrorTraffic, tags, description, provisioningState } = endpoint;
  const base = endpoint.isServing ? `${urls.scoring}/${workspace.name}/${name}` : null;
  return {
    id,
    name,
    type: 'Microsoft.MachineLearningServices/workspaces/onlineEndpoints',
    properties: {
      description,
      properties: {
        ...endpoint.properties,
        'azureml.onlineendpointid': toLowerCaseProvider(id),
        AzureAsyncOperationUri: `${urls.arm}${operationPath(endpoint.lastOperation, 'mfeOperationsStatus')}?api-version=2022-02-01-preview`,
      },
      scoringUri: base === null ? null : `${base}/score`,
      swaggerUri: base === null ? null : `${base}/swagger.json`,
      authMode,
      provisioningState,
      compute: endpoint.compute,
      traffic,
      mirrorTraffic,
      publicNetworkAccess: 'Enabled',
    },
    systemData: {
      createdAt: toAzureInstant(endpoint.created, ticksOf(endpoint.incarnation), '+00:00'),
      createdBy: writer,
      lastModifiedAt: toAzureInstant(endpoint.modified, ticksOf(endpoint.incarnation), '+00:00'),
    },
    tags,
    location: REGION,
    kind: endpoint.compute === null ? managed : kubernetes,
    identity: { type: 'SystemAssigned', principalId: endpoint.principalId, tenantId: TENANT_ID },
  };
}

export function toDeploymentBody(endpoint: Endpoint, name: string, urls: BodyUrls): Body {
  const at = toAzureInstant(endpoint.created, ticksOf(endpoint.incarnation), '+00:00');
  const ofWorkspace = (path: string) => `${endpoint.workspace.id}/${path}`;
  const probe = { failureThreshold: 30, successThreshold: 1, timeout: 'PT2S', period: 'PT10S', initialDelay: 'PT10S' };
  return {
    id: `${endpoint.id}/deployments/${name}`,
    name,
    type: 'Microsoft.MachineLearningServices/workspaces/onlineEndpoints/deployments',
    properties: {
      description: null,
      properties: {
        AzureAsyncOperationUri: `${urls.arm}${operationPath(endpoint.lastOperation, 'mfeOperationsStatus')}?api-version=2022-02-01-preview`,
      },
      codeConfiguration: { codeId: ofWorkspace('codes/score/versions/1'), scoringScript: 'score.py' },
      environmentId: ofWorkspace('environments/score/versions/1'),
      environmentVariables: {},
      scaleSettings: { scaleType: 'Default' },
      requestSettings: { maxQueueWait: 'PT0S', requestTimeout: 'PT5S', maxConcurrentRequestsPerInstance: 1 },
      modelMountPath: null,
      appInsightsEnabled: false,
      livenessProbe: probe,
      readinessProbe: probe,
      ...{
        provisioningState: 'Succeeded',
        instanceType: 'Standard_DS2_V2',
        model: ofWorkspace('models/model/versions/1'),
      },
      privateNetworkConnection: false,
      egressPublicNetworkAccess: 'Enabled',
      endpointComputeType: managed,
    },
    systemData: { createdAt: at, createdBy: writer, lastModifiedAt: at },
    tags: {},
    location: REGION,
    kind: managed,
    sku: { name: 'Default', tier: 'Standard', capacity: 1 },
  };
}

/** The seeded batch endpoint of a workspace: it is there to be listed, its jobs are not. */
export function toBatchEndpointBody(workspace: Workspace, name: string): Body {
  const at = toAzureInstant(workspace.created, ticksOf(workspace.workspaceId), '+00:00');
  const base = `https://${name}.${REGION}.inference.ml.azure.com`;
  return {
    id: `${workspace.id}/batchEndpoints/${name}`,
    name,
    type: 'Microsoft.MachineLearningServices/workspaces/batchEndpoints',
    properties: {
      description: null,
      properties: {},
      scoringUri: `${base}/jobs`,
      swaggerUri: null,
      authMode: 'AADToken',
      provisioningState: 'Succeeded',
      defaults: { deploymentName: 'nightly' },
    },
    systemData: { createdAt: at, createdBy: writer, lastModifiedAt: at },
    tags: {},
    location: REGION,
  };
}

/** Everything but the names is in lower case in this property. */
function toLowerCaseProvider(id: string): string {
  return id
    .replace('/resourceGroups/', '/resourcegroups/')
    .replace('Microsoft.MachineLearningServices', 'microsoft.machinelearningservices')
    .replace('/onlineEndpoints/', '/onlineendpoints/');
}
