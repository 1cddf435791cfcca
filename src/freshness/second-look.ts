import { decodeJwt, errors } from 'jose';
import { BrokerError } from '../errors.ts';

/**
 * P3’s second look at an endpoint token: where it can be read as a JWT and names an endpoint, it must be the one asked
 * for. The keys that sign these tokens are not published, so this is a check against mix-ups, not against forgery; a
 * token that cannot be read is judged by the answer alone.
 *
 * @throws BrokerError `unexpected_upstream_answer`
 */
export function checkEndpointToken(accessToken: string, endpointName: string): void {
  const named = readEndpointName(accessToken);
  if (named !== undefined && named.toLowerCase() !== endpointName.toLowerCase()) {
    throw new BrokerError('unexpected_upstream_answer', { reason: 'token_is_for_another_endpoint' });
  }
}

function readEndpointName(accessToken: string): string | undefined {
  try {
    const { endpointName } = decodeJwt(accessToken);
    return typeof endpointName === 'string' ? endpointName : undefined;
  } catch (error) {
    if (error instanceof errors.JWTInvalid) return undefined;
    throw error;
  }
}
