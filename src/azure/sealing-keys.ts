import { addSeconds, type Clock } from '../clock.ts';
import type { SealingKey } from '../freshness/seal.ts';
import { createSingleFlight } from '../freshness/single-flight.ts';
import { type Log, nameError } from '../log.ts';
import type { ReadSecret } from './key-vault.ts';
import type { SealingKeys } from './token-store.ts';

export interface SealingKeysOptions {
  readSecret: ReadSecret;
  /** The Key Vault secret: 32 random bytes, base64url. */
  name: string;
  clock: Clock;
  log: Log;
  /** Told after every read, for the readiness answer. */
  report: (ok: boolean) => void;
}

/** A new version of the key is noticed after this long … */
const FRESH_SECONDS = 600;
/** … and a missing key is asked for again after this long. */
const RETRY_SECONDS = 15;

/** 32 bytes written as base64url, or undefined for anything else. */
function decodeKey(value: string): Uint8Array | undefined {
  const bytes = Buffer.from(value.trim(), 'base64url');
  return bytes.length === 32 ? new Uint8Array(bytes) : undefined;
}

/** The key that seals cached tokens, read from Key Vault, with the one before it; any other version is unknown. */
export function createSealingKeys({ readSecret, name, clock, log, report }: SealingKeysOptions): SealingKeys {
  let current: SealingKey | undefined;
  let previous: SealingKey | undefined;
  let readAgainAt: Date | undefined;
  const oneRead = createSingleFlight<void>();

  const read = () =>
    oneRead('', async () => {
      try {
        const secret = await readSecret(name);
        const key = decodeKey(secret.value);
        if (key === undefined) throw new Error('the secret is not 32 bytes in base64url');
        if (secret.version !== current?.keyId) {
          previous = current;
          current = { keyId: secret.version, key };
        }
        readAgainAt = addSeconds(clock(), FRESH_SECONDS);
        report(true);
      } catch (error) {
        log.warn('token_cache_key_not_read', { secret: name, error: nameError(error) });
        readAgainAt = addSeconds(clock(), RETRY_SECONDS);
        report(current !== undefined);
      }
    });

  const refreshed = async (): Promise<SealingKey | undefined> => {
    if (readAgainAt === undefined || clock() >= readAgainAt) await read();
    return current;
  };

  return {
    current: refreshed,
    async byId(keyId) {
      await refreshed();
      return [current, previous].find((key) => key?.keyId === keyId);
    },
  };
}
