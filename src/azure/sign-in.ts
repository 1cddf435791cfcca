import type { PipelinePolicy } from '@azure/core-rest-pipeline';
import { ClientSecretCredential } from '@azure/identity';
import * as z from 'zod';
import { UpstreamError } from '../errors.ts';
import type { SignIn } from '../rotation/ports.ts';
import { callAzure, clientOptions, readRetryAfter } from './transport.ts';

export interface SignInOptions {
  authorityHost: string;
  /** Off only where the authority is not one of Azure's. */
  instanceDiscovery: boolean;
  /** What the token is asked for; it goes nowhere. Every service principal may ask for Graph's `/.default`. */
  scope: string;
}

const service = 'entra';

/** What Entra says of the secret itself, by number (Microsoft reference: AADSTS error codes). */
const refusals: Readonly<Record<string, 'unknown' | 'expired'>> = {
  AADSTS7000215: 'unknown',
  AADSTS7000222: 'expired',
};

/**
 * Every request on a connection of its own: a connection stays with one replica of Entra. `disableKeepAlive` by itself
 * would share Node's global agent, which keeps connections since Node 19; TLS settings that no other request has give the
 * request an agent of its own.
 */
const newConnectionPolicy: PipelinePolicy = {
  name: 'brokerNewConnectionPolicy',
  sendRequest: (request, next) => {
    request.disableKeepAlive = true;
    request.tlsSettings = {};
    return next(request);
  },
};

const refusalAnswer = z.looseObject({ error_codes: z.tuple([z.int().positive()], z.unknown()) });
/** Entra's "later" (Microsoft reference: AADSTS error codes). */
const transient = [90033, 90055];

/** What the SDK does not pass on of the last answer: its Retry-After, and what its metadata was refused with. */
function createAnswerKeeper() {
  const kept: { retryAfterSeconds?: number | undefined; status?: number; refusedWith?: number | undefined } = {};
  const policy: PipelinePolicy = {
    name: 'brokerAnswerPolicy',
    sendRequest: async (request, next) => {
      const response = await next(request);
      kept.retryAfterSeconds = readRetryAfter(response.headers.get('retry-after'));
      kept.status = response.status;
      kept.refusedWith = response.status === 200 ? undefined : readCode(response.bodyAsText);
      return response;
    },
  };
  return { policy, kept };
}

function readCode(body: string | null | undefined): number | undefined {
  try {
    return refusalAnswer.safeParse(JSON.parse(body ?? '')).data?.error_codes[0];
  } catch {
    return undefined;
  }
}

/** The failure with what was kept of the answer: an unknown tenant is a refusal, though the SDK says "no metadata". */
function complete(error: UpstreamError, { kept }: ReturnType<typeof createAnswerKeeper>): UpstreamError {
  const { service, kind, status, upstreamCode, cause } = error;
  const { retryAfterSeconds, refusedWith } = kept;
  const told = { service, kind, status, upstreamCode, retryAfterSeconds, cause };
  if (upstreamCode !== undefined || refusedWith === undefined) return new UpstreamError(told);
  const refused =
    (kept.status === 400 || kept.status === 401 || kept.status === 403) && !transient.includes(refusedWith);
  return new UpstreamError({
    ...told,
    kind: refused ? 'credential_refused' : kind,
    status: kept.status,
    upstreamCode: `AADSTS${refusedWith}`,
  });
}

/** One sign-in with a password, for its proof (OAuth 2.0 client credentials, through the official SDK). */
export function createSignIn({ authorityHost, instanceDiscovery, scope }: SignInOptions): SignIn {
  return async ({ tenantId, clientId }, secretText) => {
    // The SDK refuses an empty one by itself; Entra knows it as little.
    if (secretText === '') return 'unknown';
    const keeper = createAnswerKeeper();
    // A new object each time: its cache would answer with the token of the last sign-in.
    const credential = new ClientSecretCredential(tenantId, clientId, secretText, {
      ...clientOptions(newConnectionPolicy, keeper.policy),
      authorityHost,
      disableInstanceDiscovery: !instanceDiscovery,
    });
    try {
      const token = await callAzure(service, () => credential.getToken(scope));
      if (token === null) throw new UpstreamError({ service, kind: 'unexpected' });
      return 'signed_in';
    } catch (error) {
      if (!(error instanceof UpstreamError)) throw error;
      const refusal = error.kind === 'credential_refused' ? refusals[error.upstreamCode ?? ''] : undefined;
      if (refusal !== undefined) return refusal;
      throw complete(error, keeper);
    }
  };
}
