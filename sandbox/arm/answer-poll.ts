import type { Answer } from '../http/service.ts';
import { REGION } from '../seed.ts';
import type { ArmContext } from './arm-context.ts';
import { providerError } from './arm-errors.ts';
import type { ArmRoute } from './arm-route.ts';
import { ticksOf, toAzureInstant } from './azure-instant.ts';
import { type Operation, operationPath } from './long-running-operations.ts';

/** Answers a look at a long-running operation: its status, or what came of it. */
export function answerPoll(route: Exclude<ArmRoute, { kind: 'resource' }>, context: ArmContext): Answer {
  const { operations } = context.store;
  operations.settle();
  const operation = operations.find(route.name);
  if (operation === undefined) {
    const message = 'The specified operation was not found.';
    return providerError({ status: 404, message, codes: ['UserError', 'NotFound'], ...context, now: context.clock() });
  }
  if (!operations.acceptsQuery(operation, context.exchange.query)) {
    const message = 'The signature of the polling URL does not match: call it exactly as it was given.';
    return providerError({
      status: 400,
      message,
      codes: ['UserError', 'BadArgument'],
      ...context,
      now: context.clock(),
    });
  }
  const isDone = operations.isDone(operation);
  return route.kind === 'operationStatus' ? status(operation, isDone, context) : result(operation, isDone, context);
}

function status(operation: Operation, isDone: boolean, { caller, random }: ArmContext): Answer {
  const { name, started, ends } = operation;
  const ticks = ticksOf(name.slice(name.lastIndexOf(':') + 1));
  return {
    status: 200,
    headers: { 'x-ms-operation-identifier': `tenantId=${caller.tid},objectId=${caller.oid}/${REGION}/${random.id()}` },
    json: {
      id: operationPath(name, 'mfeOperationsStatus'),
      name,
      startTime: toAzureInstant(started, ticks, '+00:00'),
      endTime: isDone ? toAzureInstant(ends, ticks, '+00:00') : '0001-01-01T00:00:00+00:00',
      // It stays 0 also at the end: only `status` tells.
      percentComplete: 0,
      status: isDone ? 'Succeeded' : 'Updating',
    },
  };
}

function result({ name, kind }: Operation, isDone: boolean, { exchange, armUrl, store }: ArmContext): Answer {
  if (isDone) return { status: kind === 'delete' ? 204 : 200 };
  const query = new URLSearchParams(exchange.query).toString();
  const location = `${armUrl}${operationPath(name, 'mfeOperationResults')}?${query}`;
  return { status: 202, headers: { Location: location, 'Retry-After': String(store.operations.retryAfterSeconds) } };
}
