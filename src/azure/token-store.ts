import { createHash } from 'node:crypto';
import * as z from 'zod';
import type { Clock } from '../clock.ts';
import type { TokenStore } from '../freshness/ports.ts';
import { open, type SealingKey, seal, sealingKeyId } from '../freshness/seal.ts';
import { isNotFound, isTableNotFound, type Tables } from './tables.ts';
import { callAzure, parseAnswer } from './transport.ts';

export interface SealingKeys {
  /** The key to seal with; undefined while it cannot be had: then nothing is stored and nothing is read. */
  current(): Promise<SealingKey | undefined>;
  /** The key of this version, if it is still kept. */
  byId(keyId: string): Promise<SealingKey | undefined>;
}

export interface TokenStoreOptions {
  tables: Tables;
  keys: SealingKeys;
  clock: Clock;
  /** Told after every use, for the readiness answer. */
  report: (ok: boolean) => void;
}

const service = 'token store';
const TABLE = 'endpointtokens';

const row = z.looseObject({ sealed: z.string() });

/** ARM ids have slashes, which table keys may not have. */
const partitionOf = (endpointId: string): string => createHash('sha256').update(endpointId).digest('hex');

/**
 * Sealed endpoint tokens in Table Storage: one row for each endpoint and identity. `endpoint` and `expiresOn` stand
 * beside the sealed text for people; nothing reads them.
 */
export function createTokenStore({
  tables,
  keys,
  clock,
  report,
}: TokenStoreOptions): TokenStore & { prepare(): Promise<void> } {
  const reported = async <T>(call: () => Promise<T>): Promise<T> => {
    try {
      const result = await callAzure(service, call);
      report(true);
      return result;
    } catch (error) {
      // A row that is not there is an answer; a table that is not there is a fault.
      report(isNotFound(error) && !isTableNotFound(error));
      throw error;
    }
  };
  const table = () => tables.table(TABLE);

  /** The table is made at start; where that failed, the first write makes it. */
  const inTable = async <T>(call: () => Promise<T>): Promise<T> => {
    try {
      return await reported(call);
    } catch (error) {
      if (!isTableNotFound(error)) throw error;
      await reported(() => tables.ensure(TABLE));
      return reported(call);
    }
  };

  return {
    prepare: () => reported(() => tables.ensure(TABLE)),

    async read(endpointId, identity) {
      if ((await keys.current()) === undefined) return undefined;
      let entity: unknown;
      try {
        entity = await reported(() => table().getEntity(partitionOf(endpointId), identity));
      } catch (error) {
        if (isNotFound(error)) return undefined;
        throw error;
      }
      const { sealed } = parseAnswer(service, row, entity);
      const key = await keys.byId(sealingKeyId(sealed) ?? '');
      return key === undefined ? undefined : open(sealed, key, { endpointId, identity });
    },

    async write(stored) {
      const key = await keys.current();
      if (key === undefined) return;
      const entity = {
        partitionKey: partitionOf(stored.endpoint.id),
        rowKey: stored.identity,
        sealed: await seal(stored, key),
        endpoint: stored.endpoint.id,
        expiresOn: stored.token.expiresOn,
        writtenAt: clock(),
      };
      await inTable(() => table().upsertEntity(entity, 'Replace'));
    },

    async remove(endpointId, identity) {
      try {
        await reported(() => table().deleteEntity(partitionOf(endpointId), identity));
      } catch (error) {
        if (!isNotFound(error)) throw error;
      }
    },
  };
}
