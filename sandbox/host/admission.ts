export interface AdmissionOptions {
  /** Requests being run or waiting. */
  maxOutstanding: number;
  /** Requests being run. */
  maxConcurrent: number;
}

export interface Admission {
  /**
   * Undefined when too many requests are outstanding: answer 429. Otherwise resolves, when the request may run, with the function to call at its
   * end. Requests wait in the order of their arrival.
   */
  enter(): Promise<() => void> | undefined;
}

/** The limits `maxOutstandingRequests` and `maxConcurrentRequests` of host.json. */
export function createAdmission({ maxOutstanding, maxConcurrent }: AdmissionOptions): Admission {
  const waiting: (() => void)[] = [];
  let running = 0;
  const leave = () => {
    const next = waiting.shift();
    if (next) next();
    else running--;
  };
  return {
    enter() {
      if (running + waiting.length >= maxOutstanding) return undefined;
      if (running < maxConcurrent) {
        running++;
        return Promise.resolve(leave);
      }
      return new Promise((resolve) => waiting.push(() => resolve(leave)));
    },
  };
}
