import { LRUCache } from 'lru-cache';
import { addSeconds, type Clock } from '../clock.ts';
import { UpstreamError } from '../errors.ts';
import type { FetchedWorkspace } from '../freshness/fetched-workspaces.ts';
import { type Endpoint, endpointId, type KeyName } from '../freshness/ports.ts';
import { createSingleFlight } from '../freshness/single-flight.ts';
import { type Log, nameError } from '../log.ts';
import type { KeyRecord, KeyRotation } from './key-facts.ts';
import type { KeyRecords } from './key-ports.ts';
import { isCompromised, promiseOf } from './key-promise.ts';

export interface KeyInUse {
  keyName: KeyName;
  /** No action of the broker makes the key stop working before this instant, unless an operator says `compromised`. */
  validUntil: Date;
}

/**
 * Which of an endpoint's keys to hand out; undefined where no rotation is of this endpoint.
 *
 * @throws UpstreamError where the record cannot be read and what is remembered of it promises too little
 */
export type FindKeyInUse = (endpoint: Pick<Endpoint, 'id' | 'createdAt'>) => Promise<KeyInUse | undefined>;

export interface KeyInUseOptions {
  rotations: readonly KeyRotation[];
  /** By their names in the policy. */
  workspaces: ReadonlyMap<string, FetchedWorkspace>;
  records: Pick<KeyRecords, 'read'>;
  clock: Clock;
  log: Log;
}

interface Remembered {
  record: KeyRecord;
  readAt: Date;
  /** The store is read again from here on. */
  freshUntil: Date;
}

/** A promise is late by as much as its record is old: far below the margin by which keys are left alone. */
const FRESH_SECONDS = 10;
/** After the store could not be reached, the remembered record serves this long before the next read. */
const PAUSE_SECONDS = 5;
const MAX_RECORDS = 10_000;

/**
 * Tells the key in use from the rotation's record, read at most every 10 s. What a record promised when it was read goes
 * on to hold, so while the store is out of reach a remembered one serves until its turn is due; without one there is no
 * answer, because the key could be about to change.
 */
export function createFindKeyInUse({ rotations, workspaces, records, clock, log }: KeyInUseOptions): FindKeyInUse {
  const byEndpoint = new Map(
    rotations.flatMap((rotation) => {
      const from = workspaces.get(rotation.workspace);
      return from === undefined ? [] : [[endpointId(from.workspace, rotation.endpoint), rotation] as const];
    }),
  );
  const remembered = new LRUCache<string, Remembered>({ max: MAX_RECORDS });
  const oneRead = createSingleFlight<Remembered>();

  const read = async (name: string): Promise<Remembered> => {
    const readAt = clock();
    try {
      const { record } = await records.read(name);
      const found = { record, readAt, freshUntil: addSeconds(readAt, FRESH_SECONDS) };
      remembered.set(name, found);
      return found;
    } catch (error) {
      const known = remembered.get(name);
      if (known === undefined || !(error instanceof UpstreamError) || !error.outOfReach || !stillServes(known.record)) {
        throw error;
      }
      log.warn('key_record_read_failed', { rotation: name, error: nameError(error) });
      const paused = { ...known, freshUntil: addSeconds(clock(), PAUSE_SECONDS) };
      remembered.set(name, paused);
      return paused;
    }
  };
  const stillServes = ({ turn }: KeyRecord): boolean =>
    turn !== undefined && clock() < addSeconds(turn.since, turn.rotateEverySeconds);

  return async (endpoint) => {
    const rotation = byEndpoint.get(endpoint.id);
    if (rotation === undefined) return undefined;
    const known = remembered.get(rotation.name);
    const { record, readAt } =
      known !== undefined && clock() < known.freshUntil
        ? known
        : await oneRead(rotation.name, () => read(rotation.name));
    return answerOf(record, rotation, endpoint, readAt);
  };
}

function answerOf(
  record: KeyRecord,
  rotation: KeyRotation,
  endpoint: Pick<Endpoint, 'id' | 'createdAt'>,
  readAt: Date,
): KeyInUse {
  const { turn, promisedUntil } = record;
  // Not looked at yet: the rotator's first look comes later, and it leaves the key alone for longer than this.
  const isKnown = turn !== undefined && turn.endpoint.id === endpoint.id;
  const keyName = isKnown ? turn.inUse : 'primary';
  if (isCompromised(record)) return { keyName, validUntil: readAt };
  if (!isKnown) return { keyName, validUntil: addSeconds(readAt, rotation.overlapSeconds) };
  const isSame = turn.endpoint.createdAt === endpoint.createdAt;
  return {
    keyName,
    validUntil: isSame ? promiseOf(turn, promisedUntil, readAt) : addSeconds(readAt, turn.overlapSeconds),
  };
}
