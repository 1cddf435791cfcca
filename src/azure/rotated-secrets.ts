import { SecretClient } from '@azure/keyvault-secrets';
import * as z from 'zod';
import { UpstreamError } from '../errors.ts';
import type { Fact, SecretVersion } from '../rotation/facts.ts';
import type { SecretWrite, Vault } from '../rotation/ports.ts';
import type { KeyVaultOptions } from './key-vault.ts';
import { callAzure, clientOptions, parseAnswer } from './transport.ts';

export interface VaultOptions extends KeyVaultOptions {
  /** For tests, which move a clock instead. */
  wait?: (seconds: number) => Promise<unknown>;
}

const service = 'key vault';

/**
 * For some seconds (5 were seen) a secret that is being deleted, or recovered, is neither among the secrets nor among the
 * deleted ones: exactly as if it had never been. Only what is missing in both places this long is not there.
 */
const SETTLE_SECONDS = 6;

/** Counting the versions must not hold up the write, which may carry the only copy of a text. */
const COUNT_MS = 5000;

/** Key Vault's limit for a tag's value. */
const MAX_TAG_CHARACTERS = 256;

/** The SDK writes times as 32-bit numbers: a later end would come out in the past. */
const LATEST_EXPIRY = new Date(0x7fff_ffff * 1000);

const tag = z.string().min(1).optional().catch(undefined);

const currentAnswer = z.looseObject({
  value: z.string(),
  properties: z.looseObject({
    version: z.string().min(1),
    createdOn: z.date(),
    expiresOn: z.date().nullish(),
    tags: z
      .looseObject({
        // Compared with Graph's; a person may have typed it.
        keyId: tag.transform((keyId) => keyId?.toLowerCase()),
        rotation: tag,
        rotationId: tag,
        versions: z
          .string()
          .regex(/^\d{1,9}$/)
          .transform(Number)
          .optional()
          .catch(undefined),
      })
      .nullish(),
  }),
});

type Current = z.output<typeof currentAnswer>;

const toVersion = ({ properties }: Current): SecretVersion => ({
  version: properties.version,
  createdOn: properties.createdOn,
  expiresOn: properties.expiresOn ?? undefined,
  keyId: properties.tags?.keyId,
  rotation: properties.tags?.rotation,
  rotationId: properties.tags?.rotationId,
  versions: properties.tags?.versions,
});

/** "There is no such secret"; that there is no such vault says nothing of its secrets. */
const isSecretNotFound = (error: unknown): boolean =>
  error instanceof UpstreamError && error.kind === 'not_found' && error.upstreamCode !== 'VaultNotFound';

/** What a refused look tells of the secret; anything else than these is thrown. */
function toFact(error: unknown): Exclude<Fact<never>, { kind: 'found' }> {
  if (!(error instanceof UpstreamError)) throw error;
  if (isSecretNotFound(error)) return { kind: 'not_found' };
  if (error.kind === 'forbidden') return { kind: error.upstreamCode === 'SecretDisabled' ? 'disabled' : 'forbidden' };
  // A conflict: it is being deleted or recovered at this moment.
  if (error.outOfReach || error.kind === 'conflict') {
    return { kind: 'unreadable', retryAfterSeconds: error.retryAfterSeconds };
  }
  throw error;
}

/** Tags tell which password a version holds: nothing else links a secret to its password in Entra. */
function tagsOf({ keyId, rotation, rotationId }: SecretWrite, versions: number | undefined): Record<string, string> {
  const tags = { keyId, rotation, rotationId, ...(versions === undefined ? {} : { versions: String(versions) }) };
  for (const [name, value] of Object.entries(tags)) {
    if (value.length > MAX_TAG_CHARACTERS) {
      const limit = `Key Vault takes ${MAX_TAG_CHARACTERS} characters`;
      throw new Error(`The tag ${name} has ${value.length} characters, ${limit}: give the rotation a shorter name.`);
    }
  }
  return tags;
}

/** Secrets as rotation sees them (Key Vault REST reference: Get Secret, Get Deleted Secret, Set Secret). */
export function createVault({ url, credential, challengeVerification, wait }: VaultOptions): Vault {
  const client = new SecretClient(url, credential, {
    ...clientOptions(),
    disableChallengeResourceVerification: !challengeVerification,
  });
  const pause = wait ?? ((seconds: number) => new Promise((resolve) => setTimeout(resolve, seconds * 1000)));
  /** Names that were missing for long enough. Each new secret is waited for once, not at every look until it is written. */
  const missing = new Set<string>();

  const readCurrent = async (name: string): Promise<Current> =>
    parseAnswer(service, currentAnswer, await callAzure(service, () => client.getSecret(name)));

  const lookOnce = async (name: string): Promise<Fact<SecretVersion>> => {
    try {
      return { kind: 'found', value: toVersion(await readCurrent(name)) };
    } catch (error) {
      const fact = toFact(error);
      if (fact.kind !== 'not_found') return fact;
    }
    try {
      await callAzure(service, () => client.getDeletedSecret(name));
      return { kind: 'deleted' };
    } catch (error) {
      return toFact(error);
    }
  };

  /** How many versions there are; undefined where that cannot be told in time. */
  const countVersions = async (name: string): Promise<number | undefined> => {
    try {
      return await callAzure(service, async () => {
        let versions = 0;
        const abortSignal = AbortSignal.timeout(COUNT_MS);
        for await (const _ of client.listPropertiesOfSecretVersions(name, { abortSignal })) versions += 1;
        return versions;
      });
    } catch (error) {
      // The count is for people; a text that is not stored is lost.
      return isSecretNotFound(error) ? 0 : undefined;
    }
  };

  return {
    async look(name) {
      let fact = await lookOnce(name);
      if (fact.kind === 'not_found' && !missing.has(name)) {
        await pause(SETTLE_SECONDS);
        fact = await lookOnce(name);
      }
      if (fact.kind === 'not_found') missing.add(name);
      else missing.delete(name);
      return fact;
    },

    async readValue(name, version) {
      try {
        const current = await readCurrent(name);
        return current.properties.version === version ? current.value : undefined;
      } catch (error) {
        // Nothing is current. Any other refusal says nothing of what is.
        if (isSecretNotFound(error)) return undefined;
        throw error;
      }
    },

    async write(name, secret) {
      const before = await countVersions(name);
      const tags = tagsOf(secret, before === undefined ? undefined : before + 1);
      const expiresOn = secret.expiresOn < LATEST_EXPIRY ? secret.expiresOn : LATEST_EXPIRY;
      await callAzure(service, () => client.setSecret(name, secret.value, { tags, expiresOn }));
      missing.delete(name);
    },
  };
}
