import { addSeconds, type Clock } from '../../../src/clock.ts';
import { UpstreamError } from '../../../src/errors.ts';
import type { SecretVersion } from '../../../src/rotation/facts.ts';
import type { SecretWrite, Vault } from '../../../src/rotation/ports.ts';

/** One version of a secret, with what only the world knows of it. */
export interface StoredVersion {
  told: SecretVersion;
  value: string;
  /** When it really became current; `createdOn` has whole seconds of another clock. */
  writtenAt: Date;
  enabled: boolean;
}

/** Key Vault: the last writer wins, times have whole seconds, nothing is ever deleted through the port. */
export interface KeyVault extends Vault {
  /** All versions of a secret, the current one last; none while it is deleted. */
  versions(name: string): readonly StoredVersion[];
  /** What was there before the first look. */
  seed(name: string, secret: SecretWrite, writtenAt: Date): void;
  /** Somebody writes a version by hand: it has no tags. */
  writeByHand(name: string, value: string): void;
  /** Somebody disables the current version, or enables it again. */
  disable(name: string): void;
  enable(name: string): void;
  /** Somebody deletes the secret, softly, or recovers it, or takes the deleted one away for good. */
  remove(name: string): void;
  recover(name: string): void;
  purge(name: string): void;
}

const wholeSeconds = (instant: Date): Date => new Date(Math.floor(instant.getTime() / 1000) * 1000);

/** `clockSkewSeconds`: how far the vault's clock is ahead of the world's. */
export function createKeyVault(clock: Clock, { clockSkewSeconds }: { clockSkewSeconds: number }): KeyVault {
  const secrets = new Map<string, StoredVersion[]>();
  const deleted = new Map<string, StoredVersion[]>();

  const store = (name: string, value: string, tags: Partial<SecretWrite>, writtenAt: Date) => {
    const versions = secrets.get(name) ?? [];
    const { keyId, rotation, rotationId, expiresOn } = tags;
    const told: SecretVersion = {
      version: `v${versions.length + 1}`,
      createdOn: wholeSeconds(addSeconds(writtenAt, clockSkewSeconds)),
      expiresOn: expiresOn && wholeSeconds(expiresOn),
      keyId,
      rotation,
      rotationId,
      versions: keyId === undefined ? undefined : versions.length + 1,
    };
    versions.push({ told, value, writtenAt, enabled: true });
    secrets.set(name, versions);
  };

  const setEnabled = (name: string, enabled: boolean) => {
    const current = secrets.get(name)?.at(-1);
    if (current !== undefined) current.enabled = enabled;
  };

  const move = (name: string, from: typeof secrets, to: typeof secrets) => {
    const versions = from.get(name);
    if (versions === undefined) return;
    from.delete(name);
    to.set(name, versions);
  };

  const refuse = (kind: 'forbidden' | 'conflict', status: number, upstreamCode: string) =>
    new UpstreamError({ service: 'key vault', kind, status, upstreamCode });

  return {
    versions: (name) => secrets.get(name) ?? [],
    seed: (name, secret, writtenAt) => store(name, secret.value, secret, writtenAt),
    writeByHand: (name, value) => store(name, value, {}, clock()),
    disable: (name) => setEnabled(name, false),
    enable: (name) => setEnabled(name, true),
    remove: (name) => move(name, secrets, deleted),
    recover: (name) => move(name, deleted, secrets),
    purge: (name) => void deleted.delete(name),
    async look(name) {
      const current = secrets.get(name)?.at(-1);
      if (current === undefined) return { kind: deleted.has(name) ? 'deleted' : 'not_found' };
      return current.enabled ? { kind: 'found', value: current.told } : { kind: 'disabled' };
    },
    async readValue(name, version) {
      const current = secrets.get(name)?.at(-1);
      if (current?.enabled === false) throw refuse('forbidden', 403, 'SecretDisabled');
      return current?.told.version === version ? current.value : undefined;
    },
    async write(name, secret) {
      if (deleted.has(name)) throw refuse('conflict', 409, 'ObjectIsDeletedButRecoverable');
      store(name, secret.value, secret, clock());
    },
  };
}
