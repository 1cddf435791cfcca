/** Every adapter, so that composition loads them, and the Azure SDKs under them, with one import of their own. */
export { createAuditStore, keepAuditTables } from './audit-store.ts';
export { asTokenCredential, createObtainToken, managedIdentityCredential } from './credentials.ts';
export { createFetchEntraKeys } from './entra-keys.ts';
export { createReadSecret } from './key-vault.ts';
export { createMachineLearning } from './machine-learning.ts';
export { createSealingKeys } from './sealing-keys.ts';
export { createTables } from './tables.ts';
export { createTokenStore } from './token-store.ts';
