import type { HttpResponseInit } from '@azure/functions';
import { type BrokerError, problems } from '../errors.ts';

/** No answer of the broker may be kept by anything between it and the caller. */
export const commonHeaders = { 'Cache-Control': 'no-store', 'X-Content-Type-Options': 'nosniff' } as const;

/** RFC 6750, section 3. The same for every refused token: why is in the log alone. */
const challenge =
  'Bearer realm="aml-token-broker", error="invalid_token", error_description="The access token is missing, malformed, expired or not for this broker"';

/**
 * The challenge of a 401 (RFC 6750, section 3). Where Entra wants a stronger sign-in it carries the claims to ask for, in
 * base64 (Microsoft reference: "Claims challenges, claims requests and client capabilities").
 */
const challengeOf = ({ code, claims }: BrokerError): string =>
  code === 'step_up_required' && claims !== undefined
    ? `Bearer realm="aml-token-broker", error="insufficient_claims", claims="${Buffer.from(claims).toString('base64')}"`
    : challenge;

/** A failure as the caller sees it: `application/problem+json` (RFC 9457). */
export function toProblem(error: BrokerError, correlationId: string): HttpResponseInit {
  const { title, status } = problems[error.code];
  return {
    status,
    headers: {
      ...commonHeaders,
      'Content-Type': 'application/problem+json',
      ...(status === 401 ? { 'WWW-Authenticate': challengeOf(error) } : {}),
      ...(error.retryAfterSeconds === undefined ? {} : { 'Retry-After': String(Math.ceil(error.retryAfterSeconds)) }),
    },
    body: JSON.stringify({
      type: `urn:aml-token-broker:problem:${error.code}`,
      title,
      status,
      code: error.code,
      detail: error.detail,
      correlationId,
      ...error.members,
    }),
  };
}

/** A good answer as JSON; instants become ISO 8601 UTC texts. */
export function toJsonAnswer(body: object, status = 200): HttpResponseInit {
  return { status, headers: { ...commonHeaders, 'Content-Type': 'application/json' }, body: JSON.stringify(body) };
}
