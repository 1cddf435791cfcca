import type { ServiceName } from '../http/service-name.ts';

/** A planned misbehaviour of one service (design: `POST /faults`). */
export interface Fault {
  service: ServiceName;
  /** Tested against `METHOD path` (decoded, without query); absent: every call of the service. */
  match?: RegExp | undefined;
  /** HTTP status of the refusal; 503 when the fault is a refusal that names none. */
  status?: number | undefined;
  /** Error code in the service's own error shape. */
  code?: string | undefined;
  retryAfterSeconds?: number | undefined;
  /** Wait before the answer. Alone, the call then goes through as usual. */
  delayMs?: number | undefined;
  /** The work is done, then the connection is cut instead of answered. */
  commitThenDrop?: boolean | undefined;
  /** How many calls it hits; absent: all until the faults are removed. */
  times?: number | undefined;
}

export interface Faults {
  add(fault: Fault): void;
  clear(): void;
  /** The fault that hits this call, if any: the oldest that matches and is not used up. Counts as one use of it. */
  take(service: ServiceName, method: string, path: string): Fault | undefined;
}

/** Makes an empty list of faults. */
export function createFaults(): Faults {
  let planned: { fault: Fault; left: number }[] = [];
  return {
    add(fault) {
      planned.push({ fault, left: fault.times ?? Number.POSITIVE_INFINITY });
    },
    clear() {
      planned = [];
    },
    take(service, method, path) {
      const hit = planned.find(({ fault }) => fault.service === service && matches(fault, `${method} ${path}`));
      if (!hit) return undefined;
      hit.left -= 1;
      if (hit.left <= 0) planned = planned.filter((one) => one !== hit);
      return hit.fault;
    },
  };
}

/** True when the fault answers with an error instead of letting the service work. */
export function isRefusal(fault: Fault): boolean {
  if (fault.commitThenDrop) return false;
  const asksForError = [fault.status, fault.code, fault.retryAfterSeconds].some((value) => value !== undefined);
  return asksForError || fault.delayMs === undefined;
}

function matches(fault: Fault, call: string): boolean {
  return fault.match === undefined || fault.match.test(call);
}
