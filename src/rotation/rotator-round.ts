import { type Log, nameError } from '../log.ts';

/** What the rotator keeps, by name; each may fail without harm to the others. */
export type Jobs = Readonly<Record<string, () => Promise<void>>>;

/**
 * One round of the timer: all jobs at once. A job that fails is told in the log and comes again in the next round.
 *
 * @throws the first failure, after all jobs have ended, so that the host shows a failed run
 */
export function createRotatorRound(jobs: Jobs, log: Log): () => Promise<void> {
  return async () => {
    const failures: unknown[] = [];
    await Promise.all(
      Object.entries(jobs).map(async ([job, run]) => {
        try {
          await run();
        } catch (error) {
          log.error('rotator_job_failed', { job, error: nameError(error) });
          failures.push(error);
        }
      }),
    );
    if (failures.length > 0) throw failures[0];
  };
}
