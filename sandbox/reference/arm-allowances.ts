import type { Allowance, DifferenceKind } from './compare.ts';

type Kind = Exclude<DifferenceKind, 'allowance'>;

function allow(kind: Kind, reason: string, paths: readonly string[]): Allowance[] {
  return paths.map((path): Allowance => ({ path, kind, reason }));
}

/** The recordings of 2022 have an older form of the request limits. */
export function limitsOf2026(kind: 'reads' | 'writes' | 'deletes'): Allowance[] {
  const reason = 'not yet in 2022; the recordings of 2026 have it';
  return allow('extra', reason, [`headers.x-ms-ratelimit-remaining-subscription-global-${kind}`]);
}

/** A status of 2022 beside ours, which is that of 2026. */
const operationOf2022: readonly Allowance[] = [
  ...limitsOf2026('reads'),
  ...allow('extra', 'not yet in 2022; the recording of 2026 has it', ['headers.x-ms-operation-identifier']),
];
export const runningOf2022: readonly Allowance[] = [
  ...operationOf2022,
  ...allow('extra', 'not yet in 2022; the recording of 2026 has it, as the year 1', ['body.endTime']),
];
export const doneOf2022: readonly Allowance[] = [
  ...operationOf2022,
  ...allow('value', 'stays 0 in the recording of 2026, also at the end', ['body.percentComplete']),
];

export const deploymentsOf2022: readonly Allowance[] = [
  ...limitsOf2026('reads'),
  ...allow('type', "free text, null where nobody wrote any, as in the recorded endpoint's", [
    'body.value.0.properties.description',
  ]),
];

/**
 * A specification's example shows every field that may be there. `prefix` is the path of the endpoint in the answer.
 */
export function specifiedEndpoint(prefix: string): Allowance[] {
  const at = (...fields: string[]): string[] => fields.map((field) => `${prefix}.${field}`);
  const systemData = at('systemData.createdByType', 'systemData.lastModifiedBy', 'systemData.lastModifiedByType');
  return [
    ...allow('missing', 'may be there, and is not in the recorded endpoint', [...at('sku'), ...systemData]),
    ...allow('missing', 'only with user-assigned identities', at('identity.userAssignedIdentities')),
    ...allow('type', 'null in the recorded endpoint', at('properties.description', 'properties.compute')),
    ...allow(
      'extra',
      "in the recorded endpoint, not in the specification's example",
      at('properties.mirrorTraffic', 'properties.publicNetworkAccess'),
    ),
  ];
}

function properties(...names: string[]): string[] {
  return names.map((name) => `body.properties.${name}`);
}

const relatedNames = (...names: string[]): Allowance[] =>
  allow('value', 'names of the resources beside the workspace are free', properties(...names));

export const workspaceOf2022: readonly Allowance[] = [
  ...limitsOf2026('reads'),
  ...relatedNames('storageAccount', 'keyVault', 'applicationInsights', 'containerRegistry'),
];

export const workspaceOf2024: readonly Allowance[] = [
  ...relatedNames('keyVault', 'applicationInsights', 'containerRegistry'),
  ...allow('missing', 'came in 2024; the sandbox has the form of 2022-10-01, for which the SDK asks', [
    'body.kind',
    ...properties('managedNetwork', 'allowRoleAssignmentOnRG', 'creationTime', 'ipAllowlist', 'networkAcls'),
    ...properties('serverlessComputeSettings', 'EnableSoftwareBillOfMaterials', 'enableDataIsolation'),
    ...properties('systemDatastoresAuthMode', 'enableServiceSideCMKEncryption'),
  ]),
  ...allow(
    'extra',
    'gone in 2024; the sandbox has the form of 2022-10-01, for which the SDK asks',
    properties('sasGetterUri'),
  ),
];

export const specifiedWorkspace: readonly Allowance[] = [
  ...allow('missing', 'only with user-assigned identities', ['body.identity.userAssignedIdentities']),
  ...allow('missing', 'only with a key of the customer', properties('encryption', 'serviceProvisionedResourceGroup')),
  ...allow(
    'missing',
    'only with private links, and not in the recorded workspace',
    properties('allowPublicAccessWhenBehindVnet', 'privateEndpointConnections', 'sharedPrivateLinkResources'),
  ),
  ...allow('type', 'null in the recorded workspace', properties('imageBuildCompute')),
  ...allow('extra', "in the recorded workspaces, not in the specification's example", [
    ...['body.tags', 'body.etag', 'body.sku', 'body.systemData'],
    ...properties('tenantId', 'provisioningState', 'v1LegacyMode', 'softDeleteEnabled', 'notebookInfo', 'workspaceId'),
    ...properties('storageHnsEnabled', 'linkedModelInventoryArmId', 'mlFlowTrackingUri'),
    ...properties('sdkTelemetryAppInsightsKey', 'sasGetterUri'),
  ]),
];
