import type { ServiceName } from '../http/service-name.ts';

/** One call that reached a service. It holds no secret: no query, no header, no body. */
export interface Call {
  /** When the call arrived, ISO 8601 UTC. */
  at: string;
  service: ServiceName;
  method: string;
  /** Percent-decoded path without the query. */
  path: string;
  /** HTTP status that the service decided on, also when the answer was lost on purpose. */
  status: number;
  /** Application id that the caller named (token's `appid` or `azp`, or the form's `client_id`), null when it named none. */
  client: string | null;
}

export interface CallLog {
  record(call: Call): void;
  /** All recorded calls, the oldest first. */
  list(): readonly Call[];
  clear(): void;
}

const DEFAULT_CAPACITY = 10_000;

/** Makes an empty call log that keeps the newest `capacity` calls. */
export function createCallLog(capacity = DEFAULT_CAPACITY): CallLog {
  const calls: Call[] = [];
  return {
    record(call) {
      calls.push(call);
      if (calls.length > capacity) calls.shift();
    },
    list: () => [...calls],
    clear() {
      calls.length = 0;
    },
  };
}
