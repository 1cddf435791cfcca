import { BrokerError } from '../errors.ts';
import { type Log, nameError } from '../log.ts';
import type { AuditRecord, WriteAudit } from './record.ts';

/** One store of audit rows: takes a batch whole or fails. Implemented beside the other Azure calls. */
export interface AuditStore {
  /** Its name in the log, without secrets. */
  name: string;
  append(records: readonly AuditRecord[]): Promise<void>;
}

export interface RecorderOptions {
  /** One or two; the second is asked when the first does not accept. */
  stores: readonly AuditStore[];
  log: Log;
  /** Told after every attempt, for the readiness answer. */
  report: (ok: boolean, store: string) => void;
}

/** Writes a record of its own to every store, so that each is known to accept before it is needed. */
export async function tryEachStore({ stores, log, report }: RecorderOptions, record: AuditRecord): Promise<void> {
  await Promise.all(
    stores.map(async (store) => {
      try {
        await store.append([record]);
        report(true, store.name);
      } catch (error) {
        report(false, store.name);
        log.error('audit_store_failed', { store: store.name, records: 1, error: nameError(error) });
      }
    }),
  );
}

/** Azure Tables takes at most 100 rows in one transaction. */
const MAX_BATCH = 100;

interface Waiting {
  record: AuditRecord;
  resolve: () => void;
  reject: (error: unknown) => void;
}

/**
 * Writes records of concurrent requests together: while one batch is on its way the next one gathers, so that a burst
 * costs a few writes instead of one each, and a lone record is not delayed.
 *
 * @returns a function that rejects with `audit_unavailable` when no store accepts the record.
 */
export function createRecorder({ stores, log, report }: RecorderOptions): WriteAudit {
  let waiting: Waiting[] = [];
  let writing = false;

  const appendToAny = async (records: readonly AuditRecord[]): Promise<void> => {
    for (const store of stores) {
      try {
        await store.append(records);
        report(true, store.name);
        return;
      } catch (error) {
        report(false, store.name);
        log.error('audit_store_failed', { store: store.name, records: records.length, error: nameError(error) });
      }
    }
    throw new BrokerError('audit_unavailable', { reason: 'no_store_accepted', retryAfterSeconds: 10 });
  };

  const drain = async (): Promise<void> => {
    writing = true;
    while (waiting.length > 0) {
      const batch = waiting.slice(0, MAX_BATCH);
      waiting = waiting.slice(MAX_BATCH);
      try {
        await appendToAny(batch.map(({ record }) => record));
        for (const { resolve } of batch) resolve();
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
    }
    writing = false;
  };

  return (record) =>
    new Promise((resolve, reject) => {
      waiting.push({ record, resolve, reject });
      if (!writing) void drain();
    });
}
