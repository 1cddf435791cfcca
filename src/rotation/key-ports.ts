import type { FetchedWorkspace } from '../freshness/fetched-workspaces.ts';
import type { MachineLearning } from '../freshness/ports.ts';
import type { KeyRecord } from './key-facts.ts';

/** What the rotation of endpoint keys needs of Azure. Every call may fail with UpstreamError. */

/** A record and the mark that a write of it must match. */
export interface StoredKeyRecord {
  record: KeyRecord;
  etag: string | undefined;
}

/** The shared store of records: writes are conditional, so of two rotators only one moves a rotation on. */
export interface KeyRecords {
  /** All records, in one call; those of rotations that the policy no longer has are among them. */
  list(): Promise<readonly KeyRecord[]>;
  /** The record; a new, empty one without a mark where none is stored. */
  read(rotation: string): Promise<StoredKeyRecord>;
  /** @throws UpstreamError `conflict` when another wrote since the read */
  write(record: KeyRecord, etag: string | undefined): Promise<StoredKeyRecord>;
}

export interface KeyPorts {
  machineLearning: Pick<MachineLearning, 'getEndpoint' | 'listKeys' | 'regenerateKey'>;
  records: KeyRecords;
  /** By their names in the policy. */
  workspaces: ReadonlyMap<string, FetchedWorkspace>;
}
