import type { Answer, Exchange } from '../http/service.ts';

/** What Azure's tools read to learn a cloud: nobody has a token yet, so none is asked for. */
export function isCloudMetadata({ method, path }: Exchange): boolean {
  return method === 'GET' && /^\/metadata\/endpoints\/?$/i.test(path);
}

/**
 * The clouds that this Resource Manager knows: itself alone, in the shape of API versions from 2018-05-01 on. Its name is
 * none of the public clouds', because tools prefer what they already know of those. The portal is the public one:
 * the Azure ML SDK makes the audience of Azure ML (`https://ml.azure.com`) from its domain.
 *
 * Source: what `azure/ai/ml/_azure_environments.py` of azure-ai-ml reads, and Azure CLI's `az cloud register
 * --endpoint-resource-manager`; https://learn.microsoft.com/cli/azure/cloud
 *
 * @param armUrl where the asker reached Resource Manager; no trailing slash
 * @param entraUrl the authority for signing in; no trailing slash
 */
export function cloudMetadata(armUrl: string, entraUrl: string): Answer {
  const cloud = {
    name: 'AzureSandbox',
    portal: 'https://portal.azure.com',
    resourceManager: `${armUrl}/`,
    authentication: {
      loginEndpoint: `${entraUrl}/`,
      audiences: ['https://management.core.windows.net/', 'https://management.azure.com/'],
      tenant: 'common',
      identityProvider: 'AAD',
    },
    suffixes: { storage: 'core.windows.net', keyVaultDns: 'vault.azure.net', acrLoginServer: 'azurecr.io' },
  };
  return { status: 200, json: [cloud] };
}
