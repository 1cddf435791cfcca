import { type Clock, secondsBetween } from '../clock.ts';
import { type Log, nameError } from '../log.ts';
import type { KeyRecord, KeyRotation } from './key-facts.ts';
import { isCompromised } from './key-promise.ts';
import { type RotateKeysOptions, rotateKeys } from './rotate-keys.ts';
import { openRequest } from './runs.ts';

export interface KeyRoundOptions extends RotateKeysOptions {
  rotations: readonly KeyRotation[];
  /** A rotation at rest is looked at again after this long: what was changed by hand is noticed then. */
  lookSeconds: number;
}

/** A person has to act; their hand is noticed sooner than other changes. */
const BLOCKED_LOOK_SECONDS = 30;

/** Each waits some seconds for Azure ML to regenerate a key; Resource Manager counts every call as a write. */
const AT_ONCE = 8;

/** One round of the timer over all rotations of endpoint keys that may have something to do, until `until`. */
export function createKeyRound(options: KeyRoundOptions): (until: Date) => Promise<void> {
  const { rotations, ports, clock, log, lookSeconds } = options;
  return async (until) => {
    const records = new Map((await ports.records.list()).map((record) => [record.rotation, record]));
    const due = rotations.filter(({ name }) => mayBeDue(records.get(name), lookSeconds, clock));
    const compromised = ({ name }: KeyRotation) => isCompromised(records.get(name) ?? { runs: [] });
    // One list for all workers: each takes the next that nobody has taken.
    const rest = [...due.filter(compromised), ...due.filter((rotation) => !compromised(rotation))].values();
    const work = async () => {
      for (const rotation of rest) {
        if (clock() >= until) return;
        await rotateKeys(rotation, until, options).catch((error) => tellFailure(rotation, error, log));
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
  };
}

const tellFailure = ({ name }: KeyRotation, error: unknown, log: Log): void =>
  log.warn('rotation_not_read', { rotation: name, error: nameError(error) });

function mayBeDue(record: KeyRecord | undefined, lookSeconds: number, clock: Clock): boolean {
  if (record?.status === undefined || openRequest(record.runs) !== undefined) return true;
  const { at, nextAt } = record.status;
  const now = clock();
  if (nextAt === undefined) return secondsBetween(at, now) >= Math.min(BLOCKED_LOOK_SECONDS, lookSeconds);
  return nextAt <= now || secondsBetween(at, now) >= lookSeconds;
}
