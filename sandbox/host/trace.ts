import { randomBytes } from 'node:crypto';
import type { RpcTraceContext } from './core-contract.ts';

/** A span of its own for one invocation: in the caller's trace when `traceparent` is a valid W3C header, else in a new one. */
export function newTrace(traceparent = '', tracestate = ''): RpcTraceContext {
  const [, traceId, flags] = /^00-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})$/.exec(traceparent) ?? [];
  const id = traceId ?? randomBytes(16).toString('hex');
  return {
    traceParent: `00-${id}-${randomBytes(8).toString('hex')}-${flags ?? '00'}`,
    traceState: traceId ? tracestate : '',
    attributes: {},
  };
}
