import { addSeconds, type Clock } from '../../../src/clock.ts';
import type { SecretVersion } from '../../../src/rotation/facts.ts';
import type { SecretWrite, Vault } from '../../../src/rotation/ports.ts';

/** One version of a secret, with what only the world knows of it. */
export interface StoredVersion {
  told: SecretVersion;
  value: string;
  /** When it really became current; `createdOn` has whole seconds of another clock. */
  writtenAt: Date;
}

/** Key Vault: the last writer wins, times have whole seconds, nothing is ever deleted through the port. */
export interface KeyVault extends Vault {
  /** All versions of a secret, the current one last. */
  versions(name: string): readonly StoredVersion[];
  /** What was there before the first look. */
  seed(name: string, secret: SecretWrite, writtenAt: Date): void;
}

/** `clockSkewSeconds`: how far the vault's clock is ahead of the world's. */
export function createKeyVault(clock: Clock, { clockSkewSeconds }: { clockSkewSeconds: number }): KeyVault {
  const secrets = new Map<string, StoredVersion[]>();

  const store = (name: string, { value, expiresOn, keyId, rotation, rotationId }: SecretWrite, writtenAt: Date) => {
    const versions = secrets.get(name) ?? [];
    const seconds = Math.floor(addSeconds(writtenAt, clockSkewSeconds).getTime() / 1000);
    const createdOn = new Date(seconds * 1000);
    const version = `v${versions.length + 1}`;
    const told = { version, createdOn, expiresOn, keyId, rotation, rotationId, versions: versions.length + 1 };
    versions.push({ told, value, writtenAt });
    secrets.set(name, versions);
  };

  return {
    versions: (name) => secrets.get(name) ?? [],
    seed: store,
    async look(name) {
      const current = secrets.get(name)?.at(-1);
      return current === undefined ? { kind: 'not_found' } : { kind: 'found', value: current.told };
    },
    async readValue(name, version) {
      const current = secrets.get(name)?.at(-1);
      return current?.told.version === version ? current.value : undefined;
    },
    async write(name, secret) {
      store(name, secret, clock());
    },
  };
}
