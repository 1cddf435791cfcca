import type { IncomingMessage } from 'node:http';
import type { RpcHttpData } from './core-contract.ts';

const DISCARD_MS = 10_000;

/** What the host reads from the request line and the headers, before routing. */
export interface RequestHead {
  method: string;
  url: URL;
  /** Path segments for routing: percent-decoded, except `%2F`. */
  segments: string[];
  /** Lower-case name → all its values joined by a comma. */
  headers: Record<string, string>;
}

/**
 * Reads the head of a request as Azure's front end does, or returns undefined when it is not readable (answer 400): a Host header that is
 * missing, given twice or no host; bytes in a header that are no UTF-8; an encoded NUL in the path.
 */
export function readHead(request: IncomingMessage, scheme: 'http' | 'https'): RequestHead | undefined {
  const headers = joinHeaders(request.rawHeaders);
  const host = headers?.host;
  const target = toOriginForm(request.url ?? '');
  if (!headers || host === undefined || !/^[^\s/?#@\\,]+$/.test(host) || target === undefined) return undefined;
  const address = `${scheme}://${host}${target.replaceAll('\\', '%5C')}`;
  if (!URL.canParse(address)) return undefined;
  const url = new URL(address);
  if (url.pathname.includes('%00')) return undefined;
  return { method: request.method ?? 'GET', url, segments: toSegments(url.pathname), headers };
}

/**
 * The HTTP request as the host sends it to the worker. Several values of one header or query key are joined by a comma; the nullable maps carry
 * the values (the worker capability UseNullableValueDictionaryForHttp), the plain ones stay empty.
 */
export function toRpcHttp(
  head: RequestHead,
  params: Record<string, string>,
  body: Uint8Array | undefined,
): RpcHttpData {
  const query = new Map<string, string>();
  for (const [name, value] of head.url.searchParams) {
    const before = query.get(name);
    query.set(name, before === undefined ? value : `${before},${value}`);
  }
  return {
    method: head.method,
    url: head.url.href,
    headers: {},
    query: {},
    params: {},
    nullableHeaders: toNullable(Object.entries(head.headers)),
    nullableQuery: toNullable(query),
    nullableParams: toNullable(Object.entries(params)),
    ...(body && { body: { bytes: body } }),
    identities: [],
  };
}

/**
 * Reads the body to its end. Only a body with a Content-Length reaches a function; a chunked one is thrown away and arrives as none.
 * @returns undefined for no body, `too large` above `limitBytes` (the body is then thrown away)
 */
export async function readBody(
  request: IncomingMessage,
  limitBytes: number,
): Promise<Uint8Array | 'too large' | undefined> {
  const length = Number(request.headers['content-length'] ?? 0);
  if (!(length > 0) || length > limitBytes) {
    await discardBody(request);
    return length > limitBytes ? 'too large' : undefined;
  }
  const chunks: Uint8Array[] = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/**
 * Throws the body away and waits for its end, at most 10 s. An answer sent before would be lost with the connection: when the client asked to
 * close it, Node closes it right after the answer, and a client that is still sending sees a reset instead of the answer.
 */
export async function discardBody(request: IncomingMessage): Promise<void> {
  const { 'content-length': length = '0', 'transfer-encoding': coding } = request.headers;
  if (request.complete || (length === '0' && coding === undefined)) return;
  await new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, DISCARD_MS);
    request.once('close', () => {
      clearTimeout(timer);
      resolve();
    });
    request.once('end', () => {
      clearTimeout(timer);
      resolve();
    });
    request.resume();
  });
}

function toNullable(entries: Iterable<[string, string]>): Record<string, { value: string }> {
  return Object.fromEntries([...entries].map(([name, value]) => [name, { value }]));
}

/** Node's own `headers` drops a second Authorization header; the real host joins it, so the raw list is read. */
function joinHeaders(raw: readonly string[]): Record<string, string> | undefined {
  const headers = new Map<string, string>();
  for (let at = 0; at + 1 < raw.length; at += 2) {
    const name = (raw[at] ?? '').toLowerCase();
    const value = decodeHeaderValue(raw[at + 1] ?? '');
    if (value === undefined) return undefined;
    const before = headers.get(name);
    headers.set(name, before === undefined ? value : `${before},${value}`);
  }
  return Object.fromEntries(headers);
}

/** Node reads header bytes as Latin-1, the real host as UTF-8. */
function decodeHeaderValue(value: string): string | undefined {
  if (!/[^\0-\x7f]/.test(value)) return value;
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.from(value, 'latin1'));
  } catch {
    return undefined;
  }
}

/** The path and query of a request target, which may be an absolute URL (RFC 9112 section 3.2.2). */
function toOriginForm(target: string): string | undefined {
  if (target.startsWith('/')) return target;
  if (!/^https?:\/\//i.test(target) || !URL.canParse(target)) return undefined;
  const { pathname, search } = new URL(target);
  return pathname + search;
}

function toSegments(pathname: string): string[] {
  const path = pathname.replace(/^\//, '').replace(/\/$/, '');
  return path === '' ? [] : path.split('/').map(decodeSegment);
}

/** Percent-decodes UTF-8 runs; `%2F` and bytes that are no UTF-8 stay as they are. */
function decodeSegment(segment: string): string {
  return segment.replace(/(?:%(?!2f)[0-9a-f]{2})+/gi, (run) => {
    try {
      return decodeURIComponent(run);
    } catch {
      return run;
    }
  });
}
