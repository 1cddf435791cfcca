import { resolve } from 'node:path';
import { brokerSettingsFor, type SandboxEndpoints } from './broker-settings.ts';
import { ensureEntraKeys } from './entra/keys.ts';
import { ensureOidcKeys } from './oidc/keys.ts';
import { IDENTITY_HEADER } from './seed.ts';
import type { SandboxSettings } from './settings.ts';
import { type Stoppable, startServices } from './start-services.ts';
import { createPretendAzure } from './state/pretend-azure.ts';
import { systemRandom } from './state/random.ts';
import { ensureCertificates } from './tls/certificates.ts';

export interface SandboxOptions {
  /** Where the CA and Entra's signing key are kept, for example `.sandbox`. */
  folder: string;
  settings: SandboxSettings;
  /**
   * 0: every service takes a free port. Else entra listens on `firstPort` + 1, managedIdentity + 2, keyVault + 3, arm + 4,
   * graph + 5, scoring + 6, tables + 7, audit + 8, control + 9, Azurite + 10; `firstPort` itself is for the broker's HTTPS.
   */
  firstPort: number;
  clock?: () => Date;
}

export interface Sandbox {
  /** URLs without a trailing slash. */
  endpoints: SandboxEndpoints;
  /** Absolute path of the CA's PEM file. */
  caCertificate: string;
  /** PEM texts for servers on loopback (localhost, 127.0.0.1, ::1). */
  tls: { cert: string; key: string };
  /** The app settings that a broker needs to use this sandbox; the caller adds PUBLIC_URL, BROKER_ROLE and POLICY. */
  brokerSettings(): Record<string, string>;
  stop(): Promise<void>;
}

/**
 * Starts the pretend Azure in this process, with Azurite as its child: Entra, managed identities, Key Vault, ARM, Graph, scoring,
 * two Table Storage accounts and the control interface, all on loopback.
 *
 * @throws Error that names the port and the setting when a port is busy; nothing keeps running then.
 */
export async function startSandbox(options: SandboxOptions): Promise<Sandbox> {
  const { settings, firstPort, clock = () => new Date() } = options;
  // Azurite's process has a working directory of its own.
  const folder = resolve(options.folder);
  const identityHeader = IDENTITY_HEADER;
  const random = systemRandom;
  const now = clock();
  const [{ caCertificate, tls }, keys, oidcKeys] = await Promise.all([
    ensureCertificates(folder, now),
    ensureEntraKeys(folder, now),
    ensureOidcKeys(folder),
  ]);
  const azure = createPretendAzure(clock, random);
  const context = { azure, keys, oidcKeys, identityHeader, tls, folder, settings, firstPort, clock, random };
  const started: Stoppable[] = [];
  const stop = async () => {
    await Promise.all(started.splice(0).map((one) => one.stop()));
  };
  try {
    const endpoints = await startServices(context, started);
    const brokerSettings = () => brokerSettingsFor({ endpoints, identityHeader, caCertificate, settings });
    return { endpoints, caCertificate, tls, brokerSettings, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
