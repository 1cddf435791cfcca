/** Every adapter, so that composition loads them, and the Azure SDKs under them, with one import of their own. */
export { createAuditStore, keepAuditTables } from './audit-store.ts';
export { createClientAssertions } from './client-assertions.ts';
export { asTokenCredential, createObtainToken, managedIdentityCredential } from './credentials.ts';
export { createFetchEntraKeys } from './entra-keys.ts';
export { createGraph } from './graph.ts';
export { keepSealingKey } from './keep-sealing-key.ts';
export { createKeyRecords } from './key-records.ts';
export { createReadSecret, createWriteSecret } from './key-vault.ts';
export { createMachineLearning } from './machine-learning.ts';
export { createObtainForUser } from './on-behalf-of.ts';
export { createPolicyBlob } from './policy-blob.ts';
export { createVault } from './rotated-secrets.ts';
export { createRecords } from './rotation-records.ts';
export { createSealingKeys } from './sealing-keys.ts';
export { createSignIn } from './sign-in.ts';
export { createTables } from './tables.ts';
export { createTokenStore } from './token-store.ts';
export { withWebServices } from './web-services.ts';
