import type { HttpResponseInit } from '@azure/functions';
import { type BrokerError, type ErrorCode, problems } from '../errors.ts';
import { commonHeaders } from './problem.ts';

/**
 * The errors of the token endpoint: RFC 6749, section 5.2; `invalid_target` of RFC 8707; `interaction_required`, by which
 * Entra’s clients learn that the user must sign in again. Where the broker itself cannot answer, the HTTP status says
 * so (5xx, 429) and the body repeats it in the words of RFC 6749, section 4.1.2.1, as Entra does: clients that look for
 * an `error` member find one, clients that look at the status and Retry-After need none.
 */
export type OAuthCode =
  | 'invalid_request'
  | 'invalid_client'
  | 'unauthorized_client'
  | 'unsupported_grant_type'
  | 'invalid_scope'
  | 'invalid_target'
  | 'interaction_required'
  | 'temporarily_unavailable'
  | 'server_error';

/** How the caller showed who it is. */
export type Credential = 'subject_token' | 'client_assertion';

export interface OAuthErrorOptions {
  /** What happened and what to do, for the caller; fixed text of ours, never anything that was sent. */
  description: string;
  /** For the log only: why, in one word. */
  reason?: string | undefined;
  status?: number;
  /** The scheme of the WWW-Authenticate header: given where the client used an Authorization header. */
  challenge?: 'Basic' | 'Bearer';
  retryAfterSeconds?: number | undefined;
  /** Further members of the body. */
  members?: Readonly<Record<string, string | number>>;
}

/** A refusal by the token endpoint, safe to show outside except for `reason`. */
export class OAuthError extends Error {
  readonly code: OAuthCode;
  readonly status: number;
  readonly options: OAuthErrorOptions;

  constructor(code: OAuthCode, options: OAuthErrorOptions) {
    super(`${code}: ${options.reason ?? options.description}`);
    this.name = 'OAuthError';
    this.code = code;
    this.options = options;
    this.status = options.status ?? (code === 'invalid_client' ? 401 : 400);
  }
}

/**
 * What each failure of the broker is called here. RFC 8693, section 2.2.2: a subject token that is not accepted, or not
 * by policy, is `invalid_request`; a target for which no token will be issued is `invalid_target`. RFC 7521, section
 * 4.2.1: an assertion that is not accepted is `invalid_client`.
 */
const meanings = {
  invalid_request: 'invalid_request',
  invalid_token: { subject_token: 'invalid_request', client_assertion: 'invalid_client' },
  step_up_required: 'interaction_required',
  not_granted: 'invalid_target',
  lifetime_exceeds_grant: 'invalid_target',
  caller_denied: { subject_token: 'invalid_request', client_assertion: 'unauthorized_client' },
  operator_required: { subject_token: 'invalid_request', client_assertion: 'unauthorized_client' },
  not_found: 'invalid_target',
  wrong_auth_mode: 'invalid_target',
  insufficient_lifetime: 'invalid_target',
  too_large: 'invalid_request',
  unsupported_media_type: 'invalid_request',
  rate_limited: 'temporarily_unavailable',
  unexpected_upstream_answer: 'server_error',
  upstream_unavailable: 'temporarily_unavailable',
  upstream_throttled: 'temporarily_unavailable',
  identity_not_ready: 'temporarily_unavailable',
  audit_unavailable: 'temporarily_unavailable',
  policy_unavailable: 'temporarily_unavailable',
  config_invalid: 'temporarily_unavailable',
  internal_error: 'server_error',
} as const satisfies Record<ErrorCode, OAuthCode | Record<Credential, OAuthCode>>;

/** Refusals that HTTP has a clearer status for than 400. */
const keptStatus: readonly ErrorCode[] = ['too_large', 'rate_limited'];

/** What to do, where the problem’s own text speaks of paths and headers that are not used here. */
const helps: Partial<Record<ErrorCode, string>> = {
  invalid_token:
    'The caller’s token is malformed, expired or not for this broker. Send a current access token for this broker, unchanged.',
  too_large: 'The request is too large. Send a form of at most 64 KiB.',
};

/** The broker’s failure as the token endpoint tells it. */
export function toOAuthError(error: BrokerError, credential: Credential = 'subject_token'): OAuthError {
  const meaning: OAuthCode | Record<Credential, OAuthCode> = meanings[error.code];
  const { status } = problems[error.code];
  const code = typeof meaning === 'string' ? meaning : meaning[credential];
  return new OAuthError(code, {
    description: `${problems[error.code].title}. ${helps[error.code] ?? error.detail}`,
    reason: error.reason,
    ...(status >= 500 || keptStatus.includes(error.code) ? { status } : {}),
    retryAfterSeconds: error.retryAfterSeconds,
    members: {
      ...error.members,
      // What Entra wants of the next sign-in, as its clients expect it.
      ...(error.claims === undefined ? {} : { claims: error.claims }),
      // The broker’s own code, which tells more causes apart than OAuth has words for.
      code: error.code,
    },
  });
}

/** RFC 6749, section 5.2: no quotation mark, no backslash, printable ASCII. */
const toDescription = (text: string): string =>
  text
    .replace(/[‘’]/g, "'")
    .replace(/["“”\\]/g, "'")
    .replace(/[^ -~]/g, ' ');

/**
 * A refusal as the caller sees it. A 401 has a challenge only where the client used an Authorization header (RFC 6749,
 * section 5.2); elsewhere it would hide the body from clients that stop at a challenge.
 */
export function toOAuthAnswer({ code, status, options }: OAuthError, correlationId: string): HttpResponseInit {
  const { challenge, retryAfterSeconds } = options;
  return {
    status,
    headers: {
      ...commonHeaders,
      Pragma: 'no-cache',
      'Content-Type': 'application/json',
      ...(challenge === undefined ? {} : { 'WWW-Authenticate': `${challenge} realm="aml-token-broker"` }),
      ...(retryAfterSeconds === undefined ? {} : { 'Retry-After': String(Math.ceil(retryAfterSeconds)) }),
    },
    body: JSON.stringify({
      error: code,
      error_description: toDescription(options.description),
      correlation_id: correlationId,
      ...options.members,
    }),
  };
}
