import { randomBytes } from 'node:crypto';
import { SecretClient, type SecretClientOptions } from '@azure/keyvault-secrets';
import { describe, expect, it, vi } from 'vitest';
import { keepSealingKey } from '../../src/azure/keep-sealing-key.ts';
import { createReadSecret, createWriteSecret } from '../../src/azure/key-vault.ts';
import { createVault } from '../../src/azure/rotated-secrets.ts';
import { createSealingKeys } from '../../src/azure/sealing-keys.ts';
import { addSeconds } from '../../src/clock.ts';
import { describeVaultContract } from '../rotation/contract/vault.ts';
import { createLogSpy } from '../support/ports.ts';
import { aDummyCredential, peerVaultUrl } from './peer-vault.ts';

/** The broker has no setting for it: only here the SDK talks an older version than its own. */
vi.mock('@azure/keyvault-secrets', async (load) => {
  const { SERVICE_VERSION } = await import('./lowkey-vault.ts');
  const sdk = await load<typeof import('@azure/keyvault-secrets')>();
  class OlderClient extends sdk.SecretClient {
    constructor(url: string, credential: ConstructorParameters<typeof SecretClient>[1], options: SecretClientOptions) {
      super(url, credential, { ...options, serviceVersion: SERVICE_VERSION });
    }
  }
  return { ...sdk, SecretClient: OlderClient };
});

const options = { url: peerVaultUrl, credential: aDummyCredential(), challengeVerification: false };
const client = new SecretClient(peerVaultUrl, options.credential, { disableChallengeResourceVerification: true });

// Without what needs a disabled version: the peer answers 404 for one (see deviations).
describeVaultContract(
  'the Key Vault SDK on Lowkey Vault',
  async () => ({
    vault: createVault({ ...options, wait: () => Promise.resolve() }),
    clock: () => new Date(),
    set: async (name, value) => void (await client.setSecret(name, value)),
    remove: async (name) => void (await client.beginDeleteSecret(name)),
  }),
  { without: ['disable'] },
);

describe('the sealing key on Lowkey Vault', () => {
  it('is made, changes monthly, and is found with the one before it by an instance that starts then', async () => {
    const [readSecret, writeSecret] = [createReadSecret(options), createWriteSecret(options)];
    const { log } = createLogSpy();
    const name = 'token-cache-key';
    const keep = (seconds: number) => {
      const clock = () => addSeconds(new Date(), seconds);
      return keepSealingKey({ readSecret, writeSecret, name, clock, random: randomBytes, log });
    };
    const monthSeconds = 30 * 86_400;
    expect(await keep(0)).toBe('made');
    const first = await readSecret(name);
    expect(await keep(monthSeconds - 60)).toBe('young');
    expect(await keep(monthSeconds)).toBe('made');

    const report = () => undefined;
    const keys = createSealingKeys({ readSecret, name, clock: () => new Date(), log, report });
    expect((await keys.current())?.keyId).not.toBe(first.version);
    expect(await keys.byId(first.version)).toMatchObject({ keyId: first.version });
  });
});
