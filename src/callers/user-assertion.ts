import { createHash } from 'node:crypto';

/**
 * A user's own token, kept for the one party that it may be shown to: Entra, when the broker acts in the user's name
 * (OAuth 2.0 on-behalf-of). Printing, logging or serialising it shows nothing of the token.
 */
export class UserAssertion {
  readonly #token: string;
  readonly #hash: string;

  constructor(token: string) {
    this.#token = token;
    this.#hash = createHash('sha256').update(token).digest('base64url');
  }

  /** SHA-256 of the token, base64url: tells assertions apart without showing them. */
  get hash(): string {
    return this.#hash;
  }

  /** The token itself. For the adapter that sends it to Entra, and for nothing else. */
  reveal(): string {
    return this.#token;
  }

  toString(): string {
    return '[user assertion]';
  }

  toJSON(): string {
    return '[user assertion]';
  }
}
