import type { Reason } from './reasons.ts';

/** One request of an operator, from the moment it is stored until its outcome is no longer asked for. */
export interface Run {
  id: string;
  reason: 'requested' | 'compromised';
  requestedAt: Date;
  /** The attempt that answers it; undefined until one has begun. */
  rotationId: string | undefined;
  /** When the new secret (or key) became current. */
  doneAt: Date | undefined;
}

/** What the last look found, for people: R5. */
export interface Status {
  at: Date;
  reason: Reason;
  /** When the rotation is looked at next, at the latest. */
  nextAt: Date | undefined;
  /** When the current secret ends, as far as the look could tell. */
  expiresOn: Date | undefined;
  lastStep: { at: Date; step: string } | undefined;
  /** The failure of the last step, as `kind` and the service's own code; absent once a step has succeeded. */
  error: { at: Date; step: string; what: string } | undefined;
}

/** Runs that are over are kept so that they stay readable; more than these would not fit a table's row. */
const KEPT_RUNS = 50;

/** The open request, if any: compromised goes before requested. */
export function openRequest(runs: readonly Run[]): Run['reason'] | undefined {
  const open = runs.filter(({ rotationId }) => rotationId === undefined);
  if (open.length === 0) return undefined;
  return open.some(({ reason }) => reason === 'compromised') ? 'compromised' : 'requested';
}

/** One more run; the oldest that are over make room. */
export function withRun(runs: readonly Run[], run: Run): Run[] {
  const over = runs.filter(({ doneAt }) => doneAt !== undefined);
  const dropped = new Set(over.slice(0, Math.max(0, runs.length + 1 - KEPT_RUNS)));
  return [...runs.filter((kept) => !dropped.has(kept)), run];
}

/** A new attempt answers every run that is not over. */
export function joinRuns(runs: readonly Run[], rotationId: string): Run[] {
  return runs.map((run) => (run.doneAt === undefined ? { ...run, rotationId } : run));
}

/** The attempt's secret is current: its runs are over. */
export function finishRuns(runs: readonly Run[], rotationId: string | undefined, now: Date): Run[] {
  return runs.map((run) =>
    run.doneAt === undefined && rotationId !== undefined && run.rotationId === rotationId
      ? { ...run, doneAt: now }
      : run,
  );
}
