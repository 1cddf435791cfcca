/**
 * A list whose changes are seen late, as a replica sees them. The newest entry comes first, as Graph lists credentials.
 */
export interface PropagatingList<T> {
  /** Adds an entry; `at` null: it was always there. */
  add(value: T, at: Date | null): void;
  /** Removes the first entry that matches and returns it; undefined when there is none. */
  remove(matches: (value: T) => boolean, at: Date): T | undefined;
  /** The truth: what has been written. */
  written(): T[];
  /** What an observer sees at `now` who learns of each change `lagSeconds` after it was made. */
  seen(now: Date, lagSeconds: number): T[];
}

interface Entry<T> {
  value: T;
  addedMs: number;
  removedMs: number;
}

/** Removed entries are kept this long for observers that lag; no lag is longer (settings: at most an hour). */
const KEEP_REMOVED_MS = 2 * 3_600_000;

export function createPropagatingList<T>(): PropagatingList<T> {
  let entries: Entry<T>[] = [];
  return {
    add(value, at) {
      const addedMs = at?.getTime() ?? Number.NEGATIVE_INFINITY;
      entries = entries.filter(({ removedMs }) => !(removedMs + KEEP_REMOVED_MS < addedMs));
      entries.unshift({ value, addedMs, removedMs: Number.POSITIVE_INFINITY });
    },
    remove(matches, at) {
      const found = entries.find((entry) => isWritten(entry) && matches(entry.value));
      if (found) found.removedMs = at.getTime();
      return found?.value;
    },
    written: () => entries.filter(isWritten).map(({ value }) => value),
    seen(now, lagSeconds) {
      const asOfMs = now.getTime() - lagSeconds * 1000;
      return entries.filter((entry) => entry.addedMs <= asOfMs && entry.removedMs > asOfMs).map(({ value }) => value);
    },
  };
}

function isWritten(entry: Entry<unknown>): boolean {
  return entry.removedMs === Number.POSITIVE_INFINITY;
}
