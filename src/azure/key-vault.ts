import type { TokenCredential } from '@azure/core-auth';
import { SecretClient } from '@azure/keyvault-secrets';
import * as z from 'zod';
import { callAzure, clientOptions, parseAnswer } from './transport.ts';

/** A secret's current version. */
export interface Secret {
  value: string;
  /** 32 hex characters. */
  version: string;
}

/** Reads the current version of a secret by name. Fails with UpstreamError; a disabled version is `forbidden`. */
export type ReadSecret = (name: string) => Promise<Secret>;

export interface KeyVaultOptions {
  url: string;
  credential: TokenCredential;
  /** Off only for a vault whose host is not one of Azure's. */
  challengeVerification: boolean;
}

const service = 'key vault';

const answerSchema = z.looseObject({
  value: z.string().min(1),
  properties: z.looseObject({ version: z.string().min(1) }),
});

/** Key Vault secrets (REST reference: Get Secret), through the official SDK. */
export function createReadSecret({ url, credential, challengeVerification }: KeyVaultOptions): ReadSecret {
  const client = new SecretClient(url, credential, {
    ...clientOptions(),
    disableChallengeResourceVerification: !challengeVerification,
  });
  return async (name) => {
    const answer = await callAzure(service, () => client.getSecret(name));
    const { value, properties } = parseAnswer(service, answerSchema, answer);
    return { value, version: properties.version };
  };
}
