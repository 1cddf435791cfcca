import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Admission } from './admission.ts';
import { discardBody, readBody, readHead, toRpcHttp } from './http-input.ts';
import { emptyAnswer, fromRpcHttp, type HttpAnswer, sendAnswer } from './http-output.ts';
import { InvocationError, type Invoke } from './invoke.ts';
import type { HttpFunction } from './load-app.ts';
import type { Logger } from './logger.ts';
import type { RouteMatch } from './routes.ts';
import { newTrace } from './trace.ts';

export interface RequestHandlerOptions {
  match: (method: string, segments: readonly string[]) => RouteMatch<HttpFunction> | undefined;
  invoke: Invoke;
  admission: Admission;
  /** `POST /admin/functions/{name}`. */
  runByHand: (name: string, body: Uint8Array | undefined) => HttpAnswer;
  customHeaders: Record<string, string>;
  bodyLimitBytes: number;
  logger: Logger;
}

export type RequestHandler = (request: IncomingMessage, response: ServerResponse) => void;

/** Answers the HTTP requests of one server: the functions' routes and the host's own path to fire a function by hand. */
export function createRequestHandler(scheme: 'http' | 'https', options: RequestHandlerOptions): RequestHandler {
  return (request, response) => {
    handle(scheme, options, request, response).catch((error: unknown) => {
      // The client went away while it sent its body: nobody is left to be answered.
      if (request.destroyed && !request.complete) return;
      options.logger.host('error', `a request could not be served: ${error}`);
      sendAnswer(response, emptyAnswer(500));
    });
  };
}

async function handle(
  scheme: 'http' | 'https',
  options: RequestHandlerOptions,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const refuse = async (status: number, extraHeaders?: Record<string, string>) => {
    await discardBody(request);
    sendAnswer(response, emptyAnswer(status), extraHeaders);
  };
  const head = readHead(request, scheme);
  if (!head) return refuse(400);

  const [first, second, name, ...more] = head.segments;
  if (first?.toLowerCase() === 'admin' && second?.toLowerCase() === 'functions' && name && more.length === 0) {
    const body = await readBody(request, options.bodyLimitBytes);
    const allowed = head.method === 'POST' && isLoopback(head.url.hostname) && body !== 'too large';
    return sendAnswer(response, allowed ? options.runByHand(name, body) : emptyAnswer(404));
  }

  const route = options.match(head.method, head.segments);
  if (!route) return refuse(404);

  const entered = options.admission.enter();
  if (!entered) return refuse(429, options.customHeaders);
  const leave = await entered;
  try {
    const body = await readBody(request, options.bodyLimitBytes);
    if (body === 'too large') return refuse(413, options.customHeaders);
    const trace = newTrace(head.headers.traceparent, head.headers.tracestate);
    const http = toRpcHttp(head, route.params, body);
    sendAnswer(response, await answerOf(options, route.target, { data: { http }, trace }), options.customHeaders);
  } finally {
    leave();
  }
}

/** A function that throws, takes too long or returns no HTTP response is answered 500 with an empty body. */
async function answerOf(
  { invoke, logger }: RequestHandlerOptions,
  fn: HttpFunction,
  input: Parameters<Invoke>[1],
): Promise<HttpAnswer> {
  try {
    return fromRpcHttp(await invoke(fn, input));
  } catch (error) {
    if (!(error instanceof InvocationError)) {
      logger.host('error', `the function "${fn.metadata.name}" returned no HTTP response that can be sent: ${error}`);
    }
    return emptyAnswer(500);
  }
}

/** A page that a browser opened from elsewhere can reach this port under its own host name, but not under one of these. */
function isLoopback(hostname: string): boolean {
  return ['localhost', '127.0.0.1', '[::1]'].includes(hostname);
}
