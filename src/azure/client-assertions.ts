import type { TokenCredential } from '@azure/core-auth';
import { managedIdentityCredential } from './credentials.ts';
import { askCredential, type GetClientAssertion } from './entra-sign-in.ts';

/**
 * Client assertions by workload identity federation: a managed identity's token for the cloud's exchange audience, in
 * place of a secret. The SDK keeps it until shortly before its end (it lives a day), so this is cheap to ask.
 */
export function createClientAssertions(exchangeAudience: string): GetClientAssertion {
  const credentials = new Map<string | undefined, TokenCredential>();
  return async (clientId) => {
    const credential = credentials.get(clientId) ?? managedIdentityCredential(clientId);
    credentials.set(clientId, credential);
    const { accessToken } = await askCredential('managed identity', credential, `${exchangeAudience}/.default`);
    return accessToken;
  };
}
