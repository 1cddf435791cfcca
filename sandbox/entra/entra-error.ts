import type { Answer } from '../http/service.ts';
import type { Random } from '../state/random.ts';

/** A refusal with one of Entra's AADSTS codes. */
export interface EntraError {
  /** The number after AADSTS. */
  code: number;
  status: number;
  /** OAuth error word. */
  error: string;
  text: string;
  suberror?: string;
  /** Claims challenge: a string that holds JSON. */
  claims?: string;
}

export interface EntraErrorContext {
  clock: () => Date;
  random: Random;
}

const GUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/**
 * Entra's JSON error body, with a new trace id and the correlation id that the client sent, if it did.
 *
 * @param separator What stands before the description's tail: spaces today, line ends where recordings have them.
 */
export function entraErrorBody(
  error: EntraError,
  context: EntraErrorContext,
  clientRequestId: string | null = null,
  separator = ' ',
) {
  const traceId = context.random.id();
  const correlationId = clientRequestId !== null && GUID.test(clientRequestId) ? clientRequestId : context.random.id();
  const timestamp = `${context.clock().toISOString().slice(0, 19).replace('T', ' ')}Z`;
  const description = [
    `AADSTS${error.code}: ${error.text}`,
    `Trace ID: ${traceId}`,
    `Correlation ID: ${correlationId}`,
    `Timestamp: ${timestamp}`,
  ];
  return {
    error: error.error,
    error_description: description.join(separator),
    error_codes: [error.code],
    timestamp,
    trace_id: traceId,
    correlation_id: correlationId,
    error_uri: `https://login.microsoftonline.com/error?code=${error.code}`,
    ...(error.suberror === undefined ? {} : { suberror: error.suberror }),
    ...(error.claims === undefined ? {} : { claims: error.claims }),
  };
}

/** A refusal of the token endpoint. */
export function tokenErrorAnswer(
  error: EntraError,
  context: EntraErrorContext,
  clientRequestId: string | null,
): Answer {
  const body = entraErrorBody(error, context, clientRequestId);
  return { status: error.status, headers: tokenHeaders(body.trace_id, error.code), json: body };
}

/** A refusal of a metadata page. */
export function metadataErrorAnswer(
  error: EntraError,
  context: EntraErrorContext,
  clientRequestId: string | null,
): Answer {
  const body = entraErrorBody(error, context, clientRequestId, '\r\n');
  return { status: error.status, headers: { 'Cache-Control': 'private', ...serverHeaders(body.trace_id) }, json: body };
}

/** Headers of every token endpoint answer; `code` is the AADSTS number, 0 for success. */
export function tokenHeaders(requestId: string, code = 0): Record<string, string> {
  return {
    'Cache-Control': 'no-store, no-cache',
    Pragma: 'no-cache',
    Expires: '-1',
    'Strict-Transport-Security': 'max-age=31536000; includeSubDomains',
    'X-Content-Type-Options': 'nosniff',
    P3P: 'CP="DSP CUR OTPi IND OTRi ONL FIN"',
    'x-ms-clitelem': `1,${code},0,,`,
    ...serverHeaders(requestId),
  };
}

/** Headers of every answer. */
export function serverHeaders(requestId: string): Record<string, string> {
  return { 'x-ms-request-id': requestId, 'x-ms-ests-server': '2.1.12529.16 - NCUS ProdSlices' };
}
