import { addSeconds } from '../clock.ts';
import type { KeyRecord, Turn } from './key-facts.ts';

/**
 * How much longer than promised a key is left alone: it covers a record that an issuer read up to 10 s ago, a write that
 * was on its way, and clocks that differ.
 */
export const PROMISE_MARGIN_SECONDS = 60;

/**
 * Until when the key in use works at least, as far as the record shows at the instant `at`: whoever makes the next turn
 * at `at` or later leaves it alone until then. Issuers tell it to callers, and the turn writes it down.
 */
export function promiseOf(turn: Turn, promisedUntil: KeyRecord['promisedUntil'], at: Date): Date {
  const endsMs = Math.max(addSeconds(turn.since, turn.rotateEverySeconds).getTime(), at.getTime());
  const untilMs = endsMs + turn.overlapSeconds * 1000;
  return new Date(Math.max(untilMs, promisedUntil[turn.inUse]?.getTime() ?? untilMs));
}

/** An operator said that the keys are compromised, and they are not all renewed yet: nothing can be promised. */
export const isCompromised = ({ runs }: Pick<KeyRecord, 'runs'>): boolean =>
  runs.some(({ reason, doneAt }) => reason === 'compromised' && doneAt === undefined);
