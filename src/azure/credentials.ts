import type { TokenCredential } from '@azure/core-auth';
import { ClientAssertionCredential, ClientSecretCredential, ManagedIdentityCredential } from '@azure/identity';
import type { Identity } from '../config/policy-schema.ts';
import { UpstreamError } from '../errors.ts';
import type { GetAppToken, ObtainedToken, ObtainToken } from '../issuing/app-tokens.ts';
import {
  askCredential,
  createSignInOnce,
  type EntraOptions,
  factsOf,
  type GetClientAssertion,
} from './entra-sign-in.ts';
import type { ReadSecret, Secret } from './key-vault.ts';
import { withTimeout } from './transport.ts';

export interface CredentialsOptions extends EntraOptions {
  /** The policy's identities, by name. */
  identities: Readonly<Record<string, Identity>>;
  readSecret: ReadSecret;
  getClientAssertion: GetClientAssertion;
}

type ServicePrincipal = NonNullable<Identity['servicePrincipal']>;
type Federated = NonNullable<Identity['federated']>;

/** The broker's own identity or a named one; no id means system-assigned. */
export function managedIdentityCredential(clientId: string | undefined): TokenCredential {
  const options = { retryOptions: { maxRetries: 0 } };
  const credential =
    clientId === undefined
      ? new ManagedIdentityCredential(options)
      : new ManagedIdentityCredential({ clientId, ...options });
  return {
    getToken: (scopes, getOptions) => withTimeout('managed identity', credential.getToken(scopes, getOptions)),
  };
}

/**
 * AADSTS7000215 (wrong secret) and 7000222 (expired secret): what Entra says when the secret in hand was rotated away
 * (Microsoft reference: AADSTS error codes). Only then is the secret read again.
 */
const secretRefused = (error: unknown): boolean =>
  error instanceof UpstreamError &&
  error.kind === 'credential_refused' &&
  (error.upstreamCode === 'AADSTS7000215' || error.upstreamCode === 'AADSTS7000222');

/**
 * Obtains tokens for the policy's identities. A service principal, with its secret or by federation, signs in anew on
 * each call. For managed identities both the SDK and the platform cache, and nothing can be done about that.
 */
export function createObtainToken(options: CredentialsOptions): ObtainToken {
  const { identities, readSecret, getClientAssertion } = options;
  const signInOnce = createSignInOnce(options);
  const secrets = new Map<string, Secret>();
  const managed = new Map<string, TokenCredential>();

  const readAnew = async (name: string): Promise<Secret> => {
    try {
      const secret = await readSecret(name);
      secrets.set(name, secret);
      return secret;
    } catch (error) {
      // For the identity it is the same whether its secret is wrong or absent: it cannot sign in.
      throw error instanceof UpstreamError && error.kind === 'not_found'
        ? new UpstreamError({ ...factsOf(error), kind: 'credential_refused' })
        : error;
    }
  };

  const signIn = ({ tenantId, clientId }: ServicePrincipal, { value }: Secret, scope: string) =>
    signInOnce((signInOptions) => new ClientSecretCredential(tenantId, clientId, value, signInOptions), scope);

  const askServicePrincipal = async (principal: ServicePrincipal, scope: string): Promise<ObtainedToken> => {
    const held = secrets.get(principal.secret) ?? (await readAnew(principal.secret));
    try {
      return await signIn(principal, held, scope);
    } catch (error) {
      if (!secretRefused(error)) throw error;
      const current = await readAnew(principal.secret);
      if (current.version === held.version) throw error;
      return signIn(principal, current, scope);
    }
  };

  const askFederated = async ({ tenantId, clientId, managedIdentity }: Federated, scope: string) => {
    const assertion = await getClientAssertion(managedIdentity.clientId);
    return signInOnce(
      // The SDK asks for the assertion twice in each sign-in.
      (signInOptions) => new ClientAssertionCredential(tenantId, clientId, async () => assertion, signInOptions),
      scope,
    );
  };

  const askManagedIdentity = (name: string, clientId: string | undefined, scope: string) => {
    const credential = managed.get(name) ?? managedIdentityCredential(clientId);
    managed.set(name, credential);
    return askCredential('managed identity', credential, scope);
  };

  return (name, scope) => {
    const identity = Object.hasOwn(identities, name) ? identities[name] : undefined;
    if (identity?.servicePrincipal !== undefined) return askServicePrincipal(identity.servicePrincipal, scope);
    if (identity?.federated !== undefined) return askFederated(identity.federated, scope);
    if (identity?.onBehalfOf !== undefined) {
      return Promise.reject(new Error('the identity has no tokens of its own: it acts for users'));
    }
    if (identity?.managedIdentity !== undefined)
      return askManagedIdentity(name, identity.managedIdentity.clientId, scope);
    return Promise.reject(new Error('the identity is not in the policy'));
  };
}

/** Lets an SDK client sign in with the broker's cached tokens of one identity. */
export function asTokenCredential(getAppToken: GetAppToken, identity: string): TokenCredential {
  return {
    getToken: async (scopes) => {
      const scope = typeof scopes === 'string' ? scopes : scopes[0];
      if (scope === undefined) return null;
      const { accessToken, expiresOn } = await getAppToken(identity, scope);
      return { token: accessToken, expiresOnTimestamp: expiresOn.getTime() };
    },
  };
}
