import type { ServerResponse } from 'node:http';
import * as z from 'zod';

/** An HTTP answer in the form in which it goes to the client. */
export interface HttpAnswer {
  status: number;
  headers: [string, string][];
  body: Uint8Array;
}

const nullable = <T extends z.ZodType>(value: T) => z.object({ value }).nullish();

const cookie = z.object({
  name: z.string(),
  value: z.string(),
  domain: nullable(z.string()),
  path: nullable(z.string()),
  expires: nullable(z.object({ seconds: z.number().optional() })),
  maxAge: nullable(z.number()),
  secure: nullable(z.boolean()),
  httpOnly: nullable(z.boolean()),
  sameSite: z.enum(['none', 'lax', 'strict', 'explicitNone']).nullish(),
});

const httpResult = z.object({
  http: z.object({
    statusCode: z
      .string()
      .regex(/^[2-5]\d\d$/)
      .transform(Number),
    headers: z.record(z.string(), z.string()).default({}),
    cookies: z.array(cookie).default([]),
    body: z
      .object({ bytes: z.instanceof(Uint8Array).optional(), string: z.string().optional() })
      .nullish()
      .transform((body) => body?.bytes ?? Buffer.from(body?.string ?? '')),
  }),
});

/** An answer of the host itself: a status and nothing else. */
export function emptyAnswer(status: number): HttpAnswer {
  return { status, headers: [], body: new Uint8Array() };
}

/** Reads the return value of an HTTP function. A function that returns nothing is answered 204. Throws when it is no HTTP response. */
export function fromRpcHttp(returnValue: unknown): HttpAnswer {
  if (returnValue === null || returnValue === undefined) return emptyAnswer(204);
  const { statusCode, headers, cookies, body } = httpResult.parse(returnValue).http;
  return {
    status: statusCode,
    headers: [...Object.entries(headers), ...cookies.map((one): [string, string] => ['set-cookie', formatCookie(one)])],
    body,
  };
}

/** Sends an answer. `extraHeaders` are host.json's customHeaders; a header that the function set itself stays. */
export function sendAnswer(
  response: ServerResponse,
  answer: HttpAnswer,
  extraHeaders: Record<string, string> = {},
): void {
  if (response.headersSent || response.destroyed) return;
  for (const [name, value] of answer.headers) {
    if (isSetByServer(name)) continue;
    if (name.toLowerCase() === 'set-cookie') response.appendHeader(name, value);
    else response.setHeader(name, value);
  }
  for (const [name, value] of Object.entries(extraHeaders)) {
    if (!response.hasHeader(name)) response.setHeader(name, value);
  }
  const hasBody = answer.status !== 204 && answer.status !== 205 && answer.status !== 304;
  if (hasBody) response.setHeader('content-length', answer.body.byteLength);
  response.writeHead(answer.status);
  response.end(hasBody ? answer.body : undefined);
}

/** Framing is the server's: a function's own value would contradict the body really sent. */
function isSetByServer(name: string): boolean {
  return ['content-length', 'transfer-encoding', 'connection', 'keep-alive'].includes(name.toLowerCase());
}

/** A Set-Cookie value (RFC 6265 section 4.1). `sameSite: none` of the wire means that the function named none. */
function formatCookie(one: z.infer<typeof cookie>): string {
  const sameSite = { none: undefined, lax: 'lax', strict: 'strict', explicitNone: 'none' }[one.sameSite ?? 'none'];
  const expires = one.expires?.value.seconds;
  return [
    `${encodeURIComponent(one.name)}=${encodeURIComponent(one.value)}`,
    expires !== undefined && `expires=${new Date(expires * 1000).toUTCString()}`,
    one.maxAge && `max-age=${one.maxAge.value}`,
    one.domain && `domain=${one.domain.value}`,
    `path=${one.path?.value ?? '/'}`,
    one.secure?.value && 'secure',
    sameSite && `samesite=${sameSite}`,
    one.httpOnly?.value && 'httponly',
  ]
    .filter((part) => typeof part === 'string')
    .join('; ');
}
