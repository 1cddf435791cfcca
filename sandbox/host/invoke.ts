import * as z from 'zod';
import type { CoreInvocationContext, FunctionCallback, RpcTraceContext, RpcTypedData } from './core-contract.ts';
import type { CoreModule } from './core-module.ts';
import type { AppFunction } from './load-app.ts';
import type { Logger } from './logger.ts';

export interface InvocationInput {
  data: RpcTypedData;
  trace: RpcTraceContext;
}

/** Runs one invocation. Resolves with the function's return value as the library encoded it, or rejects with `InvocationError`. */
export type Invoke = (fn: AppFunction, input: InvocationInput) => Promise<unknown>;

/** An invocation failed or took too long. It has been logged already. */
export class InvocationError extends Error {
  override name = 'InvocationError';
}

export interface InvokerOptions {
  core: CoreModule;
  logger: Logger;
  /** Longest run in milliseconds; undefined is no limit. */
  timeoutMs: number | undefined;
  newId: () => string;
}

/** Node fires a longer timer at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

const invocationResponse = z.object({ returnValue: z.unknown() });

/**
 * Makes the function that runs invocations: arguments, preInvocation hooks, the handler, postInvocation hooks, response; the order of the real
 * worker. An invocation past the time limit is abandoned: its result, if one ever comes, is dropped.
 */
export function createInvoker({ core, logger, timeoutMs, newId }: InvokerOptions): Invoke {
  return async (fn, input) => {
    const invocationId = newId();
    const { name } = fn.metadata;
    try {
      return await withTimeout(run(core, logger, fn, input, invocationId), timeoutMs);
    } catch (error) {
      const message = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
      logger.invocation(name, 'error', 'user', `invocation ${invocationId} failed: ${message}`);
      throw new InvocationError(`The function "${name}" failed.`, { cause: error });
    }
  };
}

async function run(core: CoreModule, logger: Logger, fn: AppFunction, input: InvocationInput, invocationId: string) {
  const model = core.model();
  if (!model) throw new Error('The app set no programming model.');
  const { name } = fn.metadata;
  const coreContext: CoreInvocationContext = {
    invocationId,
    metadata: fn.metadata,
    request: {
      invocationId,
      functionId: name,
      inputData: [{ name: fn.bindingName, data: input.data }],
      triggerMetadata: {},
      traceContext: input.trace,
      retryContext: null,
    },
    log(level, category, message) {
      const entry = { level, category, message };
      for (const hook of core.hooks('log')) hook(entry);
      logger.invocation(name, entry.level, category, entry.message);
    },
  };
  const invocation = model.getInvocationModel(coreContext);
  const { context, inputs } = await invocation.getArguments();
  const hookData = {};

  coreContext.state = 'preInvocationHooks';
  const before = {
    hookData,
    invocationContext: context,
    inputs,
    functionCallback: fn.handler satisfies FunctionCallback,
  };
  for (const hook of core.hooks('preInvocation')) await hook(before);

  coreContext.state = 'invocation';
  const after: { hookData: object; invocationContext: unknown; inputs: unknown[]; result: unknown; error: unknown } = {
    hookData,
    invocationContext: context,
    inputs: before.inputs,
    result: null,
    error: null,
  };
  try {
    after.result = await invocation.invokeFunction(context, before.inputs, before.functionCallback);
  } catch (error) {
    after.error = error ?? new Error('The function threw nothing.');
  }

  coreContext.state = 'postInvocationHooks';
  for (const hook of core.hooks('postInvocation')) await hook(after);
  if (after.error !== null && after.error !== undefined) throw after.error;
  const response = invocationResponse.parse(await invocation.getResponse(context, after.result));
  return response.returnValue;
}

async function withTimeout<T>(work: Promise<T>, timeoutMs: number | undefined): Promise<T> {
  if (timeoutMs === undefined) return work;
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => {
      reject(new Error(`it ran longer than functionTimeout (${timeoutMs / 1000} s in host.json) and was abandoned`));
    },
    Math.min(timeoutMs, LONGEST_TIMER_MS),
  );
  try {
    return await Promise.race([work, promise]);
  } finally {
    clearTimeout(timer);
  }
}
