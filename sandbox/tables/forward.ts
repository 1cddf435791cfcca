import type { IncomingMessage, ServerResponse } from 'node:http';
import { type Agent, request as httpsRequest } from 'node:https';

export interface ForwardTarget {
  port: number;
  agent: Agent;
  /** PEM text of the certificate that Azurite serves: the only one that is trusted here. */
  certificate: string;
}

/** An answer that has arrived whole. */
export interface ForwardedAnswer {
  status: number;
  write(response: ServerResponse): void;
}

/** These belong to one connection, not to the message (RFC 9110, section 7.6.1). */
const connectionHeaders = new Set(['connection', 'keep-alive', 'transfer-encoding', 'content-length']);

/**
 * Sends a request on to 127.0.0.1, with its method, target, headers and body as they came, and waits for the whole
 * answer. Rejects when there is nobody or the connection breaks.
 */
export function forward(request: IncomingMessage, body: Buffer, target: ForwardTarget): Promise<ForwardedAnswer> {
  const headers = [...messageHeaders(request.rawHeaders), 'Content-Length', String(body.length)];
  const { promise, resolve, reject } = Promise.withResolvers<ForwardedAnswer>();
  const outgoing = httpsRequest({
    host: '127.0.0.1',
    port: target.port,
    agent: target.agent,
    servername: 'localhost',
    ca: target.certificate,
    allowPartialTrustChain: true,
    method: request.method,
    path: request.url,
    headers,
  });
  outgoing.once('error', reject);
  outgoing.once('response', (incoming) => {
    readAnswer(incoming).then(resolve, reject);
  });
  outgoing.end(body);
  return promise;
}

async function readAnswer(incoming: IncomingMessage): Promise<ForwardedAnswer> {
  const chunks: Buffer[] = [];
  for await (const chunk of incoming) chunks.push(chunk);
  const body = Buffer.concat(chunks);
  const status = incoming.statusCode ?? 502;
  const headers = messageHeaders(incoming.rawHeaders);
  const hasNoBody = status === 204 || status === 304;
  const length = hasNoBody ? [] : ['Content-Length', String(body.length)];
  return { status, write: (response) => response.writeHead(status, [...headers, ...length]).end(body) };
}

/** Name, value, name, value … without those of the connection. */
function messageHeaders(rawHeaders: readonly string[]): string[] {
  return rawHeaders.flatMap((name, index) => {
    if (index % 2 === 1 || connectionHeaders.has(name.toLowerCase())) return [];
    return [name, rawHeaders[index + 1] ?? ''];
  });
}
