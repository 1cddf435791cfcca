import type { PolicySource, PolicyText } from './policy-source.ts';
import type { Parsed } from './settings.ts';

/**
 * A policy that was confirmed longer ago than this is read again before it decides anything. With the time that a read
 * and a request take, what the owner of the policy changed acts within 15 s.
 */
export const CONFIRMED_SECONDS = 10;

/** While it cannot be read the last one serves for this long: an owner may be cutting somebody off meanwhile. */
export const UNREAD_SECONDS = 300;

/** After a read that failed, the next one is tried this much later. */
export const PAUSE_SECONDS = 3;

/** Told as it happens, for log and readiness. */
export interface PolicyNews {
  /** Another version is in force now. */
  taken(version: string): void;
  /** A version with problems; told once. The last good one, if there is any, stays in force. */
  refused(problems: readonly string[], version: string): void;
  unread(error: unknown): void;
  /** After each look. `degraded`: the last good one serves, and something is wrong; `down`: none serves. */
  state(state: 'ok' | 'degraded' | 'down'): void;
}

export interface PolicyInForceOptions<T> {
  source: PolicySource;
  /** Makes of a text what is to be in force, or says what is wrong with it. */
  make: (text: string) => Parsed<T>;
  clock: () => Date;
  news: PolicyNews;
}

/** `never_read`, `unread`: not for too long; `broken`: it was read, and no good version was there yet. */
export type InForce<T> =
  | { ok: true; value: T }
  | { ok: false; why: 'broken' }
  | { ok: false; why: 'never_read' | 'unread'; error: unknown };

/**
 * Gives what the policy in force was made into, reading the policy again first where that is due; callers share one
 * read. There is no timer: an instance that serves nobody reads nothing.
 */
export function createPolicyInForce<T>(options: PolicyInForceOptions<T>): () => Promise<InForce<T>> {
  const { source, make, clock, news } = options;
  let held: { value: T } | undefined;
  /** The version last read, good or not. */
  let known: { version: string; good: boolean } | undefined;
  /** When the last read that succeeded began: what was changed later is not known here. */
  let confirmedAt: Date | undefined;
  let failed: { at: Date; error: unknown } | undefined;
  let looking: Promise<void> | undefined;

  /** A clock that was set back must not make an old policy a young one. */
  const isWithin = (seconds: number, since: Date | undefined): boolean => {
    const age = since === undefined ? -1 : (clock().getTime() - since.getTime()) / 1000;
    return age >= 0 && age < seconds;
  };

  const take = ({ text, version }: PolicyText): void => {
    const made = tryToMake(make, text);
    known = { version, good: made.ok };
    if (made.ok) {
      held = { value: made.value };
      news.taken(version);
    } else news.refused(made.problems, version);
  };

  const look = async (): Promise<void> => {
    const beganAt = clock();
    try {
      const read = await source.read(known?.version);
      if (read !== 'unchanged') take(read);
      confirmedAt = beganAt;
      failed = undefined;
    } catch (error) {
      failed = { at: clock(), error };
      news.unread(error);
    }
    const serves = held !== undefined && isWithin(UNREAD_SECONDS, confirmedAt);
    const well = failed === undefined && known?.good === true;
    news.state(serves ? (well ? 'ok' : 'degraded') : 'down');
  };

  return async () => {
    if (!isWithin(CONFIRMED_SECONDS, confirmedAt)) {
      const due = !isWithin(PAUSE_SECONDS, failed?.at);
      if (due) {
        looking ??= look().finally(() => {
          looking = undefined;
        });
      }
      await looking;
    }
    if (!isWithin(UNREAD_SECONDS, confirmedAt)) {
      return { ok: false, why: confirmedAt === undefined ? 'never_read' : 'unread', error: failed?.error };
    }
    return held === undefined ? { ok: false, why: 'broken' } : { ok: true, value: held.value };
  };
}

/** A version that the rest of the program stumbles over is as broken as one that its schema refuses. */
function tryToMake<T>(make: (text: string) => Parsed<T>, text: string): Parsed<T> {
  try {
    return make(text);
  } catch (error) {
    const name = error instanceof Error ? error.name : typeof error;
    return { ok: false, problems: [`it cannot be put to work (${name}): this is a fault of the broker`] };
  }
}
