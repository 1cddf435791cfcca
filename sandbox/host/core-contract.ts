/**
 * The part of the contract between the Azure Functions Node worker and the library `@azure/functions` that this host uses.
 * The library asks for it as the module `@azure/functions-core`, which is no installable package.
 */

export interface RpcHttpData {
  method: string;
  url: string;
  headers: Record<string, string>;
  query: Record<string, string>;
  params: Record<string, string>;
  nullableHeaders: Record<string, { value?: string }>;
  nullableQuery: Record<string, { value?: string }>;
  nullableParams: Record<string, { value?: string }>;
  body?: RpcTypedData;
  identities: unknown[];
}

/** One value on its way to or from a function. Exactly one of the fields is set. */
export interface RpcTypedData {
  string?: string;
  json?: string;
  bytes?: Uint8Array;
  http?: RpcHttpData;
}

/** W3C trace context of one invocation. */
export interface RpcTraceContext {
  traceParent: string;
  traceState: string;
  attributes: Record<string, string>;
}

export interface FunctionMetadata {
  name: string;
  bindings: Record<string, unknown>;
  retryOptions?: unknown;
}

export type FunctionCallback = (...inputs: unknown[]) => unknown;
export type HookCallback = (context: unknown) => unknown;

export interface CoreInvocationContext {
  invocationId: string;
  request: {
    invocationId: string;
    functionId: string;
    inputData: { name: string; data: RpcTypedData }[];
    triggerMetadata: Record<string, RpcTypedData>;
    traceContext: RpcTraceContext;
    retryContext: null;
  };
  metadata: FunctionMetadata;
  state?: 'preInvocationHooks' | 'invocation' | 'postInvocationHooks';
  log(level: string, category: string, message: string): void;
}

export interface InvocationModel {
  getArguments(): Promise<{ context: unknown; inputs: unknown[] }>;
  invokeFunction(context: unknown, inputs: unknown[], handler: FunctionCallback): Promise<unknown>;
  getResponse(context: unknown, result: unknown): Promise<unknown>;
}

export interface ProgrammingModel {
  name: string;
  version: string;
  getInvocationModel(context: CoreInvocationContext): InvocationModel;
  getCapabilities(workerCapabilities: Record<string, string>): Promise<Record<string, string>>;
}
