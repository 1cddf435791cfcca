import { BrokerError } from '../errors.ts';

/** A token longer than this is refused unread; Entra's largest are a few KiB. */
export const MAX_TOKEN_BYTES = 16 * 1024;

const compactJws = /^[Bb][Ee][Aa][Rr][Ee][Rr] ([A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+)$/;

/** Why a caller token was refused: one word for the log. Outside, every refusal looks the same. */
export function refuseToken(reason: string): BrokerError {
  return new BrokerError('invalid_token', { reason });
}

/**
 * Takes the compact JWS (RFC 7515) out of an Authorization header (RFC 6750, section 2.1). The whole value must match:
 * two headers arrive joined by a comma and so match nothing.
 */
export function readBearer(authorization: string | null): string {
  if (authorization === null || authorization === '') throw refuseToken('no_authorization');
  if (authorization.length > MAX_TOKEN_BYTES + 'Bearer '.length) throw refuseToken('token_too_long');
  const token = compactJws.exec(authorization)?.[1];
  if (token === undefined) throw refuseToken('not_one_bearer_token');
  return token;
}
