import { BrokerError, UpstreamError } from '../errors.ts';
import { type Run, type Status, withRun } from './runs.ts';

/** What a request needs of a rotation's record; both kinds of rotation keep one. */
export interface RequestRecord {
  rotation: string;
  runs: readonly Run[];
  status: Status | undefined;
}

/** Where the records of one kind are: writes are conditional. Fails with UpstreamError. */
export interface RequestRecords<R extends RequestRecord> {
  list(): Promise<readonly R[]>;
  /** A new, empty record without a mark where none is stored. */
  read(rotation: string): Promise<{ record: R; etag: string | undefined }>;
  /** @throws UpstreamError `conflict` when another wrote since the read */
  write(record: R, etag: string | undefined): Promise<unknown>;
}

/** What is shown of a rotation beside its status, as JSON has it: ids and times, never a secret. */
export type Details = object;

/** What is stored of a rotation now. */
export interface Seen {
  runs: readonly Run[];
  status: Status | undefined;
  details: Details;
}

export type RotationKind = 'secret' | 'endpointKeys';

/** The rotations of one kind, with their records. */
export interface RotationGroup {
  kind: RotationKind;
  /** The policy's names, each with what the policy says. */
  rotations: ReadonlyMap<string, Details>;
  /** Everything that is stored, by name, in one call. */
  list(): Promise<ReadonlyMap<string, Seen>>;
  read(name: string): Promise<Seen>;
  /** Stores a run, or finds the one of the same id that is stored already. */
  addRun(name: string, run: Run): Promise<Run>;
}

export interface RotationGroupOptions<T extends { name: string }, R extends RequestRecord> {
  kind: RotationKind;
  rotations: readonly T[];
  records: RequestRecords<R>;
  /** What the record knows beside its runs and status, for people. */
  details: (record: R, rotation: T) => Details;
}

/** The rotator writes after each step; it is never at work on one record without a pause. */
const WRITE_TRIES = 6;

/** Joins the rotations of one kind with the store of their records. */
export function createRotationGroup<T extends { name: string }, R extends RequestRecord>({
  kind,
  rotations,
  records,
  details,
}: RotationGroupOptions<T, R>): RotationGroup {
  const byName = new Map(rotations.map((rotation) => [rotation.name, rotation]));
  const see = (record: R): Seen => {
    const rotation = byName.get(record.rotation);
    const { runs, status } = record;
    return { runs, status, details: rotation === undefined ? {} : details(record, rotation) };
  };
  return {
    kind,
    rotations: byName,
    list: async () => new Map((await records.list()).map((record) => [record.rotation, see(record)])),
    read: async (name) => see((await records.read(name)).record),
    async addRun(name, run) {
      for (let tries = 1; tries <= WRITE_TRIES; tries++) {
        const { record, etag } = await records.read(name);
        // Stored by a request with the same key, or by this one when the answer of its write was lost.
        const stored = record.runs.find(({ id }) => id === run.id);
        if (stored !== undefined) return stored;
        try {
          await records.write({ ...record, runs: withRun(record.runs, run) }, etag);
          return run;
        } catch (error) {
          if (!(error instanceof UpstreamError) || error.kind !== 'conflict') throw error;
        }
      }
      throw new BrokerError('upstream_unavailable', {
        reason: 'rotation_record_contended',
        detail: 'The rotation’s record changed at every try, so the request is not stored. Send it again.',
        retryAfterSeconds: 5,
      });
    },
  };
}
