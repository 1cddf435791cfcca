import type { HttpRequest, HttpResponseInit } from '@azure/functions';
import { BrokerError } from '../errors.ts';
import { commonHeaders } from './problem.ts';

const rotationName = /^[0-9a-zA-Z-]{1,127}$/;
/** RFC 9110 field values may hold more; visible ASCII is what reaches us unchanged through every host and proxy. */
const visibleAscii = /^[!-~]{1,255}$/;

const invalid = (detail: string, reason: string) => new BrokerError('invalid_request', { detail, reason });

/** The rotation's name from the path: a Key Vault secret's name. */
export function readRotation(request: HttpRequest): string {
  const { rotation = '' } = request.params;
  if (rotationName.test(rotation)) return rotation;
  throw invalid('The rotation in the path is not a name. Use letters, digits and hyphens.', 'path_rotation');
}

/**
 * The `Idempotency-Key` header (IETF draft idempotency-key-header), taken as it is, quotes included; undefined where
 * there is none. Two headers arrive as one with a blank between them, and are refused.
 */
export function readIdempotencyKey(request: HttpRequest): string | undefined {
  const key = request.headers.get('idempotency-key') ?? undefined;
  if (key === undefined || visibleAscii.test(key)) return key;
  throw invalid('The Idempotency-Key must be 1 to 255 visible ASCII characters, without spaces.', 'idempotency_key');
}

/** 202 for work that goes on: where to ask (RFC 9110: Location, Retry-After), the pattern that Logic Apps follow. */
export function toAccepted(body: object, location: string, retryAfterSeconds: number): HttpResponseInit {
  return {
    status: 202,
    headers: {
      ...commonHeaders,
      'Content-Type': 'application/json',
      Location: location,
      'Retry-After': String(Math.ceil(retryAfterSeconds)),
    },
    body: JSON.stringify(body),
  };
}
