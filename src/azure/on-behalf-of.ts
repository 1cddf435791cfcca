import { OnBehalfOfCredential } from '@azure/identity';
import * as z from 'zod';
import type { Identity } from '../config/policy-schema.ts';
import { UpstreamError } from '../errors.ts';
import type { ObtainForUser } from '../issuing/user-tokens.ts';
import { createSignInOnce, type EntraOptions, factsOf, type GetClientAssertion } from './entra-sign-in.ts';
import { chainOf } from './transport.ts';

export interface OnBehalfOfOptions extends EntraOptions {
  /** The policy's identities, by name. */
  identities: Readonly<Record<string, Identity>>;
  getClientAssertion: GetClientAssertion;
}

/** What MSAL tells of a refusal: OAuth's word, Entra's finer one, and the claims that the next sign-in must have. */
const refusal = z.looseObject({
  errorCode: z.string(),
  subError: z.string().optional().catch(undefined),
  claims: z
    .string()
    .min(1)
    .max(4096)
    .refine((text) => isJsonObject(text))
    .optional()
    .catch(undefined),
});

function isJsonObject(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value);
  } catch {
    return false;
  }
}

/**
 * Tells apart whose matter a refusal is, by OAuth's words as Microsoft advises, not by numbers:
 * - claims in it, or `interaction_required`: the user's, who must sign in again (Conditional Access, for example);
 * - `invalid_grant` otherwise: the user's token is expired, revoked or not for us (RFC 6749, section 5.2);
 * - anything else, and missing consent, which an administrator gives: ours.
 */
function judge(error: UpstreamError): UpstreamError {
  if (error.kind !== 'credential_refused') return error;
  const facts = [...chainOf(error)].map((cause) => refusal.safeParse(cause).data).find((fact) => fact !== undefined);
  if (facts === undefined) return error;
  const { errorCode, subError, claims } = facts;
  if (claims !== undefined || errorCode === 'interaction_required') {
    return new UpstreamError({ ...factsOf(error), kind: 'step_up_required', claims });
  }
  if (errorCode === 'invalid_grant' && subError !== 'consent_required') {
    return new UpstreamError({ ...factsOf(error), kind: 'user_refused' });
  }
  return error;
}

/**
 * Obtains tokens in users' names (OAuth 2.0 on-behalf-of): the user's token as assertion, the application proved by a
 * managed identity. One credential object for each call, so that the SDK keeps nothing of one user for another.
 */
export function createObtainForUser(options: OnBehalfOfOptions): ObtainForUser {
  const { identities, getClientAssertion } = options;
  const signInOnce = createSignInOnce(options);
  return async (name, scope, assertion) => {
    const application = Object.hasOwn(identities, name) ? identities[name]?.onBehalfOf : undefined;
    if (application === undefined) throw new Error('the identity does not act for users');
    const { tenantId, clientId, managedIdentity } = application;
    const clientAssertion = await getClientAssertion(managedIdentity.clientId);
    try {
      return await signInOnce(
        (signInOptions) =>
          new OnBehalfOfCredential({
            ...{ tenantId, clientId, ...signInOptions },
            getAssertion: async () => clientAssertion,
            userAssertionToken: assertion.reveal(),
          }),
        scope,
      );
    } catch (error) {
      throw error instanceof UpstreamError ? judge(error) : error;
    }
  };
}
