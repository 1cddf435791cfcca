import { describe, expect, it } from 'vitest';
import { type Cloud, clouds } from '../../src/config/clouds.ts';

/**
 * A row for each cell of the table of clouds, with its source:
 * - NC: Microsoft Learn, "National clouds" (Microsoft Entra authentication endpoints);
 * - AT: Microsoft Learn, "Access token claims reference" (`iss` of v1 and v2 tokens; `aud` of v2 tokens);
 * - GOV: Microsoft Learn, "Compare Azure Government and global Azure" (endpoint mapping);
 * - CN: Microsoft Learn, "Azure China developer guide" (check endpoints);
 * - ML: environment table of the Azure ML Python SDK v2 (`azure/ai/ml/_azure_environments.py`): `resource_manager`,
 *   `aml_resource_id`, and the regional hosts of `registry_discovery_endpoint`;
 * - CLI: environment table of `msrestazure` (`azure_cloud.py`, `management`): Resource Manager's older names;
 * - GR: Microsoft Learn, "Microsoft Graph national cloud deployments" (service root endpoints);
 * - ST: Microsoft Learn, "Authorize access to blobs using Microsoft Entra ID" (resource id, the same in all clouds);
 * - WIF: Microsoft Learn, "Configure an application to trust a managed identity" (audience of each cloud);
 * - APP: Microsoft Learn, "Verify first-party Microsoft applications in sign-in reports" (application ids).
 */

const tenant = '11111111-1111-4111-8111-111111111111';
const armAppId = '797f4846-ba00-4fd7-ba43-dac1f8f63013';
const amlAppId = '0736f41a-0425-4b46-bdb5-1563eff02385';

type CloudName = keyof typeof clouds;
type Cell = readonly [cloud: CloudName, cell: keyof Cloud, value: string | readonly string[], source: string];

const constants: Cell[] = [
  ['public', 'authorityHost', 'https://login.microsoftonline.com', 'NC'],
  ['china', 'authorityHost', 'https://login.partner.microsoftonline.cn', 'NC'],
  ['usgovernment', 'authorityHost', 'https://login.microsoftonline.us', 'NC'],
  ['public', 'armEndpoint', 'https://management.azure.com', 'GOV, ML'],
  ['china', 'armEndpoint', 'https://management.chinacloudapi.cn', 'CN, ML'],
  ['usgovernment', 'armEndpoint', 'https://management.usgovcloudapi.net', 'GOV, ML'],
  ['public', 'armScope', 'https://management.azure.com/.default', 'GOV, ML'],
  ['china', 'armScope', 'https://management.chinacloudapi.cn/.default', 'CN, ML'],
  ['usgovernment', 'armScope', 'https://management.usgovcloudapi.net/.default', 'GOV, ML'],
  ['public', 'amlScope', 'https://ml.azure.com/.default', 'ML'],
  ['china', 'amlScope', 'https://ml.azure.cn/.default', 'ML'],
  ['usgovernment', 'amlScope', 'https://ml.azure.us/.default', 'ML'],
  [
    'public',
    'armAudiences',
    ['https://management.azure.com', 'https://management.core.windows.net', armAppId],
    'ML, CLI, APP',
  ],
  [
    'china',
    'armAudiences',
    ['https://management.chinacloudapi.cn', 'https://management.core.chinacloudapi.cn', armAppId],
    'ML, CLI, APP',
  ],
  [
    'usgovernment',
    'armAudiences',
    ['https://management.usgovcloudapi.net', 'https://management.core.usgovcloudapi.net', armAppId],
    'ML, CLI, APP',
  ],
  ['public', 'amlAudiences', ['https://ml.azure.com', amlAppId], 'ML, APP'],
  ['china', 'amlAudiences', ['https://ml.azure.cn', amlAppId], 'ML, APP'],
  ['usgovernment', 'amlAudiences', ['https://ml.azure.us', amlAppId], 'ML, APP'],
  ['public', 'graphEndpoint', 'https://graph.microsoft.com', 'GR'],
  ['china', 'graphEndpoint', 'https://microsoftgraph.chinacloudapi.cn', 'GR'],
  ['usgovernment', 'graphEndpoint', 'https://graph.microsoft.us', 'GR'],
  ['public', 'graphScope', 'https://graph.microsoft.com/.default', 'GR'],
  ['china', 'graphScope', 'https://microsoftgraph.chinacloudapi.cn/.default', 'GR'],
  ['usgovernment', 'graphScope', 'https://graph.microsoft.us/.default', 'GR'],
  ['public', 'storageScope', 'https://storage.azure.com/.default', 'ST'],
  ['china', 'storageScope', 'https://storage.azure.com/.default', 'ST'],
  ['usgovernment', 'storageScope', 'https://storage.azure.com/.default', 'ST'],
  ['public', 'exchangeAudience', 'api://AzureADTokenExchange', 'WIF'],
  ['china', 'exchangeAudience', 'api://AzureADTokenExchangeChina', 'WIF'],
  ['usgovernment', 'exchangeAudience', 'api://AzureADTokenExchangeUSGov', 'WIF'],
];

const made = [
  ['public', 'issuerV1', tenant, `https://sts.windows.net/${tenant}/`, 'AT'],
  ['china', 'issuerV1', tenant, `https://sts.chinacloudapi.cn/${tenant}/`, 'CN'],
  ['usgovernment', 'issuerV1', tenant, `https://sts.windows.net/${tenant}/`, 'GOV'],
  ['public', 'issuerV2', tenant, `https://login.microsoftonline.com/${tenant}/v2.0`, 'AT'],
  ['china', 'issuerV2', tenant, `https://login.partner.microsoftonline.cn/${tenant}/v2.0`, 'NC'],
  ['usgovernment', 'issuerV2', tenant, `https://login.microsoftonline.us/${tenant}/v2.0`, 'NC'],
  ['public', 'amlRegionEndpoint', 'westeurope', 'https://westeurope.api.azureml.ms', 'ML'],
  ['china', 'amlRegionEndpoint', 'chinaeast2', 'https://chinaeast2.api.ml.azure.cn', 'ML'],
  ['usgovernment', 'amlRegionEndpoint', 'usgovarizona', 'https://usgovarizona.api.ml.azure.us', 'ML'],
] as const;

describe('the clouds', () => {
  it('are these three', () => {
    expect(Object.keys(clouds)).toEqual(['public', 'china', 'usgovernment']);
  });

  it.each(constants)('%s has as %s %s (source %s)', (cloud, cell, value, _source) => {
    expect(clouds[cloud][cell]).toEqual(value);
  });

  it.each(made)('%s makes its %s of %s: %s (source %s)', (cloud, cell, of, value, _source) => {
    expect(clouds[cloud][cell](of)).toBe(value);
  });

  it('have no cell without a row above', () => {
    const rows = new Set([...constants, ...made].map(([cloud, cell]) => `${cloud} ${cell}`));
    const cells = Object.entries(clouds).flatMap(([cloud, table]) =>
      Object.keys(table).map((cell) => `${cloud} ${cell}`),
    );
    expect([...rows].sort()).toEqual(cells.sort());
  });

  it.each(Object.entries(clouds))('%s: no token for one audience passes for another', (_cloud, table) => {
    expect(table.armScope).not.toBe(table.amlScope);
    // Tools that make the scope of Resource Manager's address ask for this one and no other.
    expect(`${table.armEndpoint}/.default`).toBe(table.armScope);
    const shared = table.armAudiences.filter((audience) => table.amlAudiences.includes(audience));
    expect(shared).toEqual([]);
  });
});
