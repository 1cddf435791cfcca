/**
 * Where each Azure cloud's services are and which audiences its tokens name. Constants, because a setting that could
 * move them would be a setting that weakens the checks.
 *
 * Sources: Microsoft Learn "National clouds" (Entra authorities), "Azure Government / Azure China developer guide"
 * (Resource Manager), the environment table of the Azure ML Python SDK v2 (audience of Azure ML), and "Workload identity
 * federation: important considerations" (exchange audiences).
 */

export interface Cloud {
  /** Entra's authority, without a trailing slash. */
  authorityHost: string;
  /** Resource Manager's endpoint, without a trailing slash. */
  armEndpoint: string;
  /** Exact scope for Resource Manager tokens. */
  armScope: string;
  /** Exact scope for Azure ML data-plane tokens. */
  amlScope: string;
  /** The `aud` of Resource Manager tokens: any of these forms, with or without a slash at the end. */
  armAudiences: readonly string[];
  /** The same for Azure ML data-plane tokens. */
  amlAudiences: readonly string[];
  /** Azure ML's own API in a region (`westeurope`), without a trailing slash: services of SDK v1. */
  amlRegionEndpoint(region: string): string;
  graphEndpoint: string;
  graphScope: string;
  /** Exact scope for Azure Storage: one for all clouds. */
  storageScope: string;
  /** The audience of a managed identity's token that is to be a client assertion. */
  exchangeAudience: string;
  /** The `iss` of a v1 token of this tenant. */
  issuerV1(tenantId: string): string;
  /** The `iss` of a v2 token of this tenant. */
  issuerV2(tenantId: string): string;
}

interface Hosts {
  authority: string;
  sts: string;
  arm: string;
  /** Resource Manager's older name, still an audience of its tokens. */
  armCore: string;
  aml: string;
  /** What comes after the region in the host of Azure ML's own API. */
  amlRegions: string;
  graph: string;
  exchange: string;
}

/** First-party application ids, the same in every cloud: the `aud` of a v2 token. */
const ARM_APP_ID = '797f4846-ba00-4fd7-ba43-dac1f8f63013';
const AML_APP_ID = '0736f41a-0425-4b46-bdb5-1563eff02385';

function cloud(hosts: Hosts): Cloud {
  return {
    authorityHost: `https://${hosts.authority}`,
    armEndpoint: `https://${hosts.arm}`,
    armScope: `https://${hosts.arm}/.default`,
    amlScope: `https://${hosts.aml}/.default`,
    armAudiences: [`https://${hosts.arm}`, `https://${hosts.armCore}`, ARM_APP_ID],
    amlAudiences: [`https://${hosts.aml}`, AML_APP_ID],
    amlRegionEndpoint: (region) => `https://${region}.${hosts.amlRegions}`,
    graphEndpoint: `https://${hosts.graph}`,
    exchangeAudience: `api://${hosts.exchange}`,
    graphScope: `https://${hosts.graph}/.default`,
    storageScope: 'https://storage.azure.com/.default',
    issuerV1: (tenantId) => `https://${hosts.sts}/${tenantId}/`,
    issuerV2: (tenantId) => `https://${hosts.authority}/${tenantId}/v2.0`,
  };
}

export const clouds = {
  public: cloud({
    authority: 'login.microsoftonline.com',
    sts: 'sts.windows.net',
    arm: 'management.azure.com',
    armCore: 'management.core.windows.net',
    aml: 'ml.azure.com',
    amlRegions: 'api.azureml.ms',
    graph: 'graph.microsoft.com',
    exchange: 'AzureADTokenExchange',
  }),
  china: cloud({
    authority: 'login.partner.microsoftonline.cn',
    sts: 'sts.chinacloudapi.cn',
    arm: 'management.chinacloudapi.cn',
    armCore: 'management.core.chinacloudapi.cn',
    aml: 'ml.azure.cn',
    amlRegions: 'api.ml.azure.cn',
    graph: 'microsoftgraph.chinacloudapi.cn',
    exchange: 'AzureADTokenExchangeChina',
  }),
  usgovernment: cloud({
    authority: 'login.microsoftonline.us',
    sts: 'sts.windows.net',
    arm: 'management.usgovcloudapi.net',
    armCore: 'management.core.usgovcloudapi.net',
    aml: 'ml.azure.us',
    amlRegions: 'api.ml.azure.us',
    graph: 'graph.microsoft.us',
    exchange: 'AzureADTokenExchangeUSGov',
  }),
} as const satisfies Record<string, Cloud>;
