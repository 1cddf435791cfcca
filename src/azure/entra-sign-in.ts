import type { TokenCredential } from '@azure/core-auth';
import type { PipelinePolicy } from '@azure/core-rest-pipeline';
import { UpstreamError } from '../errors.ts';
import type { ObtainedToken } from '../issuing/app-tokens.ts';
import { callAzure, clientOptions, readRetryAfter } from './transport.ts';

export interface EntraOptions {
  authorityHost: string;
  /** Off only where the authority is not one of Azure's. */
  instanceDiscovery: boolean;
}

/** A managed identity's token that proves an application to Entra; without client id the system-assigned one's. */
export type GetClientAssertion = (clientId: string | undefined) => Promise<string>;

/** Options for a credential of the SDK, made anew for each sign-in. */
export type SignInOptions = ReturnType<typeof clientOptions> & {
  authorityHost: string;
  disableInstanceDiscovery: boolean;
};

/** One sign-in: makes the credential and asks it once. */
export type SignInOnce = (
  makeCredential: (options: SignInOptions) => TokenCredential,
  scope: string,
) => Promise<ObtainedToken>;

/**
 * What Entra says while a new application or federated credential is not known to all its replicas yet: some minutes in
 * which sign-ins succeed and fail by turns (Microsoft reference: "Important considerations and restrictions for federated
 * identity credentials"). 70021 is the older number, 700211 to 700213 name the part that does not match. A mistake in the
 * credential looks the same.
 */
const propagating = ['AADSTS70021', 'AADSTS700211', 'AADSTS700212', 'AADSTS700213', 'AADSTS700016'];

/** Told to callers then: the broker itself never waits. */
const PROPAGATION_RETRY_SECONDS = 30;

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

/** An error's facts, to say the same with one changed. */
export const factsOf = ({ kind, service, status, upstreamCode, retryAfterSeconds, claims, cause }: UpstreamError) => ({
  kind,
  service,
  status,
  upstreamCode,
  retryAfterSeconds,
  claims,
  cause,
});

/** Asks a credential for one scope; no answer, or one that is no token, is an UpstreamError. */
export async function askCredential(
  service: string,
  credential: TokenCredential,
  scope: string,
): Promise<ObtainedToken> {
  const answer = await callAzure(service, () => credential.getToken(scope));
  if (answer === null) throw new UpstreamError({ service, kind: 'unexpected' });
  return {
    accessToken: answer.token,
    expiresOn: new Date(answer.expiresOnTimestamp),
    refreshBy: answer.refreshAfterTimestamp === undefined ? undefined : new Date(answer.refreshAfterTimestamp),
  };
}

function retryAfterOf({ upstreamCode }: UpstreamError, told: number | undefined): number | undefined {
  return told ?? (propagating.includes(upstreamCode ?? '') ? PROPAGATION_RETRY_SECONDS : undefined);
}

/**
 * Signs in at Entra with a new credential object each time: the SDK's own cache would answer with the old token until
 * five minutes before its end, which leaves nothing to renew ahead of time with; and of users it must remember nothing.
 */
export function createSignInOnce({ authorityHost, instanceDiscovery }: EntraOptions): SignInOnce {
  return async (makeCredential, scope) => {
    const keeper = createRetryAfterKeeper();
    const credential = makeCredential({
      ...clientOptions(keeper.policy),
      authorityHost,
      disableInstanceDiscovery: !instanceDiscovery,
    });
    try {
      return await askCredential('entra', credential, scope);
    } catch (error) {
      if (!(error instanceof UpstreamError)) throw error;
      throw new UpstreamError({ ...factsOf(error), retryAfterSeconds: retryAfterOf(error, keeper.seconds()) });
    }
  };
}
