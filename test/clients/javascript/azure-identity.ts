import { AuthenticationRequiredError, ClientAssertionCredential, WorkloadIdentityCredential } from '@azure/identity';
import * as z from 'zod';
import { AML, ARM, callerToken, expectEqual, expectToken, rejectionOf, run, setting, strangerToken } from './checks.ts';

/** `@azure/identity`; WorkloadIdentityCredential is configured by AZURE_* alone. */

const options = { authorityHost: setting('BROKER_URL'), disableInstanceDiscovery: true };
const refusal = z.object({ cause: z.object({ errorCode: z.string() }) });

function byAssertion(clientId: string, token = callerToken): ClientAssertionCredential {
  return new ClientAssertionCredential(setting('TENANT_ID'), clientId, async () => token(), options);
}

/** The broker's error code, as the package shows it. */
async function codeOf(asked: Promise<unknown>): Promise<string> {
  const error = await rejectionOf(asked);
  if (error instanceof AuthenticationRequiredError) return refusal.parse(error).cause.errorCode;
  throw error;
}

await run('@azure/identity', {
  'ClientAssertionCredential gets tokens for Azure ML and ARM': async () => {
    const credential = byAssertion(setting('CLIENT_ID'));
    expectToken((await credential.getToken(AML)).token, 'https://ml.azure.com');
    expectToken((await credential.getToken(ARM)).token, 'https://management.azure.com');
  },
  'ClientAssertionCredential shows invalid_target and invalid_client': async () => {
    expectEqual(await codeOf(byAssertion(setting('UNKNOWN_CLIENT_ID')).getToken(AML)), 'invalid_target');
    expectEqual(await codeOf(byAssertion(setting('CLIENT_ID'), strangerToken).getToken(AML)), 'invalid_target');
    expectEqual(await codeOf(byAssertion(setting('CLIENT_ID'), () => 'no token').getToken(AML)), 'invalid_client');
  },
  'WorkloadIdentityCredential gets a token by environment variables': async () => {
    const credential = new WorkloadIdentityCredential({ disableInstanceDiscovery: true });
    expectToken((await credential.getToken(AML))?.token, 'https://ml.azure.com');
  },
  'WorkloadIdentityCredential shows invalid_target': async () => {
    const clientId = setting('UNKNOWN_CLIENT_ID');
    const credential = new WorkloadIdentityCredential({ clientId, disableInstanceDiscovery: true });
    expectEqual(await codeOf(credential.getToken(AML)), 'invalid_target');
  },
});
