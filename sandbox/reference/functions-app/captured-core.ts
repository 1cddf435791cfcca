import { createRequire } from 'node:module';
import type {
  CoreInvocationContext,
  FunctionCallback,
  FunctionMetadata,
  ProgrammingModel,
} from '../../host/core-contract.ts';

/** What passed between the host and the library, as JSON: bytes are written as `<Uint8Array of TEXT>`. */
export interface Captured {
  registrations: FunctionMetadata[];
  invocations: { name: string; inputData: unknown; response: unknown }[];
}

interface FunctionsCore {
  setProgrammingModel(model: ProgrammingModel): void;
  registerFunction(metadata: FunctionMetadata, handler: FunctionCallback): unknown;
}

/**
 * Listens in on `@azure/functions-core`, the module that the host supplies. Call it before the first `app.*` call: the library
 * asks the module then.
 */
export function captureCore(): Captured {
  const captured: Captured = { registrations: [], invocations: [] };
  const core: FunctionsCore = createRequire(import.meta.url)('@azure/functions-core');
  const { setProgrammingModel, registerFunction } = core;
  core.registerFunction = (metadata, handler) => {
    captured.registrations.push(metadata);
    // The development host runs HTTP and timer triggers; what the library registers for others is compared all the same.
    return metadata.name === 'eg' ? undefined : registerFunction(withoutKey(metadata), handler);
  };
  core.setProgrammingModel = (model) => setProgrammingModel(listenIn(model, captured));
  return captured;
}

/** The development host has no function keys and refuses a function that asks for one. */
function withoutKey(metadata: FunctionMetadata): FunctionMetadata {
  const bindings = Object.entries(metadata.bindings).map(([name, binding]) => [name, anonymous(binding)]);
  return { ...metadata, bindings: Object.fromEntries(bindings) };
}

function anonymous(binding: unknown): unknown {
  const hasLevel = typeof binding === 'object' && binding !== null && 'authLevel' in binding;
  return hasLevel ? { ...binding, authLevel: 'anonymous' } : binding;
}

function listenIn(model: ProgrammingModel, captured: Captured): ProgrammingModel {
  return {
    name: model.name,
    version: model.version,
    getCapabilities: (capabilities) => model.getCapabilities(capabilities),
    getInvocationModel(context: CoreInvocationContext) {
      const invocation = model.getInvocationModel(context);
      return {
        getArguments: () => invocation.getArguments(),
        invokeFunction: (...given) => invocation.invokeFunction(...given),
        async getResponse(...given) {
          const response = await invocation.getResponse(...given);
          captured.invocations.push({ name: context.metadata.name, inputData: context.request.inputData, response });
          return response;
        },
      };
    },
  };
}

/** JSON text of what was captured. */
export function writeCaptured(captured: unknown): string {
  return JSON.stringify(withBytesAsText(captured));
}

/** Not a replacer of JSON.stringify: that one sees a Buffer only after its toJSON. */
function withBytesAsText(value: unknown): unknown {
  if (value instanceof Uint8Array) return `<Uint8Array of ${Buffer.from(value).toString('utf8')}>`;
  if (Array.isArray(value)) return value.map(withBytesAsText);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, withBytesAsText(item)]));
}
