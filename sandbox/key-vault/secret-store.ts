import { randomBytes } from 'node:crypto';

/** One version of a secret. Everything but its value can change after it was written. */
export interface SecretVersion {
  /** 32 lower-case hex digits. */
  id: string;
  value: string;
  contentType?: string;
  tags: Readonly<Record<string, string>>;
  enabled: boolean;
  notBefore?: Date;
  expires?: Date;
  created: Date;
  updated: Date;
}

export interface Secret {
  /** In the spelling of its first writer; names compare without case. */
  name: string;
  /** In the order of writing: the last one is current. */
  versions: SecretVersion[];
}

export interface DeletedSecret {
  secret: Secret;
  deleted: Date;
  scheduledPurge: Date;
}

/** What a writer may say about a version; absent fields stay as they are, or take their default in a new version. */
export interface SecretChange {
  contentType?: string | undefined;
  /** Replaces the whole set. */
  tags?: Readonly<Record<string, string>> | undefined;
  enabled?: boolean | undefined;
  notBefore?: Date | undefined;
  expires?: Date | undefined;
}

/** Where a name stands: deleting and recovering take a moment in which neither form of it is to be had. */
export type NameState = 'absent' | 'active' | 'beingDeleted' | 'deleted' | 'recovering';

export interface SecretStore {
  stateOf(name: string): NameState;
  /** An active secret. */
  find(name: string): Secret | undefined;
  /** Active secrets, ordered by name. */
  list(): Secret[];
  /** Writes a new version, which is current from then on. The name must be absent or active. */
  set(name: string, value: string, change?: SecretChange): { secret: Secret; version: SecretVersion };
  update(version: SecretVersion, change: SecretChange): void;
  /** Soft delete; undefined when there is no active secret of that name. */
  remove(name: string): DeletedSecret | undefined;
  /** A secret whose deletion is complete. */
  findDeleted(name: string): DeletedSecret | undefined;
  listDeleted(): DeletedSecret[];
  /** Starts the way back; undefined when no deleted secret of that name is there. */
  recover(name: string): Secret | undefined;
  /** Removes a deleted secret for good; false when there is none. */
  purge(name: string): boolean;
}

export interface SecretStoreOptions {
  clock: () => Date;
  /** How long a deletion or a recovery takes to show; seen were 1 to 5 s. */
  lagSeconds?: number;
  random?: (byteCount: number) => Buffer;
}

/** Days between deletion and purge: what the recorded vault had. */
export const recoverableDays = 7;

const secondMs = 1000;
const dayMs = 86_400 * secondMs;

/** The secrets of the pretend Key Vault, in memory. */
export function createSecretStore({ clock, lagSeconds = 1, random = randomBytes }: SecretStoreOptions): SecretStore {
  const active = new Map<string, { secret: Secret; from: Date }>();
  const removed = new Map<string, DeletedSecret>();
  const keyOf = (name: string) => name.toLowerCase();
  const isSettled = (since: Date) => clock().getTime() >= since.getTime() + lagSeconds * secondMs;

  function stateOf(name: string): NameState {
    const found = active.get(keyOf(name));
    if (found !== undefined) return clock() >= found.from ? 'active' : 'recovering';
    const gone = removed.get(keyOf(name));
    if (gone === undefined) return 'absent';
    return isSettled(gone.deleted) ? 'deleted' : 'beingDeleted';
  }

  const find = (name: string) => (stateOf(name) === 'active' ? active.get(keyOf(name))?.secret : undefined);
  const findDeleted = (name: string) => (stateOf(name) === 'deleted' ? removed.get(keyOf(name)) : undefined);

  return {
    stateOf,
    find,
    findDeleted,
    list: () =>
      [...active.values()]
        .map(({ secret }) => secret)
        .filter(({ name }) => find(name))
        .toSorted(byName),
    listDeleted: () => [...removed.values()].filter(({ secret }) => findDeleted(secret.name)).toSorted(byDeletedName),
    set(name, value, change = {}) {
      const secret = find(name) ?? { name, versions: [] };
      const now = clock();
      const id = random(16).toString('hex');
      const version: SecretVersion = { id, value, tags: {}, enabled: true, created: now, updated: now };
      applyChange(version, change);
      secret.versions.push(version);
      if (secret.versions.length === 1) active.set(keyOf(name), { secret, from: now });
      return { secret, version };
    },
    update(version, change) {
      applyChange(version, change);
      version.updated = clock();
    },
    remove(name) {
      const secret = find(name);
      if (secret === undefined) return undefined;
      const deleted = clock();
      const entry = { secret, deleted, scheduledPurge: new Date(deleted.getTime() + recoverableDays * dayMs) };
      active.delete(keyOf(name));
      removed.set(keyOf(name), entry);
      return entry;
    },
    recover(name) {
      const entry = findDeleted(name);
      if (entry === undefined) return undefined;
      removed.delete(keyOf(name));
      const from = new Date(clock().getTime() + lagSeconds * secondMs);
      active.set(keyOf(name), { secret: entry.secret, from });
      return entry.secret;
    },
    purge: (name) => findDeleted(name) !== undefined && removed.delete(keyOf(name)),
  };
}

/** The version that a read without version gives: the one written last, whatever the order of the list. */
export function currentVersion(secret: Secret): SecretVersion {
  const current = secret.versions.at(-1);
  if (current === undefined) throw new Error(`Secret ${secret.name} has no version: write one before it is read.`);
  return current;
}

function applyChange(version: SecretVersion, change: SecretChange): void {
  const { contentType, tags, enabled, notBefore, expires } = change;
  if (contentType !== undefined) version.contentType = contentType;
  if (tags !== undefined) version.tags = { ...tags };
  if (enabled !== undefined) version.enabled = enabled;
  if (notBefore !== undefined) version.notBefore = notBefore;
  if (expires !== undefined) version.expires = expires;
}

function byName(a: Secret, b: Secret): number {
  return a.name.toLowerCase() < b.name.toLowerCase() ? -1 : 1;
}

function byDeletedName(a: DeletedSecret, b: DeletedSecret): number {
  return byName(a.secret, b.secret);
}
