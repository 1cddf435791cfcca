import { type HttpHandler, HttpRequest, type HttpRequestInit, HttpResponse, InvocationContext } from '@azure/functions';
import { refuseToken } from '../../src/callers/bearer.ts';
import type { VerifyCaller } from '../../src/callers/verify.ts';
import { aCaller, aJwt } from '../support/builders.ts';

export const invocationId = 'a1b2c3d4-0000-4000-8000-00000000abcd';

/** The one token that `verifyCaller` accepts. */
export const callerToken = aJwt({ sub: 'the-caller', secret: 'of-the-callers-token' });

/** Lets in whoever shows `callerToken`. */
export const verifyCaller: VerifyCaller = async (token) => {
  if (token !== callerToken) throw refuseToken('signature');
  return aCaller();
};

export interface Answer {
  status: number;
  headers: Headers;
  text: string;
  /** The body, parsed. */
  body: unknown;
  /** What the invocation logged: level, then the line. */
  lines: string[];
}

export function aContext(lines: string[]): InvocationContext {
  return new InvocationContext({
    invocationId,
    functionName: 'test',
    logHandler: (level, ...args) => lines.push(`${level} ${args.join(' ')}`),
  });
}

/** Calls a function as the host does: with a request that names its route's parameters. */
export async function invoke(handler: HttpHandler, init: HttpRequestInit = {}): Promise<Answer> {
  const lines: string[] = [];
  const request = new HttpRequest({ method: 'POST', url: 'https://broker.example/', ...init });
  const response = new HttpResponse(await handler(request, aContext(lines)));
  const text = await response.text();
  return {
    status: response.status,
    headers: new Headers([...response.headers.entries()]),
    text,
    body: JSON.parse(text),
    lines,
  };
}

/** A POST of a verified caller with this JSON. */
export function aPost(params: Record<string, string>, body: unknown = {}): HttpRequestInit {
  return {
    params,
    headers: { authorization: `Bearer ${callerToken}`, 'content-type': 'application/json' },
    body: { string: JSON.stringify(body) },
  };
}

/** A GET of a verified caller. */
export const aGet: HttpRequestInit = { method: 'GET', headers: { authorization: `Bearer ${callerToken}` } };
