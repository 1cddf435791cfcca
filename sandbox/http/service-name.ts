/** The pretend Azure services: the names that `POST /faults` takes and that `GET /calls` shows. */
export const SERVICE_NAMES = [
  'entra',
  'managedIdentity',
  'keyVault',
  'arm',
  'graph',
  'scoring',
  'tables',
  'audit',
  'blobs',
] as const;

export type ServiceName = (typeof SERVICE_NAMES)[number];
