import { createHash } from 'node:crypto';
import type { WriteAudit } from '../audit/record.ts';
import type { Caller } from '../callers/caller.ts';
import type { Clock } from '../clock.ts';
import { BrokerError } from '../errors.ts';
import type { DecideOperator } from '../grants/operators.ts';
import { type Asked, type Refuse, recordOf } from '../issuing/refuse.ts';
import type { RotationGroup } from './request-records.ts';
import type { Run } from './runs.ts';
import { breaks, type RotationAnswer, type RunAnswer, type StateAnswer, toRotation, toRun, toState } from './state.ts';

/** Who asks, and the id under which the answer is logged. */
export interface OperatorCall {
  caller: Caller;
  correlationId: string;
}

export interface RunSeen {
  /** True once the new secret or key is current. */
  done: boolean;
  /** Absolute URL at which the run is read. */
  location: string;
  retryAfterSeconds: number;
  /** `present`: the rotation's state while the run is open, so that a blocked one is understood. */
  run: RunAnswer & { breaks?: string; present?: StateAnswer };
}

/** The operators' side of rotation: it reads and requests; the rotator does the work. */
export interface RotationRequests {
  list(call: OperatorCall): Promise<(Pick<RotationAnswer, 'name' | 'kind'> & StateAnswer)[]>;
  read(call: OperatorCall & { rotation: string }): Promise<RotationAnswer>;
  /** The same key is the same run, at once and later; without a key every call is a run of its own. */
  request(
    call: OperatorCall & { rotation: string; reason: Run['reason']; idempotencyKey: string | undefined },
  ): Promise<RunSeen>;
  readRun(call: OperatorCall & { rotation: string; run: string }): Promise<RunSeen>;
}

export interface RotationRequestsOptions {
  decideOperator: DecideOperator;
  refuse: Refuse;
  writeAudit: WriteAudit;
  policyHash: string;
  groups: readonly RotationGroup[];
  /** Without a slash at the end; links are built on it, never on the Host header. */
  publicUrl: string;
  clock: Clock;
  /** The id of a run without a key. */
  newId: () => string;
}

const RETRY_AFTER_SECONDS = 10;

/** Any one of them has the work done; more would fill the record that all of them share. */
const MAX_WAITING = 20;

/** A name holds no line break, so no two pairs give the same text. */
const idOf = (rotation: string, key: string): string =>
  createHash('sha256').update(`${rotation}\n${key}`).digest('hex').slice(0, 32);

const noRotation = () =>
  new BrokerError('not_found', { detail: 'The policy has no rotation of this name. GET /rotations lists them.' });

/** The key must not mean two things (IETF draft idempotency-key-header, section 2.7; there it is 422). */
function refuseOtherReason(stored: Run, reason: Run['reason']): void {
  if (stored.reason === reason) return;
  throw new BrokerError('invalid_request', {
    detail: 'This Idempotency-Key was used with another reason. Use a new key for a new request.',
    reason: 'idempotency_key_reused',
  });
}

function refuseMany(runs: readonly Run[], reason: Run['reason']): void {
  const waiting = runs.filter((run) => run.doneAt === undefined && run.reason === reason);
  if (waiting.length < MAX_WAITING) return;
  throw new BrokerError('rate_limited', {
    detail:
      'So many requests of this rotation wait already that one more changes nothing. GET the rotation to see why it does not go on.',
    reason: 'too_many_open_runs',
    retryAfterSeconds: 60,
  });
}

/**
 * The operations behind the operators' routes. Each one is for operators alone; everybody else is refused, on record,
 * before it is told whether the rotation exists.
 *
 * @throws BrokerError `operator_required`, `caller_denied`, `not_found`, `invalid_request`, `rate_limited`,
 *   `audit_unavailable` (then nothing is stored), and those of the record store
 */
export function createRotationRequests({
  decideOperator,
  refuse,
  writeAudit,
  policyHash,
  groups,
  publicUrl,
  clock,
  newId,
}: RotationRequestsOptions): RotationRequests {
  const permit = async ({ caller, correlationId }: OperatorCall, target: string): Promise<Asked> => {
    const asked = { caller, correlationId, target };
    const decision = decideOperator(caller);
    return decision.allowed ? asked : refuse(asked, new BrokerError(decision.code, { reason: decision.reason }));
  };
  const find = (name: string) => {
    for (const group of groups) {
      const config = group.rotations.get(name);
      if (config !== undefined) return { group, config };
    }
    throw noRotation();
  };
  const show = (name: string, { kind }: RotationGroup, run: Run): RunSeen => ({
    done: run.doneAt !== undefined,
    location: `${publicUrl}/rotations/${name}/runs/${run.id}`,
    retryAfterSeconds: RETRY_AFTER_SECONDS,
    run: { ...toRun(name, run), ...(run.reason === 'compromised' ? { breaks: breaks[kind] } : {}) },
  });

  return {
    async list(call) {
      await permit(call, 'rotations');
      const now = clock();
      const found = await Promise.all(groups.map(async (group) => ({ group, records: await group.list() })));
      return found.flatMap(({ group: { kind, rotations }, records }) =>
        [...rotations.keys()].map((name) => ({ name, kind, ...toState(records.get(name)?.status, now) })),
      );
    },

    async read({ rotation, ...call }) {
      await permit(call, `rotation ${rotation}`);
      const { group, config } = find(rotation);
      return toRotation(rotation, group.kind, config, await group.read(rotation), clock());
    },

    async request({ rotation, reason, idempotencyKey, ...call }) {
      const asked = await permit(call, `rotation ${rotation}`);
      const { group } = find(rotation);
      const id = idempotencyKey === undefined ? newId() : idOf(rotation, idempotencyKey);
      const { runs } = await group.read(rotation);
      const before = runs.find((run) => run.id === id);
      if (before === undefined) refuseMany(runs, reason);
      else refuseOtherReason(before, reason);
      const requestedAt = clock();
      // On record first: what no store accepts is not asked of the rotator.
      await writeAudit({
        ...recordOf(asked, policyHash, requestedAt),
        decision: 'requested',
        reason,
        run: id,
      });
      const run = { id, reason, requestedAt, rotationId: undefined, doneAt: undefined };
      const stored = before ?? (await group.addRun(rotation, run));
      refuseOtherReason(stored, reason);
      return show(rotation, group, stored);
    },

    async readRun({ rotation, run: id, ...call }) {
      await permit(call, `rotation ${rotation}`);
      const { group } = find(rotation);
      const { runs, status } = await group.read(rotation);
      const run = runs.find((one) => one.id === id);
      if (run === undefined) {
        throw new BrokerError('not_found', { detail: 'The rotation has no run of this id, or it is too long ago.' });
      }
      const seen = show(rotation, group, run);
      return seen.done ? seen : { ...seen, run: { ...seen.run, present: toState(status, clock()) } };
    },
  };
}
