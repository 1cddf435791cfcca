/** What ARM counts calls as. Every POST is a write, also one that only reads, such as `/token`. */
export type CallKind = 'reads' | 'writes' | 'deletes';

export interface ThrottleDecision {
  isAllowed: boolean;
  /** Calls left to this principal, and to all principals together. */
  remaining: number;
  globalRemaining: number;
  /** Seconds until the next call is allowed; 0 when this one is. */
  retryAfterSeconds: number;
}

export type Throttle = (kind: CallKind, principalId: string) => ThrottleDecision;

const limits: Readonly<Record<CallKind, { size: number; refillPerSecond: number }>> = {
  reads: { size: 250, refillPerSecond: 25 },
  writes: { size: 200, refillPerSecond: 10 },
  deletes: { size: 200, refillPerSecond: 10 },
};
/** All principals of a subscription together have this many times what one has. */
const globalFactor = 15;

export function callKindOf(method: string): CallKind {
  if (method === 'GET' || method === 'HEAD') return 'reads';
  return method === 'DELETE' ? 'deletes' : 'writes';
}

/**
 * Makes ARM's token buckets: one per principal and kind of call, and one for all principals.
 *
 * Source: https://learn.microsoft.com/azure/azure-resource-manager/management/request-limits-and-throttling
 */
export function createThrottle(clock: () => Date): Throttle {
  const buckets = new Map<string, Bucket>();
  const bucketOf = (kind: CallKind, owner: string, factor: number) => {
    const key = `${kind} ${owner}`;
    const found = buckets.get(key);
    if (found !== undefined) return found;
    const { size, refillPerSecond } = limits[kind];
    const made = createBucket(size * factor, refillPerSecond * factor, clock);
    buckets.set(key, made);
    return made;
  };
  return (kind, principalId) => {
    const own = bucketOf(kind, principalId, 1);
    const global = bucketOf(kind, '', globalFactor);
    const waitSeconds = Math.max(own.waitSeconds(), global.waitSeconds());
    const isAllowed = waitSeconds === 0;
    if (isAllowed) for (const bucket of [own, global]) bucket.take();
    return { isAllowed, remaining: own.whole(), globalRemaining: global.whole(), retryAfterSeconds: waitSeconds };
  };
}

interface Bucket {
  take(): void;
  /** Whole seconds until one token is there. */
  waitSeconds(): number;
  whole(): number;
}

function createBucket(size: number, refillPerSecond: number, clock: () => Date): Bucket {
  let tokens = size;
  let at = clock().getTime();
  const refill = () => {
    const now = clock().getTime();
    tokens = Math.min(size, tokens + (Math.max(0, now - at) / 1000) * refillPerSecond);
    at = now;
  };
  return {
    take() {
      tokens -= 1;
    },
    waitSeconds() {
      refill();
      return tokens >= 1 ? 0 : Math.ceil((1 - tokens) / refillPerSecond);
    },
    whole: () => Math.floor(tokens),
  };
}
