import type { IncomingMessage, ServerResponse } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import type { CallLog } from '../state/call-log.ts';
import { type Fault, type Faults, isRefusal } from '../state/faults.ts';
import { clientOf } from './client-of.ts';
import { type Answer, type Exchange, type Handler, readExchange, writeAnswer } from './exchange.ts';
import { type Listener, listen } from './listen.ts';
import type { ServiceName } from './service-name.ts';

export { type Answer, type Exchange, type Handler, readExchange, writeAnswer } from './exchange.ts';
export type { ServiceName } from './service-name.ts';

/** The JSON body of an error in one service's own shape; `code` is absent when a fault names only a status. */
export type FaultBody = (status: number, code: string | undefined) => unknown;

export interface ServiceOptions {
  name: ServiceName;
  /** 0: a free port. */
  port: number;
  /** PEM texts; absent: plain HTTP. */
  tls?: { cert: string; key: string };
  handler: Handler;
  faultBody: FaultBody;
  calls: CallLog;
  faults: Faults;
  clock: () => Date;
}

const DEFAULT_FAULT_STATUS = 503;

/**
 * Runs one service on loopback: reads requests, applies planned faults, records each call, writes answers.
 * `stop` cuts open connections and ends waiting faults at once.
 *
 * @throws Error that names the port and the setting SANDBOX_PORT when the port is busy.
 */
export async function serve(options: ServiceOptions): Promise<Listener> {
  const stopping = new AbortController();
  const listener = await listen({
    name: options.name,
    port: options.port,
    tls: options.tls,
    onRequest: (request, response, connection) => {
      answerRequest(options, request, response, connection, stopping.signal).catch(() => request.socket.destroy());
    },
  });
  return {
    port: listener.port,
    stop: async () => {
      stopping.abort();
      await listener.stop();
    },
  };
}

async function answerRequest(
  options: ServiceOptions,
  request: IncomingMessage,
  response: ServerResponse,
  connection: number,
  stopping: AbortSignal,
): Promise<void> {
  const arrived = options.clock();
  const exchange = await readExchange(request, connection);
  if (!exchange) return writeAnswer(response, { status: 400, json: options.faultBody(400, 'BadRequest') });

  const fault = options.faults.take(options.name, exchange.method, exchange.path);
  if (fault?.delayMs !== undefined) await delay(fault.delayMs, undefined, { signal: stopping });
  const answer = fault && isRefusal(fault) ? refusal(fault, options.faultBody) : await work(options, exchange);

  options.calls.record({
    at: arrived.toISOString(),
    service: options.name,
    method: exchange.method,
    path: exchange.path,
    status: answer.status,
    client: clientOf(exchange),
  });
  if (fault?.commitThenDrop) request.socket.destroy();
  else writeAnswer(response, answer);
}

async function work(options: ServiceOptions, exchange: Exchange): Promise<Answer> {
  try {
    return await options.handler(exchange);
  } catch (error) {
    // A fault of the sandbox itself: say so where a person looks, without the request's content.
    console.error(`sandbox: ${options.name} failed at ${exchange.method} ${exchange.path}:`, error);
    return { status: 500, json: options.faultBody(500, 'InternalServerError') };
  }
}

function refusal(fault: Fault, faultBody: FaultBody): Answer {
  const status = fault.status ?? DEFAULT_FAULT_STATUS;
  const headers = fault.retryAfterSeconds === undefined ? {} : { 'Retry-After': String(fault.retryAfterSeconds) };
  return { status, headers, json: faultBody(status, fault.code) };
}
