import { addSeconds, type Clock, secondsBetween } from '../clock.ts';
import type { SealingKey } from '../freshness/seal.ts';
import { createSingleFlight } from '../freshness/single-flight.ts';
import { type Log, nameError } from '../log.ts';
import type { ReadSecret, Secret } from './key-vault.ts';
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

/** The tag by which a version of the key names the version before it: the order of a list says nothing of age. */
export const PREVIOUS_TAG = 'previous';

/** A new version of the key is noticed after this long … */
const FRESH_SECONDS = 600;
/** … and a missing key, or one named by a row and not known, is asked for again after this long. */
const RETRY_SECONDS = 15;

/** 32 bytes written as base64url (or base64), or undefined for anything else. */
export function decodeSealingKey(value: string): Uint8Array | undefined {
  const text = value.trim();
  return /^[\w+/-]{43}=?$/.test(text) ? new Uint8Array(Buffer.from(text, 'base64url')) : undefined;
}

/**
 * The key that seals cached tokens, read from Key Vault, with the one before it; any other version is unknown. An
 * instance that starts after a change finds the one before by the current version's tag.
 */
export function createSealingKeys({ readSecret, name, clock, log, report }: SealingKeysOptions): SealingKeys {
  let current: SealingKey | undefined;
  let previous: SealingKey | undefined;
  let lastRead: Date | undefined;
  let readAgainAt: Date | undefined;
  const oneRead = createSingleFlight<void>();

  const known = (keyId: string) => [current, previous].find((key) => key?.keyId === keyId);

  /** What this version opens; the vault may answer with another version than asked for only by mistake. */
  const readKey = async (version: string): Promise<SealingKey | undefined> => {
    try {
      const secret = await readSecret(name, version);
      const key = decodeSealingKey(secret.value);
      if (key !== undefined && secret.version === version) return { keyId: version, key };
      throw new Error('the version before the current one is no key');
    } catch (error) {
      // Rows that it sealed are read as if they were not there.
      log.warn('previous_token_cache_key_not_read', { secret: name, error: nameError(error) });
      return undefined;
    }
  };

  /** The key before this version: the one it names, else the one that this instance has used until now. */
  const keyBefore = async ({ version, tags }: Secret): Promise<SealingKey | undefined> => {
    const named = tags[PREVIOUS_TAG];
    if (named !== undefined && named !== version) return known(named) ?? readKey(named);
    return version === current?.keyId ? previous : current;
  };

  const read = () =>
    oneRead('', async () => {
      lastRead = clock();
      try {
        const secret = await readSecret(name);
        const key = decodeSealingKey(secret.value);
        if (key === undefined) throw new Error('the secret is not 32 bytes in base64url');
        const before = await keyBefore(secret);
        [current, previous] = [{ keyId: secret.version, key }, before];
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
      // Another instance may have noticed a new version first: its rows must not cost a token each until this one does.
      const mayBeNew = lastRead !== undefined && secondsBetween(lastRead, clock()) >= RETRY_SECONDS;
      if (known(keyId) === undefined && mayBeNew) await read();
      return known(keyId);
    },
  };
}
