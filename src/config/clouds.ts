/**
 * Where each Azure cloud's services are and which audiences its tokens name. Constants, because a setting that could
 * move them would be a setting that weakens the checks.
 *
 * Sources: Microsoft Learn "National clouds" (Entra authorities), "Azure Government / Azure China developer guide"
 * (Resource Manager), and the environment table of the Azure ML Python SDK v2 (audience of Azure ML).
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
  graphEndpoint: string;
  graphScope: string;
  /** The `iss` of a v1 token of this tenant. */
  issuerV1(tenantId: string): string;
  /** The `iss` of a v2 token of this tenant. */
  issuerV2(tenantId: string): string;
}

interface Hosts {
  authority: string;
  sts: string;
  arm: string;
  aml: string;
  graph: string;
}

function cloud(hosts: Hosts): Cloud {
  return {
    authorityHost: `https://${hosts.authority}`,
    armEndpoint: `https://${hosts.arm}`,
    armScope: `https://${hosts.arm}/.default`,
    amlScope: `https://${hosts.aml}/.default`,
    graphEndpoint: `https://${hosts.graph}`,
    graphScope: `https://${hosts.graph}/.default`,
    issuerV1: (tenantId) => `https://${hosts.sts}/${tenantId}/`,
    issuerV2: (tenantId) => `https://${hosts.authority}/${tenantId}/v2.0`,
  };
}

export const clouds = {
  public: cloud({
    authority: 'login.microsoftonline.com',
    sts: 'sts.windows.net',
    arm: 'management.azure.com',
    aml: 'ml.azure.com',
    graph: 'graph.microsoft.com',
  }),
  china: cloud({
    authority: 'login.partner.microsoftonline.cn',
    sts: 'sts.chinacloudapi.cn',
    arm: 'management.chinacloudapi.cn',
    aml: 'ml.azure.cn',
    graph: 'microsoftgraph.chinacloudapi.cn',
  }),
  usgovernment: cloud({
    authority: 'login.microsoftonline.us',
    sts: 'sts.windows.net',
    arm: 'management.usgovcloudapi.net',
    aml: 'ml.azure.us',
    graph: 'graph.microsoft.us',
  }),
} as const satisfies Record<string, Cloud>;
