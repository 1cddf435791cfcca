import type { KeyName } from '../../src/freshness/ports.ts';
import {
  type KeyFacts,
  type KeyRecord,
  type KeyRotation,
  newKeyRecord,
  type Regeneration,
  type Turn,
} from '../../src/rotation/key-facts.ts';
import type { KeyRecords } from '../../src/rotation/key-ports.ts';
import type { Run } from '../../src/rotation/runs.ts';
import { anEndpoint, upstream } from '../support/builders.ts';

export const HOUR = 3600;
export const DAY = 24 * HOUR;

/** The instant at which movable clocks of tests start. */
export const start = new Date('2026-11-22T10:00:00.000Z');
export const fromStart = (seconds: number): Date => new Date(start.getTime() + seconds * 1000);

export const rotation: KeyRotation = {
  name: 'fraud-keys',
  workspace: 'prod',
  endpoint: 'fraud-scorer',
  rotateEverySeconds: 30 * DAY,
  overlapSeconds: DAY,
};

export const endpoint = anEndpoint({ name: 'fraud-scorer', authMode: 'key' });

export const aTurn = (overrides: Partial<Turn> = {}): Turn => ({
  inUse: 'primary',
  since: start,
  endpoint: { id: endpoint.id, createdAt: endpoint.createdAt },
  rotateEverySeconds: rotation.rotateEverySeconds,
  overlapSeconds: rotation.overlapSeconds,
  ...overrides,
});

/** Of a turn that began at `start`, unless told otherwise. */
export const aKeyRecord = (overrides: Partial<KeyRecord> = {}): KeyRecord => ({
  ...newKeyRecord(rotation.name),
  turn: aTurn(),
  ...overrides,
});

export const aRun = (overrides: Partial<Run> = {}): Run => ({
  id: 'run-1',
  reason: 'requested',
  requestedAt: start,
  rotationId: undefined,
  doneAt: undefined,
  ...overrides,
});

export const aRegeneration = (overrides: Partial<Regeneration> = {}): Regeneration => ({
  id: 'regeneration-1',
  key: 'secondary',
  why: 'due',
  afterTurn: false,
  begunAt: start,
  before: 'hash of secondary',
  triedAt: start,
  outcome: 'unknown',
  inDoubt: false,
  ...overrides,
});

export const hashes: Record<KeyName, string> = { primary: 'hash of primary', secondary: 'hash of secondary' };

export const someFacts = (overrides: Partial<KeyFacts> = {}): KeyFacts => ({
  now: start,
  rotation,
  record: aKeyRecord(),
  endpoint: { kind: 'found', value: endpoint },
  keys: { kind: 'found', value: hashes },
  ...overrides,
});

export interface MemoryKeyRecords extends KeyRecords {
  /** Thrown by every call while it is set. */
  fault: Error | undefined;
  reads: number;
  /** As stored now. */
  peek(): KeyRecord;
  /** Somebody writes, unconditionally. */
  change(change: Partial<KeyRecord>): void;
}

/** The store, with the record of one rotation or none. */
export function createKeyRecords(first?: KeyRecord): MemoryKeyRecords {
  let writes = 0;
  let row = first === undefined ? undefined : { record: first, etag: 'etag-0' };
  const put = (record: KeyRecord) => {
    writes += 1;
    row = { record, etag: `etag-${writes}` };
    return row;
  };
  const failing = () => {
    if (store.fault !== undefined) throw store.fault;
  };
  const store: MemoryKeyRecords = {
    fault: undefined,
    reads: 0,
    peek: () => row?.record ?? newKeyRecord(rotation.name),
    change: (change) => void put({ ...store.peek(), ...change }),
    async list() {
      failing();
      return row === undefined ? [] : [row.record];
    },
    async read(name) {
      store.reads += 1;
      failing();
      return row ?? { record: newKeyRecord(name), etag: undefined };
    },
    async write(record, etag) {
      failing();
      if (row?.etag !== etag) throw upstream('conflict', { service: 'rotation records', status: 412 });
      return put(record);
    },
  };
  return store;
}
