import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startAzurite } from '../azurite/start-azurite.ts';
import { appClaims } from '../entra/claims.ts';
import type { EntraKeys } from '../entra/keys.ts';
import { BROKER_IDENTITY, TENANT_ID } from '../seed.ts';
import type { CallLog } from '../state/call-log.ts';
import type { Faults } from '../state/faults.ts';
import type { Random } from '../state/random.ts';
import { serveAccount } from '../tables/serve-account.ts';
import { writeCertificate } from '../tls/write-certificate.ts';
import { blobError, plannedBlobError } from './blob-error.ts';
import { createBlobOwner } from './blob-owner.ts';

export interface PolicyBlobOptions {
  /** The folder of the sandbox; Azurite's working directory and certificate files go below it. */
  folder: string;
  /** PEM texts of the server certificate for 127.0.0.1 and its key. */
  tls: { cert: string; key: string };
  entra: EntraKeys;
  calls: CallLog;
  faults: Faults;
  clock: () => Date;
  random: Random;
}

/** What the owner of the policy does. */
export interface PolicyOperations {
  write(text: string): Promise<void>;
  remove(): Promise<void>;
}

export interface PolicyBlob extends PolicyOperations {
  /** Of the blob that holds the policy. */
  url: string;
  stop(): Promise<void>;
}

const account = 'brokerpolicy';
const container = 'policy';
const blob = 'broker.yaml';
const SEED = fileURLToPath(new URL('../broker.yaml', import.meta.url));
/** A person who has no part in anything else here. */
const OWNER = { appId: 'f0000000-0000-4000-8000-000000000001', oid: 'f0000000-0000-4000-8000-0000000000f1' };

/**
 * Starts Blob Storage with the sandbox's policy in it: the real Azurite, and before it a proxy that checks tokens,
 * records calls and plays faults. The broker's own identity is Storage Blob Data Reader there, and nobody else anything.
 */
export async function startPolicyBlob(options: PolicyBlobOptions): Promise<PolicyBlob> {
  const { entra, clock, random } = options;
  const folder = join(options.folder, 'azurite-blobs');
  const tls = await writeCertificate(folder, options.tls);
  const accounts = { [account]: randomBytes(64).toString('base64') };
  const azurite = await startAzurite({ service: 'blob', port: 0, folder, accounts, tls });
  const basis = { version: '1.0', tenant: TENANT_ID, audience: 'https://storage.azure.com', acr: '1' } as const;
  const token = () => entra.sign(appClaims({ ...basis, ...OWNER, now: clock(), lifetimeSeconds: 600 }, random), '1.0');
  const owner = createBlobOwner({ azuritePort: azurite.port, account, certificate: options.tls.cert, token });
  try {
    await owner.makeContainer(container);
    await owner.put(container, blob, await readFile(SEED, 'utf8'));
    const listener = await serveAccount({
      ...options,
      name: 'blobs',
      account,
      port: 0,
      azuritePort: azurite.port,
      contributors: [],
      readers: [BROKER_IDENTITY.oid],
      toError: blobError,
      plannedError: plannedBlobError,
    });
    return {
      url: `https://127.0.0.1:${listener.port}/${account}/${container}/${blob}`,
      write: (text) => owner.put(container, blob, text),
      remove: () => owner.remove(container, blob),
      async stop() {
        await Promise.all([listener.stop(), azurite.stop()]);
      },
    };
  } catch (error) {
    await azurite.stop();
    throw error;
  }
}
