import {
  currentVersion,
  type DeletedSecret,
  recoverableDays,
  type Secret,
  type SecretVersion,
} from './secret-store.ts';

/** Secret items and bundles as the wire has them: instants in epoch seconds, no field for what is not set. */
export type Bundle = Record<string, unknown>;

/** A version with its value: the answer to a write and to a read. */
export function toBundle(vaultUrl: string, secret: Secret, version: SecretVersion): Bundle {
  return { value: version.value, ...toItem(vaultUrl, secret, version) };
}

/** A version without its value: the answer to PATCH and one item of a list of versions. */
export function toItem(vaultUrl: string, secret: Secret, version: SecretVersion): Bundle {
  const { contentType, tags, id } = version;
  return {
    id: `${vaultUrl}/secrets/${secret.name}/${id}`,
    ...(contentType === undefined ? {} : { contentType }),
    attributes: toAttributes(version),
    ...(Object.keys(tags).length === 0 ? {} : { tags }),
  };
}

/** One item of the list of secrets: the current version's attributes under an id without version. */
export function toListedSecret(vaultUrl: string, secret: Secret): Bundle {
  return { ...toItem(vaultUrl, secret, currentVersion(secret)), id: `${vaultUrl}/secrets/${secret.name}` };
}

export function toDeletedBundle(vaultUrl: string, { secret, deleted, scheduledPurge }: DeletedSecret): Bundle {
  return {
    recoveryId: `${vaultUrl}/deletedsecrets/${secret.name}`,
    deletedDate: toSeconds(deleted),
    scheduledPurgeDate: toSeconds(scheduledPurge),
    ...toItem(vaultUrl, secret, currentVersion(secret)),
  };
}

function toAttributes({ enabled, notBefore, expires, created, updated }: SecretVersion): Bundle {
  return {
    enabled,
    ...(notBefore === undefined ? {} : { nbf: toSeconds(notBefore) }),
    ...(expires === undefined ? {} : { exp: toSeconds(expires) }),
    created: toSeconds(created),
    updated: toSeconds(updated),
    recoveryLevel: 'CustomizedRecoverable+Purgeable',
    recoverableDays,
  };
}

function toSeconds(instant: Date): number {
  return Math.floor(instant.getTime() / 1000);
}
