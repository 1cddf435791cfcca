import { createHash } from 'node:crypto';

/** The tokens that one endpoint has been given, by their hash: nothing else scores. */
export interface IssuedTokens {
  remember(token: string, expires: Date, now: Date): void;
  isValid(token: string, now: Date): boolean;
}

export function createIssuedTokens(): IssuedTokens {
  const expiryOf = new Map<string, Date>();
  return {
    remember(token, expires, now) {
      for (const [hash, end] of expiryOf) if (end <= now) expiryOf.delete(hash);
      expiryOf.set(sha256(token), expires);
    },
    isValid(token, now) {
      const expires = expiryOf.get(sha256(token));
      return expires !== undefined && now < expires;
    },
  };
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
