import type { TokenCredential } from '@azure/core-auth';
import { TableClient, TableServiceClient } from '@azure/data-tables';
import { UpstreamError } from '../errors.ts';
import { callAzure, clientOptions } from './transport.ts';

/** Azure Table Storage by token credential, never by account key. */
export interface Tables {
  /** A client of one table; the same object for the same name. */
  table(name: string): TableClient;
  /** Makes the table where it is missing. Fails with UpstreamError. */
  ensure(name: string): Promise<void>;
  /** Names of the tables that start with these lower-case letters. */
  list(prefix: string): Promise<string[]>;
  drop(name: string): Promise<void>;
}

export function createTables(service: string, url: string, credential: TokenCredential): Tables {
  const clients = new Map<string, TableClient>();
  const account = new TableServiceClient(url, credential, clientOptions());
  const table = (name: string) => {
    const client = clients.get(name) ?? new TableClient(url, name, credential, clientOptions());
    clients.set(name, client);
    return client;
  };
  return {
    table,
    ensure: (name) => callAzure(service, () => table(name).createTable()),
    drop: (name) => callAzure(service, () => account.deleteTable(name)),
    list: (prefix) =>
      callAzure(service, async () => {
        const names: string[] = [];
        // `~` sorts after every letter and digit, so the range is "starts with".
        const filter = `TableName ge '${prefix}' and TableName lt '${prefix}~'`;
        for await (const { name } of account.listTables({ queryOptions: { filter } })) {
          if (name !== undefined) names.push(name);
        }
        return names;
      }),
  };
}

/** True for "there is no such table". */
export function isTableNotFound(error: unknown): boolean {
  return error instanceof UpstreamError && error.upstreamCode === 'TableNotFound';
}

/** True for "there is no such row, or no such table". */
export function isNotFound(error: unknown): boolean {
  return error instanceof UpstreamError && error.kind === 'not_found';
}
