import { UpstreamError } from '../../../src/errors.ts';
import { newRecord, type RotationRecord } from '../../../src/rotation/facts.ts';
import type { Records } from '../../../src/rotation/ports.ts';

/** The store of records: each write must carry the mark of the last one. */
export interface MemoryRecords extends Records {
  /** As stored now; a new one where none is. */
  peek(rotation: string): RotationRecord;
  /** Somebody deletes the row. */
  lose(rotation: string): void;
  /** An operator's route writes: it read a moment ago and nobody came between. */
  change(rotation: string, change: Partial<RotationRecord>): void;
}

export function createRecords(): MemoryRecords {
  const rows = new Map<string, { record: RotationRecord; etag: string }>();
  let writes = 0;
  const put = (record: RotationRecord) => {
    writes += 1;
    const row = { record, etag: `etag-${writes}` };
    rows.set(record.rotation, row);
    return row;
  };
  const peek = (rotation: string) => rows.get(rotation)?.record ?? newRecord(rotation);
  return {
    peek,
    lose: (rotation) => void rows.delete(rotation),
    change: (rotation, change) => void put({ ...peek(rotation), ...change }),
    async list() {
      return [...rows.values()].map(({ record }) => record);
    },
    async read(rotation) {
      return rows.get(rotation) ?? { record: newRecord(rotation), etag: undefined };
    },
    async write(record, etag) {
      if (rows.get(record.rotation)?.etag !== etag) {
        throw new UpstreamError({ kind: 'conflict', service: 'tables', status: 412 });
      }
      return put(record);
    },
  };
}
