/** What the broker, or the way to it, said when there was no token. */
export interface BrokerRefusal {
  /** HTTP status; undefined where no answer came. */
  status?: number | undefined;
  /** The OAuth error (RFC 6749, section 5.2), for example `invalid_target`; undefined where no such answer came. */
  error?: string | undefined;
  /** The broker's own code, for example `not_granted`. */
  code?: string | undefined;
  /** Finds the broker's log line with the reason. */
  correlationId?: string | undefined;
  /** When to try again, in seconds. */
  retryAfterSeconds?: number | undefined;
  /** What the next sign-in of the user must satisfy: hand it to `getToken` as its option `claims`. */
  claims?: string | undefined;
}

/** There is no token: the broker refused, could not answer, or was not reached. Holds no token and no secret. */
export class BrokerCredentialError extends Error {
  readonly status: number | undefined;
  readonly error: string | undefined;
  readonly code: string | undefined;
  readonly correlationId: string | undefined;
  readonly retryAfterSeconds: number | undefined;
  readonly claims: string | undefined;

  constructor(message: string, refusal: BrokerRefusal = {}) {
    super(message);
    this.name = 'BrokerCredentialError';
    this.status = refusal.status;
    this.error = refusal.error;
    this.code = refusal.code;
    this.correlationId = refusal.correlationId;
    this.retryAfterSeconds = refusal.retryAfterSeconds;
    this.claims = refusal.claims;
  }
}
