import { currentVersion, type SecretStore } from './secret-store.ts';

/** One secret as `GET /state` shows it: everything but values. */
export interface SecretSummary {
  name: string;
  versions: SecretVersionSummary[];
}

export interface SecretVersionSummary {
  id: string;
  current: boolean;
  enabled: boolean;
  tags: Readonly<Record<string, string>>;
  created: Date;
  updated: Date;
  expires: Date | null;
}

/**
 * What an administrator does to secrets by hand. Every function throws an Error that says what to correct when the
 * secret is not there or the name is taken by a deleted one.
 */
export interface SecretOperations {
  /** Writes a new current version. Gives the version's id. */
  setSecret(input: { name: string; value: string; tags?: Record<string, string> }): { version: string };
  /** Disables one version, the current one when none is named. */
  disableSecret(input: { name: string; version?: string }): { version: string };
  /** Soft-deletes the secret with all its versions. */
  deleteSecret(input: { name: string }): void;
  list(): SecretSummary[];
}

export function createSecretOperations(store: SecretStore): SecretOperations {
  const existing = (name: string) => {
    const secret = store.find(name);
    if (secret === undefined) throw new Error(`There is no secret ${name}: GET /state lists those that exist.`);
    return secret;
  };
  return {
    setSecret({ name, value, tags }) {
      const state = store.stateOf(name);
      if (state !== 'absent' && state !== 'active') {
        throw new Error(`The name ${name} is held by a deleted secret: recover or purge that one first.`);
      }
      return { version: store.set(name, value, { tags }).version.id };
    },
    disableSecret({ name, version: id }) {
      const secret = existing(name);
      const version = id === undefined ? currentVersion(secret) : secret.versions.find((one) => one.id === id);
      if (version === undefined) throw new Error(`Secret ${name} has no version ${id}: GET /state lists its versions.`);
      store.update(version, { enabled: false });
      return { version: version.id };
    },
    deleteSecret({ name }) {
      store.remove(existing(name).name);
    },
    list: () =>
      store.list().map((secret) => ({
        name: secret.name,
        versions: secret.versions.map(({ id, enabled, tags, created, updated, expires = null }) => {
          return { id, current: id === currentVersion(secret).id, enabled, tags, created, updated, expires };
        }),
      })),
  };
}
