import { identityNames, type Policy, userIdentities } from '../config/policy.ts';
import type { Identity } from '../config/policy-schema.ts';
import { watch } from '../health.ts';
import { createAppTokens } from '../issuing/app-tokens.ts';
import { createSecondLook } from '../issuing/second-look.ts';
import { createUserTokens } from '../issuing/user-tokens.ts';
import type { Context } from './context.ts';

/** What the broker itself signs in with: for tables, the policy's blob, Graph and Key Vault. */
export function buildOwn({ azure, settings, report }: Context) {
  const credential = azure.managedIdentityCredential(settings.brokerIdentityClientId);
  const { keyVaultUrl: url, challengeVerification } = settings;
  const vault = { url, credential, challengeVerification };
  const read = azure.createReadSecret(vault);
  const readSecret: typeof read = (...asked) => watch(report, 'keyVault')(() => read(...asked));
  return { credential, vault, readSecret };
}
export type Own = ReturnType<typeof buildOwn>;

/** The policy's identities: a cache of tokens for each of their uses. */
export function buildIdentities({ azure, settings, clock, log, report }: Context, { readSecret }: Own, policy: Policy) {
  const { identities } = policy;
  const { cloud, instanceDiscovery } = settings;
  const getClientAssertion = azure.createClientAssertions(cloud.exchangeAudience);
  const entra = { identities, authorityHost: cloud.authorityHost, instanceDiscovery, getClientAssertion };
  const lookAgain = createSecondLook({
    identities,
    audiences: { [cloud.amlScope]: cloud.amlAudiences, [cloud.armScope]: cloud.armAudiences },
  });
  const watched = <T>(identity: string, ask: () => Promise<T>) => watch(report, 'identities', identity)(ask);

  const ask = azure.createObtainToken({ ...entra, readSecret });
  const obtain: typeof ask = async (identity, scope) => {
    const token = await watched(identity, () => ask(identity, scope));
    lookAgain(identity, scope, token.accessToken);
    return token;
  };
  const tokensFor = (use: Identity['use']) =>
    createAppTokens({ identities: identityNames(policy, use), obtain, clock, log });

  const forUsers = userIdentities(policy);
  const askForUser = azure.createObtainForUser(entra);
  const userToken = createUserTokens({
    identities: [...forUsers.keys()],
    obtain: (identity, ...asked) => watched(identity, () => askForUser(identity, ...asked)),
    lookAgain,
    clock,
  });
  const actsForUsers = (identity: string) => forUsers.has(identity);
  /** Without a user there is only the application's own proof to try. */
  const proveUserIdentities = () =>
    Promise.all(
      [...forUsers].map(([name, { managedIdentity }]) =>
        watched(name, () => getClientAssertion(managedIdentity.clientId)),
      ),
    );
  return {
    fetchToken: tokensFor('fetch'),
    issueToken: tokensFor('issue'),
    ...{ userToken, actsForUsers, proveUserIdentities },
  };
}
