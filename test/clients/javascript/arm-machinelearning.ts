import { AzureMachineLearningWorkspaces } from '@azure/arm-machinelearning';
import { ClientAssertionCredential } from '@azure/identity';
import * as z from 'zod';
import { ARM, callerToken, expectEqual, rejectionOf, run, setting } from './checks.ts';

/** `@azure/arm-machinelearning` works in a workspace with the tokens that the broker issues. */

const group = setting('RESOURCE_GROUP');

function clientOf(clientId: string): AzureMachineLearningWorkspaces {
  const options = { authorityHost: setting('BROKER_URL'), disableInstanceDiscovery: true };
  const credential = new ClientAssertionCredential(setting('TENANT_ID'), clientId, async () => callerToken(), options);
  return new AzureMachineLearningWorkspaces(credential, setting('SUBSCRIPTION_ID'), {
    endpoint: setting('ARM_URL'),
    credentialScopes: ARM,
    retryOptions: { maxRetries: 0 },
  });
}

const client = clientOf(setting('CLIENT_ID'));

await run('@azure/arm-machinelearning', {
  'reads the workspace': async () => {
    const { name, location } = await client.workspaces.get(group, 'ml-prod');
    expectEqual([name, location], ['ml-prod', 'westeurope']);
  },
  'lists online endpoints': async () => {
    const names: string[] = [];
    for await (const { name = '' } of client.onlineEndpoints.list(group, 'ml-prod')) names.push(name);
    expectEqual([names.includes('fraud-aml'), names.includes('fraud-scorer')], [true, true]);
  },
  'gets keys, and the token of an endpoint in token mode': async () => {
    const { primaryKey, secondaryKey } = await client.onlineEndpoints.listKeys(group, 'ml-prod', 'fraud-scorer');
    expectEqual([typeof primaryKey, typeof secondaryKey, primaryKey === secondaryKey], ['string', 'string', false]);
    const { accessToken } = await client.onlineEndpoints.getToken(group, 'ml-prod', 'fraud-aml');
    expectEqual(typeof accessToken, 'string');
  },
  'shows invalid_target for an unknown client id': async () => {
    const error = await rejectionOf(clientOf(setting('UNKNOWN_CLIENT_ID')).workspaces.get(group, 'ml-prod'));
    expectEqual(String(error).includes('invalid_target'), true);
  },
  'is refused by Azure in a workspace that the token does not open': async () => {
    const error = await rejectionOf(client.workspaces.get(group, 'ml-dev'));
    const { statusCode, code } = z.object({ statusCode: z.int(), code: z.string() }).parse(error);
    expectEqual([statusCode, code], [403, 'AuthorizationFailed']);
  },
});
