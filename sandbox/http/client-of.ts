import { decodeJwt } from 'jose';
import type { Exchange } from './exchange.ts';

const APPLICATION_ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/**
 * The application id that a caller names, for the call log only: nothing is verified here.
 * From the bearer token's `appid` or `azp`, else from the form's or the query's `client_id`.
 * Anything that is not a GUID is dropped, because a confused caller may send a secret there.
 */
export function clientOf(exchange: Exchange): string | null {
  const named = fromToken(exchange.headers.authorization) ?? fromForm(exchange) ?? exchange.query.get('client_id');
  return named !== null && APPLICATION_ID.test(named) ? named : null;
}

function fromToken(authorization: string | undefined): string | undefined {
  const token = authorization?.match(/^Bearer ([\w-]+\.[\w-]+\.[\w-]*)$/i)?.[1];
  if (token === undefined) return undefined;
  try {
    const claims = decodeJwt(token);
    return [claims.appid, claims.azp].find((value) => typeof value === 'string');
  } catch {
    return undefined;
  }
}

function fromForm(exchange: Exchange): string | undefined {
  if (!exchange.headers['content-type']?.startsWith('application/x-www-form-urlencoded')) return undefined;
  return new URLSearchParams(exchange.body.toString('utf8')).get('client_id') ?? undefined;
}
