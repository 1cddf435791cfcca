import type { TokenCredential } from '@azure/core-auth';
import type { PipelinePolicy } from '@azure/core-rest-pipeline';
import { ClientSecretCredential, ManagedIdentityCredential } from '@azure/identity';
import type { Identity } from '../config/policy-schema.ts';
import { UpstreamError } from '../errors.ts';
import type { GetAppToken, ObtainedToken, ObtainToken } from '../issuing/app-tokens.ts';
import type { ReadSecret, Secret } from './key-vault.ts';
import { callAzure, clientOptions, readRetryAfter, withTimeout } from './transport.ts';

export interface CredentialsOptions {
  /** The policy's identities, by name. */
  identities: Readonly<Record<string, Identity>>;
  authorityHost: string;
  /** Off only where the authority is not one of Azure's. */
  instanceDiscovery: boolean;
  readSecret: ReadSecret;
}

type ServicePrincipal = NonNullable<Identity['servicePrincipal']>;

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

/** MSAL drops the Retry-After of a refusal; this policy keeps the last one of a sign-in. */
function createRetryAfterKeeper(): { policy: PipelinePolicy; seconds(): number | undefined } {
  let seconds: number | undefined;
  return {
    policy: {
      name: 'brokerRetryAfterPolicy',
      sendRequest: async (request, next) => {
        const response = await next(request);
        seconds = readRetryAfter(response.headers.get('retry-after'));
        return response;
      },
    },
    seconds: () => seconds,
  };
}

async function ask(service: string, credential: TokenCredential, scope: string): Promise<ObtainedToken> {
  const answer = await callAzure(service, () => credential.getToken(scope));
  if (answer === null) throw new UpstreamError({ service, kind: 'unexpected' });
  return {
    accessToken: answer.token,
    expiresOn: new Date(answer.expiresOnTimestamp),
    refreshBy: answer.refreshAfterTimestamp === undefined ? undefined : new Date(answer.refreshAfterTimestamp),
  };
}

/** An error's facts, to say the same with one changed. */
const factsOf = ({ kind, service, status, upstreamCode, retryAfterSeconds, cause }: UpstreamError) => ({
  kind,
  service,
  status,
  upstreamCode,
  retryAfterSeconds,
  cause,
});

/**
 * AADSTS7000215 (wrong secret) and 7000222 (expired secret): what Entra says when the secret in hand was rotated away
 * (Microsoft reference: AADSTS error codes). Only then is the secret read again.
 */
const secretRefused = (error: unknown): boolean =>
  error instanceof UpstreamError &&
  error.kind === 'credential_refused' &&
  (error.upstreamCode === 'AADSTS7000215' || error.upstreamCode === 'AADSTS7000222');

/**
 * Obtains tokens for the policy's identities. A service principal signs in anew on each call: the SDK's own cache would
 * answer with the old token until five minutes before its end, which leaves nothing to renew ahead of time with. For
 * managed identities both the SDK and the platform cache, and nothing can be done about that.
 */
export function createObtainToken(options: CredentialsOptions): ObtainToken {
  const { identities, authorityHost, instanceDiscovery, readSecret } = options;
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

  const signIn = async ({ tenantId, clientId }: ServicePrincipal, secret: Secret, scope: string) => {
    const retryAfter = createRetryAfterKeeper();
    const credential = new ClientSecretCredential(tenantId, clientId, secret.value, {
      ...clientOptions(retryAfter.policy),
      authorityHost,
      disableInstanceDiscovery: !instanceDiscovery,
    });
    try {
      return await ask('entra', credential, scope);
    } catch (error) {
      throw error instanceof UpstreamError && retryAfter.seconds() !== undefined
        ? new UpstreamError({ ...factsOf(error), retryAfterSeconds: retryAfter.seconds() })
        : error;
    }
  };

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

  const askManagedIdentity = (name: string, clientId: string | undefined, scope: string) => {
    const credential = managed.get(name) ?? managedIdentityCredential(clientId);
    managed.set(name, credential);
    return ask('managed identity', credential, scope);
  };

  return (name, scope) => {
    const identity = Object.hasOwn(identities, name) ? identities[name] : undefined;
    if (identity?.servicePrincipal !== undefined) return askServicePrincipal(identity.servicePrincipal, scope);
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
