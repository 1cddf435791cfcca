import { makePassword } from './application-password.ts';
import type { Application, Directory } from './directory.ts';
import type { Random } from './random.ts';

/** One application as `GET /state` shows it: everything but passwords' texts. */
export interface ApplicationSummary {
  /** Object id. */
  id: string;
  appId: string;
  displayName: string;
  /** Object ids of its owners. */
  owners: string[];
  /** As written, the newest first; readers of Graph and Entra's replicas may not know of the latest changes yet. */
  passwords: { keyId: string; displayName: string | null; startDateTime: Date; endDateTime: Date }[];
  federatedCredentials: { name: string; issuer: string; subject: string; audiences: readonly string[] }[];
}

/**
 * What an administrator does to applications by hand. `application` is an object id, an application id or a display name.
 * Every function throws an Error that says what to correct when the application, password or owner is not there.
 */
export interface ApplicationOperations {
  /** Gives the new password with its text, as Graph's addPassword does. */
  addPassword(input: { application: string; displayName?: string | undefined; lifetimeSeconds?: number | undefined }): {
    keyId: string;
    secretText: string;
  };
  removePassword(input: { application: string; keyId: string }): void;
  /** Takes one owner away, or all of them when none is named. */
  dropOwner(input: { application: string; owner?: string | undefined }): void;
  list(): ApplicationSummary[];
}

export function createApplicationOperations(
  directory: Directory,
  clock: () => Date,
  random: Random,
): ApplicationOperations {
  const existing = (name: string): Application => {
    const byName = directory.applications.find(({ displayName }) => displayName === name);
    const found = directory.byObjectId(name) ?? directory.byAppId(name) ?? byName;
    if (!found) throw new Error(`There is no application ${name}: GET /state lists those that exist.`);
    return found;
  };
  return {
    addPassword({ application, displayName, lifetimeSeconds }) {
      const now = clock();
      const endDateTime = lifetimeSeconds === undefined ? undefined : new Date(now.getTime() + lifetimeSeconds * 1000);
      const password = makePassword({ displayName, endDateTime }, now, random);
      existing(application).passwords.add(password, now);
      return { keyId: password.keyId, secretText: password.text };
    },
    removePassword({ application, keyId }) {
      const removed = existing(application).passwords.remove((one) => one.keyId === keyId, clock());
      if (!removed) throw new Error(`Application ${application} has no password with keyId ${keyId}: see GET /state.`);
    },
    dropOwner({ application, owner }) {
      const { owners } = existing(application);
      if (owner === undefined) owners.clear();
      else if (!owners.delete(owner))
        throw new Error(`${owner} does not own application ${application}: see GET /state.`);
    },
    list: () => directory.applications.map(summarise),
  };
}

function summarise(application: Application): ApplicationSummary {
  const { id, appId, displayName, owners } = application;
  return {
    id,
    appId,
    displayName,
    owners: [...owners],
    passwords: application.passwords.written().map((password) => {
      const { startDateTime, endDateTime } = password;
      return { keyId: password.keyId, displayName: password.displayName, startDateTime, endDateTime };
    }),
    federatedCredentials: application.federatedCredentials.written().map(({ name, issuer, subject, audiences }) => {
      return { name, issuer, subject, audiences };
    }),
  };
}
