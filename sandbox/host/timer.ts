import { runsMoreThanOncePerMinute, type Schedule } from './schedule.ts';

/** What the handler of a timer is given; the library turns the keys to camelCase. */
interface TimerData {
  Schedule: { AdjustForDST: boolean };
  ScheduleStatus: { Last: string; Next: string; LastUpdated: string } | null;
  IsPastDue: boolean;
}

export interface TimerOptions {
  schedule: Schedule;
  runOnStartup: boolean;
  useMonitor: boolean;
  clock: () => Date;
  /** Runs the function with the timer's JSON. It may reject: a failed run does not stop the schedule. */
  run: (json: string) => Promise<unknown>;
}

export interface Timer {
  start(): void;
  /** No run begins after this; one that is under way goes on. */
  stop(): void;
  /** The timer's JSON for a run by hand. Such a run goes beside the schedule, as in the real host. */
  manualData(): string;
}

/** "Never", as .NET writes its first instant. */
const NEVER = '0001-01-01T00:00:00+00:00';
/** Node cannot wait longer than about 24.8 days at once; longer waits are chained. */
const LONGEST_WAIT_MS = 24 * 86_400_000;

/**
 * A timer trigger as the Functions host runs it. Scheduled runs never overlap: the next one is computed from the start of the finished run; when
 * that instant has passed, one run follows at once and further missed ones are dropped.
 * The status lives as long as the process, so a first run is never past due: a development host has no blob to remember the last one in.
 */
export function createTimer({ schedule, runOnStartup, useMonitor, clock, run }: TimerOptions): Timer {
  const monitored = useMonitor && !runsMoreThanOncePerMinute(schedule, clock());
  let status: TimerData['ScheduleStatus'] = null;
  let wait: ReturnType<typeof setTimeout> | undefined;
  let stopped = false;

  const data = (): string =>
    JSON.stringify({
      Schedule: { AdjustForDST: true },
      ScheduleStatus: status,
      IsPastDue: false,
    } satisfies TimerData);

  const note = (last: Date | undefined, next: Date) => {
    if (!monitored) return;
    status = { Last: last ? toDotNet(last) : NEVER, Next: toDotNet(next), LastUpdated: toDotNet(last ?? clock()) };
  };

  const runOnce = async (start: Date) => {
    await run(data()).catch(() => undefined);
    if (stopped) return;
    const next = schedule.next(start);
    note(start, next);
    waitUntil(next);
  };

  const waitUntil = (due: Date) => {
    const remaining = due.getTime() - clock().getTime();
    wait = setTimeout(
      () => {
        const now = clock();
        // A timer that fires early by clock skew counts as fired when it was due, or the same instant would come round again.
        if (due.getTime() - now.getTime() > EARLY_MS) waitUntil(due);
        else void runOnce(now < due ? due : now);
      },
      Math.min(Math.max(remaining, 0), LONGEST_WAIT_MS),
    );
  };

  return {
    start() {
      const next = schedule.next(clock());
      note(undefined, next);
      if (runOnStartup) void runOnce(clock());
      else waitUntil(next);
    },
    stop() {
      stopped = true;
      clearTimeout(wait);
    },
    manualData: data,
  };
}

/** Node's timers fire up to a millisecond or so early. */
const EARLY_MS = 10;

/** ISO text with an offset, as .NET writes a DateTimeOffset: without zeros at the end of the fraction. */
function toDotNet(instant: Date): string {
  return instant.toISOString().replace(/\.?0*Z$/, '+00:00');
}
