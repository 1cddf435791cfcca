import { HttpRequest } from '@azure/functions';

export interface Sent {
  method?: string;
  body?: string | Uint8Array;
  headers?: Record<string, string>;
  query?: Record<string, string>;
  params?: Record<string, string>;
}

/** A request as the Functions library hands it over; JSON unless the headers say otherwise. */
export function requestWith(sent: Sent = {}): HttpRequest {
  const { body } = sent;
  return new HttpRequest({
    method: sent.method ?? 'POST',
    url: 'https://broker.example.com/workspaces/prod/token',
    headers: { 'content-type': 'application/json', ...sent.headers },
    query: sent.query ?? {},
    params: sent.params ?? {},
    ...(body === undefined ? {} : { body: typeof body === 'string' ? { string: body } : { bytes: body } }),
  });
}
