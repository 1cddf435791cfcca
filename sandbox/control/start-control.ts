import type { IncomingMessage, ServerResponse } from 'node:http';
import * as z from 'zod';
import { type Listener, listen } from '../http/listen.ts';
import { type Answer, type Exchange, readExchange, writeAnswer } from '../http/service.ts';
import type { CallLog } from '../state/call-log.ts';
import type { Faults } from '../state/faults.ts';
import { type CallerTokenContext, callerRequestSchema, makeCallerToken } from './caller-token.ts';
import { faultRequestSchema } from './fault-request.ts';
import { type AdministratorOperations, createOperations, type Operation } from './operations.ts';

export interface ControlOptions extends CallerTokenContext, AdministratorOperations {
  /** 0: a free port. */
  port: number;
  calls: CallLog;
  faults: Faults;
}

type Route = (exchange: Exchange) => Answer | Promise<Answer>;

const LOOPBACK_HOST = /^(localhost|127\.0\.0\.1|\[::1\])(:\d+)?$/i;
const PAGES = 'POST /callers, POST and DELETE /faults, GET and DELETE /calls, GET /state, POST /operations/{name}';

/**
 * The control interface: plain HTTP on loopback, for people and tests who steer the sandbox. It is no part of the broker.
 *
 * A POST must be JSON and every call must name a loopback host: a web page in a browser on this machine can send neither.
 * Errors are `{ "error": sentence }`.
 */
export function startControl(options: ControlOptions): Promise<Listener> {
  const operations = createOperations(options);
  const routes = new Map<string, Route>([
    ['POST /callers', (exchange) => answerCaller(exchange, options)],
    ['POST /faults', (exchange) => addFault(exchange, options.faults)],
    ['DELETE /faults', () => cleared(() => options.faults.clear())],
    ['GET /calls', () => ({ status: 200, json: options.calls.list() })],
    ['DELETE /calls', () => cleared(() => options.calls.clear())],
    ['GET /state', () => showState(options)],
  ]);
  const onRequest = (request: IncomingMessage, response: ServerResponse, connection: number) => {
    answerControl(request, connection, routes, operations)
      .then((answer) =>
        writeAnswer(response, { ...answer, headers: { 'Cache-Control': 'no-store', ...answer.headers } }),
      )
      .catch(() => request.socket.destroy());
  };
  return listen({ name: 'control', port: options.port, onRequest });
}

async function answerControl(
  request: IncomingMessage,
  connection: number,
  routes: ReadonlyMap<string, Route>,
  operations: ReadonlyMap<string, Operation>,
): Promise<Answer> {
  const exchange = await readExchange(request, connection);
  if (!exchange) return problem(400, 'The path is no valid percent-encoding.');
  const refusal = refuse(exchange);
  if (refusal) return refusal;
  const name = exchange.method === 'POST' ? exchange.path.match(/^\/operations\/([^/]+)$/)?.[1] : undefined;
  const route = name === undefined ? routes.get(`${exchange.method} ${exchange.path}`) : operate(name, operations);
  if (!route) return problem(404, `Nothing is at ${exchange.method} ${exchange.path}. There is ${PAGES}.`);
  try {
    return await route(exchange);
  } catch (error) {
    return problemOf(error);
  }
}

function refuse(exchange: Exchange): Answer | undefined {
  if (!LOOPBACK_HOST.test(exchange.headers.host ?? '')) {
    return problem(403, 'Call the control interface by a loopback host, such as 127.0.0.1.');
  }
  const contentType = exchange.headers['content-type']?.split(';')[0]?.trim().toLowerCase();
  if (exchange.method === 'POST' && contentType !== 'application/json') {
    return problem(415, 'Send a JSON body with the header Content-Type: application/json.');
  }
  return undefined;
}

async function answerCaller(exchange: Exchange, options: ControlOptions): Promise<Answer> {
  const token = await makeCallerToken(callerRequestSchema.parse(readJson(exchange)), options);
  const wantsText = exchange.headers.accept?.includes('text/plain') ?? false;
  if (wantsText) return { status: 200, headers: { 'Content-Type': 'text/plain; charset=utf-8' }, text: token };
  return { status: 200, json: { token } };
}

function addFault(exchange: Exchange, faults: Faults): Answer {
  const fault = faultRequestSchema.parse(readJson(exchange));
  faults.add(fault);
  return { status: 201, json: { ...fault, match: fault.match?.source } };
}

function showState({ applications, secrets, endpoints }: AdministratorOperations): Answer {
  const json = { applications: applications.list(), secrets: secrets.list(), endpoints: endpoints.list() };
  return { status: 200, json };
}

function operate(name: string, operations: ReadonlyMap<string, Operation>): Route {
  return async (exchange) => {
    const run = operations.get(name);
    if (run) return { status: 200, json: await run(readJson(exchange)) };
    return problem(404, `There is no operation ${name}. There is ${[...operations.keys()].join(', ')}.`);
  };
}

function cleared(clear: () => void): Answer {
  clear();
  return { status: 204 };
}

function readJson(exchange: Exchange): unknown {
  try {
    return JSON.parse(exchange.body.toString('utf8'));
  } catch {
    throw new Error('The body is not JSON. Send a JSON object, at least {}.');
  }
}

function problemOf(error: unknown): Answer {
  if (error instanceof z.ZodError) {
    const lines = error.issues.map(({ path, message }) => `${path.join('.') || 'the body'}: ${message}`);
    return problem(400, `Correct the request: ${lines.join('; ')}.`);
  }
  // An operation's own sentence; anything else is a fault of the sandbox.
  if (error instanceof Error && error.constructor === Error) return problem(400, error.message);
  console.error('sandbox: control failed:', error);
  return problem(500, 'The sandbox failed at this call; its output says how.');
}

function problem(status: number, error: string): Answer {
  return { status, json: { error } };
}
