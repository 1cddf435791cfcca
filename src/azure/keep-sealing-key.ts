import { type Clock, secondsBetween } from '../clock.ts';
import { UpstreamError } from '../errors.ts';
import { type Log, nameError } from '../log.ts';
import type { ReadSecret, Secret, WriteSecret } from './key-vault.ts';
import { decodeSealingKey, PREVIOUS_TAG } from './sealing-keys.ts';

export interface KeepSealingKeyOptions {
  readSecret: ReadSecret;
  writeSecret: WriteSecret;
  /** The Key Vault secret: 32 random bytes, base64url. */
  name: string;
  clock: Clock;
  /** So many random bytes. */
  random: (byteCount: number) => Uint8Array;
  log: Log;
}

/**
 * What a look at the key came to:
 * - `young`: nothing was due; - `made`: a new version is current;
 * - `disabled`, `deleted`, `forbidden`: a person has to act first (the log says how);
 * - `not_a_key`: the secret holds something else, perhaps another's password, and is left alone;
 * - `unreadable`: Key Vault could not be asked, or its answer could not be used: nothing is known.
 */
export type KeptSealingKey = 'young' | 'made' | 'disabled' | 'deleted' | 'forbidden' | 'not_a_key' | 'unreadable';

const KEY_BYTES = 32;
const DAY_SECONDS = 86_400;
/** The current version serves this long; rows sealed with it can be opened for as long again. */
const RENEW_AFTER_SECONDS = 30 * DAY_SECONDS;

const help = {
  disabled: 'Enable its current version: az keyvault secret set-attributes --name <secret> --enabled true.',
  deleted: 'Recover it: az keyvault secret recover --name <secret>; or purge it, and a new one is made.',
  forbidden: 'Give the rotator the role Key Vault Secrets Officer on the vault.',
  not_a_key:
    'Check TOKEN_CACHE_KEY: the secret it names does not hold 32 bytes in base64url, so it is not overwritten.',
  unreadable: 'Nothing is changed; it is tried again.',
} as const satisfies Partial<Record<KeptSealingKey, string>>;

/**
 * Makes the key that seals cached tokens where there is none, and a new version of it monthly, which names the one before
 * in a tag. Never throws. Two rotators at once at worst make two versions: the last one is current and names a key that
 * was in use, and rows sealed with the other are a cache miss.
 */
export async function keepSealingKey(options: KeepSealingKeyOptions): Promise<KeptSealingKey> {
  const { name, log } = options;
  try {
    const current = await readCurrent(options);
    if (current !== undefined && decodeSealingKey(current.value) === undefined) return warn(options, 'not_a_key');
    if (current !== undefined && !isDue(current, options.clock)) return 'young';
    await options.writeSecret(name, {
      value: Buffer.from(options.random(KEY_BYTES)).toString('base64url'),
      tags: current === undefined ? {} : { [PREVIOUS_TAG]: current.version },
    });
    log.info('token_cache_key_made', { secret: name, why: current === undefined ? 'first' : 'due' });
    return 'made';
  } catch (error) {
    return warn(options, toReason(error), error);
  }
}

/** Undefined where there is none; a deleted one shows when its name cannot be written. */
async function readCurrent({ readSecret, name }: KeepSealingKeyOptions): Promise<Secret | undefined> {
  try {
    return await readSecret(name);
  } catch (error) {
    // That there is no such vault says nothing of its secrets.
    if (error instanceof UpstreamError && error.kind === 'not_found' && error.upstreamCode !== 'VaultNotFound') {
      return undefined;
    }
    throw error;
  }
}

const isDue = ({ createdOn }: Secret, clock: Clock) => secondsBetween(createdOn, clock()) >= RENEW_AFTER_SECONDS;

function toReason(error: unknown): keyof typeof help {
  if (!(error instanceof UpstreamError)) return 'unreadable';
  if (error.kind === 'conflict') return 'deleted';
  if (error.kind === 'forbidden') return error.upstreamCode === 'SecretDisabled' ? 'disabled' : 'forbidden';
  return 'unreadable';
}

function warn({ log, name }: KeepSealingKeyOptions, reason: keyof typeof help, error?: unknown): KeptSealingKey {
  log.warn('token_cache_key_not_kept', {
    secret: name,
    reason,
    help: help[reason],
    ...(error === undefined ? {} : { error: nameError(error) }),
  });
  return reason;
}
