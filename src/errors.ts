/**
 * Every failure that the broker can answer with: one closed set of codes, each with its status and its sentence.
 * A code is added here, in the README's table and nowhere else.
 */

interface Problem {
  status: number;
  title: string;
  /** What the reader should do; used where the thrower has nothing more exact to say. */
  help: string;
}

export const problems = {
  invalid_request: {
    status: 400,
    title: 'The request is not valid',
    help: 'Send a JSON object, at least {}, with only the documented fields.',
  },
  invalid_token: {
    status: 401,
    title: 'The caller is not authenticated',
    help: 'Send one Authorization header with a current access token for this broker: Bearer, a space, the token.',
  },
  step_up_required: {
    status: 401,
    title: 'A stronger sign-in is required',
    help: 'Sign in again with the claims of the WWW-Authenticate header, then repeat the request.',
  },
  not_granted: {
    status: 403,
    title: 'No grant allows this',
    help: 'Ask the owner of the policy for a grant, or check the names in the path.',
  },
  lifetime_exceeds_grant: {
    status: 403,
    title: 'The token would live longer than the grant allows',
    help: 'Ask the owner of the policy to raise maxLifetime, or to use an identity with shorter tokens.',
  },
  caller_denied: {
    status: 403,
    title: 'This caller is cut off',
    help: 'The policy denies this caller; talk to the owner of the policy.',
  },
  operator_required: {
    status: 403,
    title: 'Only operators may do this',
    help: 'Ask the owner of the policy to list this caller under operators.',
  },
  not_found: { status: 404, title: 'There is no such thing', help: 'Check the name in the path.' },
  wrong_auth_mode: {
    status: 409,
    title: 'The endpoint uses another kind of credential',
    help: 'Ask the route that serves the endpoint’s authentication mode.',
  },
  insufficient_lifetime: {
    status: 409,
    title: 'The token has less time left than asked for',
    help: 'Ask for a smaller minRemaining, or again after the next refresh.',
  },
  too_large: { status: 413, title: 'The request is too large', help: 'Send a body of at most 64 KiB.' },
  unsupported_media_type: {
    status: 415,
    title: 'The request is not JSON',
    help: 'Send Content-Type: application/json without a content coding.',
  },
  rate_limited: {
    status: 429,
    title: 'Too many requests',
    help: 'Wait for the seconds that Retry-After names; keep tokens until their refreshBy.',
  },
  unexpected_upstream_answer: {
    status: 502,
    title: 'Azure gave an answer that cannot be used',
    help: 'Nothing was handed out. If it goes on, give the correlation id to the operators of the broker.',
  },
  upstream_unavailable: {
    status: 503,
    title: 'Azure cannot be reached',
    help: 'Try again after the seconds that Retry-After names.',
  },
  upstream_throttled: {
    status: 503,
    title: 'Azure is throttling the broker',
    help: 'Try again after the seconds that Retry-After names.',
  },
  identity_not_ready: {
    status: 503,
    title: 'The identity behind this grant cannot be used now',
    help: 'Operators: look up the correlation id in the log; a role, a secret or a federated credential is missing or too new.',
  },
  audit_unavailable: {
    status: 503,
    title: 'The audit record could not be written',
    help: 'Nothing was handed out. Try again after the seconds that Retry-After names.',
  },
  policy_unavailable: {
    status: 503,
    title: 'The policy cannot be read',
    help: 'Try again after the seconds that Retry-After names.',
  },
  config_invalid: {
    status: 503,
    title: 'The broker’s configuration is broken',
    help: 'Operators: the log lists every problem with its line; mend the configuration and restart.',
  },
  internal_error: {
    status: 500,
    title: 'Something went wrong inside the broker',
    help: 'Give the correlation id to the operators of the broker.',
  },
} as const satisfies Record<string, Problem>;

export type ErrorCode = keyof typeof problems;

export interface BrokerErrorOptions {
  /** One or two sentences for the caller: what happened and what to do. Never holds upstream text or a secret. */
  detail?: string;
  /** For the log only: why, in one word or short sentence without secrets. */
  reason?: string;
  /** Seconds until another try makes sense. */
  retryAfterSeconds?: number;
  /** Of `step_up_required`: what Entra wants of the next sign-in, as its JSON text. */
  claims?: string | undefined;
  /** Further members of the problem body, such as the seconds available. */
  members?: Readonly<Record<string, string | number>>;
  cause?: unknown;
}

/** A failure with a stable code, safe to show outside except for `reason` and `cause`. */
export class BrokerError extends Error {
  readonly code: ErrorCode;
  readonly detail: string;
  readonly reason: string | undefined;
  readonly retryAfterSeconds: number | undefined;
  readonly claims: string | undefined;
  readonly members: Readonly<Record<string, string | number>>;

  constructor(code: ErrorCode, options: BrokerErrorOptions = {}) {
    super(`${code}: ${options.reason ?? problems[code].title}`, { cause: options.cause });
    this.name = 'BrokerError';
    this.code = code;
    this.detail = options.detail ?? problems[code].help;
    this.reason = options.reason;
    this.retryAfterSeconds = options.retryAfterSeconds;
    this.claims = options.claims;
    this.members = options.members ?? {};
  }

  get status(): number {
    return problems[this.code].status;
  }
}

/**
 * What went wrong at an Azure service. The kinds stay apart because each asks for something else:
 * - `not_found`: the thing does not exist;
 * - `forbidden`: our identity may not do this (or the thing is disabled);
 * - `credential_refused`: Entra or the managed-identity endpoint refused our own credential;
 * - `step_up_required`: Entra wants a stronger sign-in of the user in whose name was asked;
 * - `user_refused`: Entra does not take the user's token any more, in whose name was asked;
 * - `throttled`: too many requests; - `unavailable`: no answer, or a 5xx;
 * - `conflict`: it changed or exists already; - `unexpected`: an answer that does not follow the contract.
 */
export type UpstreamKind =
  | 'not_found'
  | 'forbidden'
  | 'credential_refused'
  | 'step_up_required'
  | 'user_refused'
  | 'throttled'
  | 'unavailable'
  | 'conflict'
  | 'unexpected';

export interface UpstreamErrorOptions {
  kind: UpstreamKind;
  /** The service's name in the log, for example `key vault`. */
  service: string;
  status?: number | undefined;
  /** The service's own code, for example `SecretDisabled` or `AADSTS7000215`; never its message. */
  upstreamCode?: string | undefined;
  retryAfterSeconds?: number | undefined;
  /** Of `step_up_required`: what Entra wants of the next sign-in, as its JSON text. */
  claims?: string | undefined;
  cause?: unknown;
}

/** An Azure call that failed, reduced to what is safe to log and enough to decide by. */
export class UpstreamError extends Error {
  readonly kind: UpstreamKind;
  readonly service: string;
  readonly status: number | undefined;
  readonly upstreamCode: string | undefined;
  readonly retryAfterSeconds: number | undefined;
  readonly claims: string | undefined;

  constructor(options: UpstreamErrorOptions) {
    const facts = [options.status, options.upstreamCode].filter((fact) => fact !== undefined).join(' ');
    super(`${options.service}: ${options.kind}${facts === '' ? '' : ` (${facts})`}`, { cause: options.cause });
    this.name = 'UpstreamError';
    this.kind = options.kind;
    this.service = options.service;
    this.status = options.status;
    this.upstreamCode = options.upstreamCode;
    this.retryAfterSeconds = options.retryAfterSeconds;
    this.claims = options.claims;
  }

  /** True where Azure could not be asked at all: what we hold may still serve. */
  get outOfReach(): boolean {
    return this.kind === 'unavailable' || this.kind === 'throttled';
  }
}

/** Seconds told to a caller where Azure named none. */
const DEFAULT_RETRY_AFTER_SECONDS = 10;

const codeOf = {
  not_found: 'unexpected_upstream_answer',
  forbidden: 'identity_not_ready',
  credential_refused: 'identity_not_ready',
  step_up_required: 'step_up_required',
  user_refused: 'invalid_token',
  throttled: 'upstream_throttled',
  unavailable: 'upstream_unavailable',
  conflict: 'unexpected_upstream_answer',
  unexpected: 'unexpected_upstream_answer',
} as const satisfies Record<UpstreamKind, ErrorCode>;

/**
 * Turns whatever was thrown into the error that the caller sees. Unknown things become `internal_error`, whose text
 * says nothing of the cause. `not_found` of a target is decided where the target is known, not here.
 */
export function toBrokerError(thrown: unknown): BrokerError {
  if (thrown instanceof BrokerError) return thrown;
  if (!(thrown instanceof UpstreamError)) return new BrokerError('internal_error', { cause: thrown });
  const code = codeOf[thrown.kind];
  return new BrokerError(code, {
    reason: thrown.message,
    claims: thrown.claims,
    cause: thrown,
    ...(problems[code].status === 503
      ? { retryAfterSeconds: thrown.retryAfterSeconds ?? DEFAULT_RETRY_AFTER_SECONDS }
      : {}),
  });
}
