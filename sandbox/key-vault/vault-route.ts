/** One operation of the secrets data plane, read from method and path. */
export type VaultRoute =
  | { operation: 'listSecrets' | 'listDeleted' }
  | { operation: 'set' | 'listVersions' | 'delete' | 'getDeleted' | 'recover' | 'purge'; name: string }
  | { operation: 'get' | 'update'; name: string; version: string };

export type VaultOperation = VaultRoute['operation'];

/** The data action that a caller needs for each operation (Azure role-based access). */
export const dataActions: Readonly<Record<VaultOperation, string>> = {
  listSecrets: 'Microsoft.KeyVault/vaults/secrets/readMetadata/action',
  listVersions: 'Microsoft.KeyVault/vaults/secrets/readMetadata/action',
  listDeleted: 'Microsoft.KeyVault/vaults/secrets/readMetadata/action',
  getDeleted: 'Microsoft.KeyVault/vaults/secrets/readMetadata/action',
  get: 'Microsoft.KeyVault/vaults/secrets/getSecret/action',
  set: 'Microsoft.KeyVault/vaults/secrets/setSecret/action',
  update: 'Microsoft.KeyVault/vaults/secrets/update/action',
  delete: 'Microsoft.KeyVault/vaults/secrets/delete',
  recover: 'Microsoft.KeyVault/vaults/secrets/recover/action',
  purge: 'Microsoft.KeyVault/vaults/secrets/purge/action',
};

/**
 * Reads a route from method and raw path; undefined when Key Vault has no such operation (or this one does not: keys,
 * certificates, backup and restore). A trailing slash is an empty version, which stands for the current one.
 */
export function readVaultRoute(method: string, rawPath: string): VaultRoute | undefined {
  const [collection, name, third, ...rest] = rawPath.split('/').slice(1).map(decodeURIComponent);
  if (rest.length > 0) return undefined;
  if (collection === 'secrets') return name === undefined ? listRoute(method) : secretRoute(method, name, third);
  if (collection === 'deletedsecrets') return deletedRoute(method, name, third);
  return undefined;
}

function listRoute(method: string): VaultRoute | undefined {
  return method === 'GET' ? { operation: 'listSecrets' } : undefined;
}

function secretRoute(method: string, name: string, third: string | undefined): VaultRoute | undefined {
  if (method === 'GET' && third === 'versions') return { operation: 'listVersions', name };
  if (method === 'GET') return { operation: 'get', name, version: third ?? '' };
  if (method === 'PATCH') return { operation: 'update', name, version: third ?? '' };
  if (third !== undefined && third !== '') return undefined;
  if (method === 'PUT') return { operation: 'set', name };
  return method === 'DELETE' ? { operation: 'delete', name } : undefined;
}

function deletedRoute(method: string, name: string | undefined, third: string | undefined): VaultRoute | undefined {
  if (name === undefined) return method === 'GET' ? { operation: 'listDeleted' } : undefined;
  if (third === 'recover') return method === 'POST' ? { operation: 'recover', name } : undefined;
  if (third !== undefined && third !== '') return undefined;
  if (method === 'GET') return { operation: 'getDeleted', name };
  return method === 'DELETE' ? { operation: 'purge', name } : undefined;
}
