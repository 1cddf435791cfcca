import { setTimeout as sleep } from 'node:timers/promises';
import { SecretClient } from '@azure/keyvault-secrets';
import { describeKeyVault } from '../contract/key-vault-suite.ts';
import { deviations, SERVICE_VERSION } from './lowkey-vault.ts';
import { aDummyCredential, peerVaultUrl } from './peer-vault.ts';

const SETTLE_MS = 20;

const credential = aDummyCredential();

describeKeyVault(
  'Lowkey Vault',
  () => ({
    scopes: credential.scopes,
    now: () => new Date(),
    settle: () => sleep(SETTLE_MS),
    client: () =>
      new SecretClient(peerVaultUrl, credential, {
        serviceVersion: SERVICE_VERSION,
        disableChallengeResourceVerification: true,
        retryOptions: { maxRetries: 0 },
      }),
  }),
  deviations,
);
