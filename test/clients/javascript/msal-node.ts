import { ConfidentialClientApplication, ServerError } from '@azure/msal-node';
import { ARM, callerToken, expectEqual, expectToken, rejectionOf, run, setting, strangerToken } from './checks.ts';

/** `@azure/msal-node`: client credentials with an assertion. */

const broker = setting('BROKER_URL');

async function ask(clientId: string, token = callerToken()) {
  const application = new ConfidentialClientApplication({
    auth: {
      clientId,
      authority: `${broker}/${setting('TENANT_ID')}`,
      // The broker is the authority; nobody else is asked who it is.
      knownAuthorities: [new URL(broker).host],
      clientAssertion: async () => token,
    },
  });
  return application.acquireTokenByClientCredential({ scopes: [ARM] });
}

async function codeOf(asked: Promise<unknown>): Promise<string> {
  const error = await rejectionOf(asked);
  if (error instanceof ServerError) return error.errorCode;
  throw error;
}

await run('@azure/msal-node', {
  'gets a token for ARM': async () => {
    const answer = await ask(setting('CLIENT_ID'));
    expectToken(answer?.accessToken, 'https://management.azure.com');
    expectEqual(
      answer?.refreshOn !== undefined && answer.expiresOn !== null && answer.refreshOn < answer.expiresOn,
      true,
    );
  },
  'shows invalid_target and invalid_client': async () => {
    expectEqual(await codeOf(ask(setting('UNKNOWN_CLIENT_ID'))), 'invalid_target');
    expectEqual(await codeOf(ask(setting('CLIENT_ID'), strangerToken())), 'invalid_target');
    expectEqual(await codeOf(ask(setting('CLIENT_ID'), 'no token')), 'invalid_client');
  },
});
