import type { Exchange } from '../http/service.ts';

/** The JSON value of a body; undefined when there is none or it is malformed. */
export function readJson(exchange: Exchange): unknown {
  try {
    return JSON.parse(exchange.body.toString('utf8'));
  } catch {
    return undefined;
  }
}
