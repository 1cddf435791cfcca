import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';

/** One request, read to its end. */
export interface Exchange {
  method: string;
  /** Percent-decoded path without query. */
  path: string;
  /** The path as it was sent, without query. */
  rawPath: string;
  query: URLSearchParams;
  headers: IncomingHttpHeaders;
  body: Buffer;
  /** Number of the TCP connection: an Entra replica is picked per connection. */
  connection: number;
}

/** What a service answers. With neither `json` nor `text` the answer has no body. */
export interface Answer {
  status: number;
  headers?: Record<string, string>;
  json?: unknown;
  text?: string;
}

export type Handler = (exchange: Exchange) => Answer | Promise<Answer>;

/** Reads a request whole; undefined when its path is no valid percent-encoding. */
export async function readExchange(request: IncomingMessage, connection: number): Promise<Exchange | undefined> {
  const target = request.url ?? '/';
  const queryStart = target.indexOf('?');
  const rawPath = queryStart < 0 ? target : target.slice(0, queryStart);
  const path = decodePath(rawPath);
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk);
  if (path === undefined) return undefined;
  return {
    method: request.method ?? 'GET',
    path,
    rawPath,
    query: new URLSearchParams(queryStart < 0 ? '' : target.slice(queryStart + 1)),
    headers: request.headers,
    body: Buffer.concat(chunks),
    connection,
  };
}

/** Writes an answer; JSON is `application/json; charset=utf-8` unless the answer's headers say otherwise. */
export function writeAnswer(response: ServerResponse, answer: Answer): void {
  const body = answer.json === undefined ? (answer.text ?? '') : JSON.stringify(answer.json);
  if (answer.json !== undefined) response.setHeader('Content-Type', 'application/json; charset=utf-8');
  for (const [name, value] of Object.entries(answer.headers ?? {})) response.setHeader(name, value);
  if (answer.status !== 204) response.setHeader('Content-Length', Buffer.byteLength(body));
  response.writeHead(answer.status);
  response.end(body);
}

function decodePath(rawPath: string): string | undefined {
  if (!rawPath.startsWith('/')) return undefined;
  try {
    return decodeURIComponent(rawPath);
  } catch {
    return undefined;
  }
}
