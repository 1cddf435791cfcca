import type { TokenCredential } from '@azure/core-auth';
import { SecretClient } from '@azure/keyvault-secrets';
import * as z from 'zod';
import { callAzure, clientOptions, parseAnswer } from './transport.ts';

/** One version of a secret. */
export interface Secret {
  value: string;
  /** 32 hex characters. */
  version: string;
  /** In steps of one second. */
  createdOn: Date;
  /** Of this version; empty where none are set. */
  tags: Readonly<Record<string, string>>;
}

/**
 * Reads a secret by name: the current version, or exactly the one asked for. Fails with UpstreamError; a disabled
 * version is `forbidden` with the code `SecretDisabled`.
 */
export type ReadSecret = (name: string, version?: string) => Promise<Secret>;

/**
 * Writes a new version, which is current from then on. Fails with UpstreamError; `conflict` where the name is held by a
 * deleted secret. There are no conditional writes: the last writer wins.
 */
export type WriteSecret = (name: string, secret: { value: string; tags: Record<string, string> }) => Promise<void>;

export interface KeyVaultOptions {
  url: string;
  credential: TokenCredential;
  /** Off only for a vault whose host is not one of Azure's. */
  challengeVerification: boolean;
}

const service = 'key vault';

const answerSchema = z.looseObject({
  value: z.string().min(1),
  properties: z.looseObject({
    version: z.string().min(1),
    createdOn: z.date(),
    tags: z.record(z.string(), z.string()).nullish(),
  }),
});

const createClient = ({ url, credential, challengeVerification }: KeyVaultOptions) =>
  new SecretClient(url, credential, {
    ...clientOptions(),
    disableChallengeResourceVerification: !challengeVerification,
  });

/** Key Vault secrets (REST reference: Get Secret), through the official SDK. */
export function createReadSecret(options: KeyVaultOptions): ReadSecret {
  const client = createClient(options);
  return async (name, wanted) => {
    const answer = await callAzure(service, () =>
      client.getSecret(name, wanted === undefined ? {} : { version: wanted }),
    );
    const { value, properties } = parseAnswer(service, answerSchema, answer);
    const { version, createdOn, tags } = properties;
    return { value, version, createdOn, tags: tags ?? {} };
  };
}

/** Key Vault secrets (REST reference: Set Secret), through the official SDK. */
export function createWriteSecret(options: KeyVaultOptions): WriteSecret {
  const client = createClient(options);
  return async (name, { value, tags }) => {
    await callAzure(service, () => client.setSecret(name, value, { tags }));
  };
}
