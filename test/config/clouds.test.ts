import { describe, expect, it } from 'vitest';
import { clouds } from '../../src/config/clouds.ts';

/**
 * Sources, cell by cell:
 * - NC: Microsoft Learn, "National clouds" (Microsoft Entra authentication endpoints);
 * - AT: Microsoft Learn, "Access token claims reference" (`iss` of v1 and v2 tokens);
 * - GOV: Microsoft Learn, "Compare Azure Government and global Azure" (endpoint mapping);
 * - CN: Microsoft Learn, "Azure China developer guide" (check endpoints);
 * - ML: environment table of the Azure ML Python SDK v2 (`_azure_environments.py`, `aml_resource_id`);
 * - GR: Microsoft Learn, "Microsoft Graph national cloud deployments" (service root endpoints).
 */

const tenant = '11111111-1111-4111-8111-111111111111';

describe('the clouds', () => {
  it('are these three', () => {
    expect(Object.keys(clouds)).toEqual(['public', 'china', 'usgovernment']);
  });

  it.each([
    ['public', 'authorityHost', 'https://login.microsoftonline.com', 'NC'],
    ['china', 'authorityHost', 'https://login.partner.microsoftonline.cn', 'NC'],
    ['usgovernment', 'authorityHost', 'https://login.microsoftonline.us', 'NC'],
    ['public', 'armEndpoint', 'https://management.azure.com', 'GOV'],
    ['china', 'armEndpoint', 'https://management.chinacloudapi.cn', 'CN'],
    ['usgovernment', 'armEndpoint', 'https://management.usgovcloudapi.net', 'GOV'],
    ['public', 'armScope', 'https://management.azure.com/.default', 'GOV'],
    ['china', 'armScope', 'https://management.chinacloudapi.cn/.default', 'CN'],
    ['usgovernment', 'armScope', 'https://management.usgovcloudapi.net/.default', 'GOV'],
    ['public', 'amlScope', 'https://ml.azure.com/.default', 'ML'],
    ['china', 'amlScope', 'https://ml.azure.cn/.default', 'ML'],
    ['usgovernment', 'amlScope', 'https://ml.azure.us/.default', 'ML'],
    ['public', 'graphEndpoint', 'https://graph.microsoft.com', 'GR'],
    ['china', 'graphEndpoint', 'https://microsoftgraph.chinacloudapi.cn', 'GR'],
    ['usgovernment', 'graphEndpoint', 'https://graph.microsoft.us', 'GR'],
    ['public', 'graphScope', 'https://graph.microsoft.com/.default', 'GR'],
    ['china', 'graphScope', 'https://microsoftgraph.chinacloudapi.cn/.default', 'GR'],
    ['usgovernment', 'graphScope', 'https://graph.microsoft.us/.default', 'GR'],
  ] as const)('%s has as %s %s (source %s)', (cloud, cell, value, _source) => {
    expect(clouds[cloud][cell]).toBe(value);
  });

  it.each([
    ['public', 'issuerV1', `https://sts.windows.net/${tenant}/`, 'AT'],
    ['china', 'issuerV1', `https://sts.chinacloudapi.cn/${tenant}/`, 'CN'],
    ['usgovernment', 'issuerV1', `https://sts.windows.net/${tenant}/`, 'GOV'],
    ['public', 'issuerV2', `https://login.microsoftonline.com/${tenant}/v2.0`, 'AT'],
    ['china', 'issuerV2', `https://login.partner.microsoftonline.cn/${tenant}/v2.0`, 'NC'],
    ['usgovernment', 'issuerV2', `https://login.microsoftonline.us/${tenant}/v2.0`, 'NC'],
  ] as const)('%s has as %s %s (source %s)', (cloud, cell, value, _source) => {
    expect(clouds[cloud][cell](tenant)).toBe(value);
  });
});
