import { BrokerError, UpstreamError, type UpstreamKind } from '../errors.ts';
import { nameError } from '../log.ts';
import { inWords, type Reason } from '../rotation/reasons.ts';
import { CliError } from './cli-error.ts';

/** What people read at the terminal: times, names of others, failures. Never a secret, a stack or an SDK's text. */

const units = [
  ['d', 86_400],
  ['h', 3600],
  ['min', 60],
] as const;

/** A length of time, roughly: 2591999 → `30 d`, 86400 → `24 h`. */
export function roughly(seconds: number): string {
  const whole = Math.abs(seconds);
  const [unit, length] = units.find(([, size]) => whole >= 2 * size) ?? ['s', 1];
  return `${Math.round(whole / length)} ${unit}`;
}

/** An instant to the second, in UTC. */
export const instantText = (instant: Date): string => `${instant.toISOString().slice(0, 19)}Z`;

/** A name that somebody else chose, on one line and without what a terminal would obey. */
export const quoted = (name: string | undefined): string =>
  name === undefined ? 'without a name' : `"${name.replaceAll(/\p{C}/gu, '?').slice(0, 120)}"`;

/** Of which rotation a reason speaks; what is not known stays a placeholder. */
export interface Subject {
  secret: string;
  application: string;
  clientId: string;
  /** Object id of who is to be made an owner, where that is known. */
  rotator: string | undefined;
}

/** A reason with its way out, its placeholders filled in. */
export function reasonInWords(reason: Reason, subject: Subject): { means: string; asks: string | undefined } {
  const { means, asks } = inWords(reason);
  const filled = asks
    ?.replaceAll('<application>', subject.application)
    .replaceAll('<clientId>', subject.clientId)
    .replaceAll('<secret>', subject.secret)
    .replaceAll('<the rotator’s object id>', subject.rotator ?? '<the rotator’s object id>');
  return { means, asks: filled };
}

const advice: Readonly<Record<UpstreamKind, string>> = {
  not_found: 'Azure does not know what was asked for: check the URLs in the settings and the names in the policy.',
  forbidden: 'Azure forbids it to who is signed in: check the roles that the README lists for the rotator.',
  credential_refused: 'Azure refuses who is signed in: check the managed identity, or run az login again.',
  step_up_required: 'Entra wants a stronger sign-in of you: run az login again.',
  user_refused: 'Entra refuses your sign-in: run az login again.',
  throttled: 'Azure asks for a pause: run this again in a minute.',
  unavailable: 'Azure did not answer, or nobody is signed in: run az login, check the network, and run this again.',
  conflict: 'Something changed at the same moment: run this again.',
  unexpected: 'Azure gave an answer that cannot be used: run this again, and report it if it stays.',
};

/** Any failure as lines for a person. */
export function failureInWords(thrown: unknown): string {
  if (thrown instanceof CliError) return thrown.message;
  if (thrown instanceof UpstreamError) return `${thrown.message}\n${advice[thrown.kind]}`;
  if (thrown instanceof BrokerError) return `${thrown.message}\n${thrown.detail}`;
  return `This is a fault of the broker (${nameError(thrown)}): please report it.`;
}
