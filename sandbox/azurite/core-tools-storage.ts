import type { AzuriteService } from './entry-point.ts';
import { type Azurite, startAzurite } from './start-azurite.ts';

export interface CoreToolsStorageOptions {
  /** Working directory of the child processes. */
  folder: string;
  blobPort: number;
  queuePort: number;
  /** The host needs no tables; give a port where some extension does. */
  tablePort?: number;
}

export interface CoreToolsStorage {
  /** For `AzureWebJobsStorage`. */
  connectionString: string;
  stop(): Promise<void>;
}

const account = 'devstoreaccount1';
/** The one account key that is no secret: every storage emulator has it, and it is printed in its documentation. */
const publishedKey = 'Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==';

/**
 * Starts the storage that `func start` keeps its own books in (timer locks, keys): Azurite over plain HTTP on
 * 127.0.0.1. The broker itself never uses it. Rejects when a port is in use.
 *
 * Source: https://learn.microsoft.com/azure/storage/common/storage-connect-azurite
 */
export async function startCoreToolsStorage(options: CoreToolsStorageOptions): Promise<CoreToolsStorage> {
  const { folder, blobPort, queuePort, tablePort } = options;
  const wanted: [AzuriteService, number | undefined][] = [
    ['blob', blobPort],
    ['queue', queuePort],
    ['table', tablePort],
  ];
  const running: Azurite[] = [];
  const stop = async () => {
    await Promise.all(running.map((azurite) => azurite.stop()));
  };
  const parts = ['DefaultEndpointsProtocol=http', `AccountName=${account}`, `AccountKey=${publishedKey}`];
  try {
    for (const [service, port] of wanted) {
      if (port === undefined) continue;
      const azurite = await startAzurite({ service, port, folder, accounts: { [account]: publishedKey } });
      running.push(azurite);
      parts.push(`${endpointName[service]}=http://127.0.0.1:${azurite.port}/${account}`);
    }
  } catch (error) {
    await stop();
    throw error;
  }
  return { connectionString: `${parts.join(';')};`, stop };
}

const endpointName = { blob: 'BlobEndpoint', queue: 'QueueEndpoint', table: 'TableEndpoint' } as const;
