import type { Random } from './random.ts';

/** One password (client secret) of an application. */
export interface ApplicationPassword {
  keyId: string;
  displayName: string | null;
  /** Shown once, by addPassword. */
  text: string;
  startDateTime: Date;
  endDateTime: Date;
}

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789~._-';
const TEXT_LENGTH = 40;
const HINT_LENGTH = 3;
const DEFAULT_LIFE_YEARS = 2;

/** Makes a password as the directory does: text by the service, two years from its start unless told otherwise. */
export function makePassword(
  wanted: { displayName?: string | null | undefined; startDateTime?: Date | undefined; endDateTime?: Date | undefined },
  now: Date,
  random: Random,
): ApplicationPassword {
  const startDateTime = wanted.startDateTime ?? now;
  const defaultEnd = new Date(startDateTime);
  defaultEnd.setUTCFullYear(defaultEnd.getUTCFullYear() + DEFAULT_LIFE_YEARS);
  return {
    keyId: random.id(),
    displayName: wanted.displayName ?? null,
    text: passwordText(random),
    startDateTime,
    endDateTime: wanted.endDateTime ?? defaultEnd,
  };
}

/** The start of a password's text, which Graph goes on showing. */
export function hintOf(password: ApplicationPassword): string {
  return password.text.slice(0, HINT_LENGTH);
}

function passwordText(random: Random): string {
  // The first characters are plain, `~`, `.`, `_` and `-` can follow: a client has to form-encode it.
  const characters = [...random.bytes(TEXT_LENGTH)].map((byte) => ALPHABET.charAt(byte % ALPHABET.length));
  return `${characters
    .slice(0, HINT_LENGTH)
    .join('')
    .replace(/[~._-]/g, 'x')}8Q~${characters.slice(HINT_LENGTH + 3).join('')}`;
}
