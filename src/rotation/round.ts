import { secondsBetween } from '../clock.ts';
import { nameError } from '../log.ts';
import type { Facts, Rotation, RotationRecord } from './facts.ts';
import { type Plan, plan } from './plan.ts';
import type { Reason } from './reasons.ts';
import { type Look, look, type RotateOptions, rotate } from './rotate.ts';
import { openRequest } from './runs.ts';

export interface RoundOptions extends RotateOptions {
  rotations: readonly Rotation[];
  /** A rotation at rest is looked at again after this long: what was changed by hand is noticed then. */
  lookSeconds: number;
  /** How many rotations are at work at once. */
  atOnce: number;
}

/** One round of the timer: every rotation that may have something to do, the most urgent first, until `until`. */
export type Round = (until: Date) => Promise<void>;

/**
 * Keeps Key Vault's limit (4,000 transactions in 10 s for a vault; 2,000 in older pages) far away at 50 ms a call, as
 * half of a rotation's calls go there.
 */
export const ROTATIONS_AT_ONCE = 32;

/** A person has to act; their hand is noticed sooner than other changes. */
const BLOCKED_LOOK_SECONDS = 30;

/** Why a consumer would be stranded soonest, first. A reason that is not listed is on its way, or can wait. */
const urgency: readonly Reason[] = ['compromised', 'first', 'gone', 'expired', 'edited', 'expiring', 'requested'];

/** Records tell which rotations can be left alone; a look tells what the others need; then they are worked on in turn. */
export function createRound(options: RoundOptions): Round {
  const { rotations, ports, clock, log, limits, lookSeconds, atOnce } = options;

  const mayBeDue = (record: RotationRecord | undefined): boolean => {
    const { status } = record ?? {};
    if (record === undefined || status === undefined || openRequest(record.runs) !== undefined) return true;
    const now = clock();
    if (status.nextAt === undefined)
      return secondsBetween(status.at, now) >= Math.min(BLOCKED_LOOK_SECONDS, lookSeconds);
    return status.nextAt <= now || secondsBetween(status.at, now) >= lookSeconds;
  };

  const failed = (rotation: Rotation, error: unknown) =>
    log.warn('rotation_not_read', { rotation: rotation.name, error: nameError(error) });

  return async (until) => {
    const records = new Map((await ports.records.list()).map((record) => [record.rotation, record]));
    const due = rotations.filter(({ name }) => mayBeDue(records.get(name)));
    const found: { rotation: Rotation; looked: Look; rank: number }[] = [];
    await inTurn(due, atOnce, async (rotation) => {
      if (clock() >= until) return;
      try {
        const looked = await look(rotation, ports, clock);
        found.push({ rotation, looked, rank: rankOf(plan(looked.facts, limits), looked.facts) });
      } catch (error) {
        failed(rotation, error);
      }
    });
    found.sort((one, other) => one.rank - other.rank);
    await inTurn(found, atOnce, async ({ rotation, looked }) => {
      if (clock() >= until) return;
      await rotate(rotation, until, options, looked).catch((error) => failed(rotation, error));
    });
  };
}

/** Smaller is more urgent: by why a password is needed, then by when the present one ends. */
function rankOf({ reason, step }: Plan, { record: { attempt }, current }: Facts): number {
  const why = step.do === 'begin' || attempt === undefined ? reason : attempt.why;
  const place = urgency.indexOf(why);
  const endsMs = current.kind === 'found' ? (current.value.expiresOn?.getTime() ?? 0) : 0;
  const later = step.do === 'nothing' ? 2 : step.do === 'remove' ? 1 : 0;
  return (later * (urgency.length + 1) + (place === -1 ? urgency.length : place)) * 1e14 + endsMs;
}

/** Runs `work` over the items in their order, so many at once. */
async function inTurn<T>(items: readonly T[], atOnce: number, work: (item: T) => Promise<void>): Promise<void> {
  const rest = items.values();
  const worker = async () => {
    for (const item of rest) await work(item);
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
}
