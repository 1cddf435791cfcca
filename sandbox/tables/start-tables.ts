import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { startAzurite } from '../azurite/start-azurite.ts';
import type { EntraKeys } from '../entra/keys.ts';
import type { Listener } from '../http/listen.ts';
import { BROKER_IDENTITY } from '../seed.ts';
import type { CallLog } from '../state/call-log.ts';
import type { Faults } from '../state/faults.ts';
import { writeCertificate } from '../tls/write-certificate.ts';
import { serveAccount } from './serve-account.ts';

export interface TablesOptions {
  /** 0: a free one. */
  ports: { tables: number; audit: number; azurite: number };
  /** The folder of the sandbox; Azurite's working directory and certificate files go into `azurite` below it. */
  folder: string;
  /** PEM texts of the server certificate for 127.0.0.1 and its key. */
  tls: { cert: string; key: string };
  /** Verifies callers' tokens: Azurite itself looks at their claims but not at their signature. */
  entra: EntraKeys;
  /** Object ids with the role Storage Table Data Contributor; the broker's own identity when absent. */
  contributors?: readonly string[];
  calls: CallLog;
  faults: Faults;
  clock: () => Date;
}

export interface Tables {
  /** `https://127.0.0.1:PORT/ACCOUNT`. By address, because data-tables takes the name `localhost` for Cosmos DB. */
  tables: string;
  audit: string;
  stop(): Promise<void>;
}

/** Account of the broker's state. */
export const tokensAccount = 'brokertokens';
/** Account of the audit records. */
export const auditAccount = 'brokeraudit';

/**
 * Starts Table Storage: the real Azurite with two accounts, and before each account a proxy that checks the caller's
 * token, records calls and plays faults. Only tokens open it: the accounts' keys are random and nobody learns them.
 *
 * @throws Error that names the port and the setting when a port is in use.
 */
export async function startTables(options: TablesOptions): Promise<Tables> {
  const folder = join(options.folder, 'azurite');
  const tls = await writeCertificate(folder, options.tls);
  const newKey = () => randomBytes(64).toString('base64');
  const accounts = { [tokensAccount]: newKey(), [auditAccount]: newKey() };
  const azurite = await startAzurite({ service: 'table', port: options.ports.azurite, folder, accounts, tls });
  const listeners: Listener[] = [];
  const stop = async () => {
    await Promise.all([...listeners.map((listener) => listener.stop()), azurite.stop()]);
  };
  const serveOne = async (name: 'tables' | 'audit', account: string) => {
    const port = options.ports[name];
    const listener = await serveAccount({
      contributors: [BROKER_IDENTITY.oid],
      ...options,
      name,
      account,
      port,
      azuritePort: azurite.port,
    });
    listeners.push(listener);
    return `https://127.0.0.1:${listener.port}/${account}`;
  };
  try {
    const tables = await serveOne('tables', tokensAccount);
    const audit = await serveOne('audit', auditAccount);
    return { tables, audit, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
