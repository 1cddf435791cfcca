import type { HttpHandler, HttpResponseInit } from '@azure/functions';
import { readBearer } from '../callers/bearer.ts';
import type { Caller } from '../callers/caller.ts';
import { toBrokerError } from '../errors.ts';
import { nameError } from '../log.ts';
import { type CallerGate, logOf } from './handler.ts';
import { type Credential, OAuthError, toOAuthAnswer, toOAuthError } from './oauth-error.ts';
import { readForm } from './oauth-form.ts';
import {
  ACCESS_TOKEN_TYPE,
  type OAuthNames,
  type RequestedTarget,
  readTokenRequest,
  refuseAuthorization,
  refuseParametersInUrl,
} from './oauth-request.ts';
import { commonHeaders } from './problem.ts';
import { refuseLargeBody } from './request.ts';

/** What the token endpoint may use of the broker. */
export interface OAuthGate extends CallerGate {
  oauth: OAuthNames;
}

/** A token as the token endpoint hands it out. */
export interface OAuthToken {
  accessToken: string;
  expiresInSeconds: number;
  /** From when on the client should ask again. */
  refreshInSeconds: number;
  /** The token is past its refreshBy, because Azure ML is out of reach (P4). */
  stale: boolean;
}

/** RFC 6749, section 5.1; `issued_token_type` for RFC 8693, `refresh_in` as Entra names it. */
function toTokenAnswer(token: OAuthToken): HttpResponseInit {
  return {
    status: 200,
    headers: { ...commonHeaders, Pragma: 'no-cache', 'Content-Type': 'application/json' },
    body: JSON.stringify({
      token_type: 'Bearer',
      expires_in: token.expiresInSeconds,
      refresh_in: token.refreshInSeconds,
      access_token: token.accessToken,
      issued_token_type: ACCESS_TOKEN_TYPE,
      ...(token.stale ? { stale: true } : {}),
    }),
  };
}

/**
 * The token endpoint, at both of its addresses. Cheap refusals come first, then the form, and only for a form that
 * makes sense is the caller's token verified, by the same check as everywhere. Every failure is an OAuth answer (P7);
 * the log has its reason and the correlation id, and no part of the form (P2).
 */
export function forTokenRequests<T extends OAuthGate>(
  broker: () => Promise<T>,
  act: (call: { broker: T; caller: Caller; target: RequestedTarget; correlationId: string }) => Promise<OAuthToken>,
): HttpHandler {
  return async (request, context) => {
    const correlationId = context.invocationId;
    let credential: Credential | undefined;
    try {
      const ready = await broker();
      refuseLargeBody(request);
      refuseAuthorization(request.headers.get('authorization'));
      refuseParametersInUrl(request.query);
      const asked = readTokenRequest(await readForm(request), request.params.tenant, ready.oauth);
      ({ credential } = asked);
      const caller = await ready.verifyCaller(readBearer(`Bearer ${asked.token}`));
      return toTokenAnswer(await act({ broker: ready, caller, target: asked.target, correlationId }));
    } catch (thrown) {
      const error = thrown instanceof OAuthError ? thrown : toOAuthError(toBrokerError(thrown), credential);
      const log = logOf(context);
      const code = error.options.members?.code ?? error.code;
      const fields = { code, reason: error.options.reason, correlationId };
      if (error.status === 500) log.error('failed', { ...fields, error: nameError(thrown) });
      else if (error.status > 500) log.error('failed', fields);
      else log.warn('refused', fields);
      return toOAuthAnswer(error, correlationId);
    }
  };
}
