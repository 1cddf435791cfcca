import type { HttpHandler, HttpRequest, HttpResponseInit, InvocationContext } from '@azure/functions';
import { readBearer } from '../callers/bearer.ts';
import type { Caller } from '../callers/caller.ts';
import type { VerifyCaller } from '../callers/verify.ts';
import { toBrokerError } from '../errors.ts';
import { createLog, type Log, nameError } from '../log.ts';
import { toProblem } from './problem.ts';
import { refuseLargeBody, refuseQuery } from './request.ts';

/** What every function may use of the broker; built in main, rejected with `config_invalid` where that failed. */
export interface CallerGate {
  verifyCaller: VerifyCaller;
}

/** The log of one invocation. */
export function logOf(context: InvocationContext): Log {
  return createLog({
    info: (line) => context.info(line),
    warn: (line) => context.warn(line),
    error: (line) => context.error(line),
  });
}

/**
 * Wraps a handler so that every failure is a problem answer (P7): our own errors as they are, anything else as
 * `internal_error` that says nothing. The log line has the reason and the correlation id, and no part of the request.
 */
export function answering(
  act: (request: HttpRequest, context: InvocationContext) => Promise<HttpResponseInit>,
): HttpHandler {
  return async (request, context) => {
    const correlationId = context.invocationId;
    try {
      return await act(request, context);
    } catch (thrown) {
      const error = toBrokerError(thrown);
      const log = logOf(context);
      const fields = { code: error.code, reason: error.reason, correlationId };
      if (error.status === 500) log.error('failed', { ...fields, error: nameError(thrown) });
      else if (error.status > 500) log.error('failed', fields);
      else log.warn('refused', fields);
      return toProblem(error, correlationId);
    }
  };
}

/**
 * A handler for verified callers only. Cheap refusals come first; the body is read by the handler itself, after the
 * caller is known.
 */
export function forCallers<T extends CallerGate>(
  broker: () => Promise<T>,
  act: (call: { broker: T; caller: Caller; request: HttpRequest; correlationId: string }) => Promise<HttpResponseInit>,
): HttpHandler {
  return answering(async (request, context) => {
    const ready = await broker();
    refuseLargeBody(request);
    refuseQuery(request);
    const caller = await ready.verifyCaller(readBearer(request.headers.get('authorization')));
    return act({ broker: ready, caller, request, correlationId: context.invocationId });
  });
}
