import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { compileSchedule } from '../../sandbox/host/schedule.ts';
import { createTimer, type TimerOptions } from '../../sandbox/host/timer.ts';

const START = new Date('2026-11-22T10:00:01Z');

/** A timer on a moved clock; `begun` has the second at which each run began. */
function startTimer(options: Partial<TimerOptions> & { expression?: string; takesMs?: number[]; fails?: boolean }) {
  const { expression = '*/10 * * * * *', takesMs = [], fails = false } = options;
  const begun: number[] = [];
  const data: unknown[] = [];
  const timer = createTimer({
    schedule: compileSchedule(expression),
    runOnStartup: false,
    useMonitor: true,
    clock: () => new Date(),
    run: async (json) => {
      data.push(JSON.parse(json));
      begun.push(Math.round((Date.now() - START.getTime()) / 1000) + 1);
      await new Promise((resolve) => setTimeout(resolve, takesMs[begun.length - 1] ?? 0));
      if (fails) throw new Error('the run failed');
    },
    ...options,
  });
  timer.start();
  return { timer, begun, data };
}

describe('a timer', () => {
  beforeEach(() => {
    vi.useFakeTimers({ now: START });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it('runs at the instants of its schedule and not before', async () => {
    const { begun } = startTimer({});
    await vi.advanceTimersByTimeAsync(30_000);
    expect(begun).toEqual([10, 20, 30]);
  });

  it('goes on after a run that failed', async () => {
    const { begun } = startTimer({ fails: true });
    await vi.advanceTimersByTimeAsync(20_000);
    expect(begun).toEqual([10, 20]);
  });

  it('never overlaps its runs: one follows a long run at once, further missed ones are dropped', async () => {
    const { begun } = startTimer({ takesMs: [35_000, 0] });
    await vi.advanceTimersByTimeAsync(60_000);
    expect(begun).toEqual([10, 45, 50, 60]);
  });

  it('runs at its start too when runOnStartup is set', async () => {
    const { begun } = startTimer({ runOnStartup: true });
    await vi.advanceTimersByTimeAsync(10_000);
    expect(begun).toEqual([1, 10]);
  });

  it('begins no run after it was stopped, not even after one that was under way', async () => {
    const { timer, begun } = startTimer({ takesMs: [5000] });
    await vi.advanceTimersByTimeAsync(10_000);
    timer.stop();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(begun).toEqual([10]);
  });

  it('waits longer than Node can wait at once', async () => {
    const { begun } = startTimer({ expression: '0 0 0 1 1 *' });
    await vi.advanceTimersByTimeAsync(39 * 86_400_000);
    expect(begun).toHaveLength(0);
    await vi.advanceTimersByTimeAsync(86_400_000);
    expect(begun).toHaveLength(1);
  });

  it('does not run one instant twice when the clock is slightly behind', async () => {
    let behindMs = 0;
    const { begun } = startTimer({ clock: () => new Date(Date.now() - behindMs) });
    behindMs = 5;
    await vi.advanceTimersByTimeAsync(20_000);
    expect(begun).toEqual([10, 20]);
  });

  it('gives capital keys and no status when it runs more often than once a minute', async () => {
    const { data } = startTimer({});
    await vi.advanceTimersByTimeAsync(10_000);
    expect(data).toEqual([{ Schedule: { AdjustForDST: true }, ScheduleStatus: null, IsPastDue: false }]);
  });

  it('gives no status when the monitor is off', async () => {
    const { data } = startTimer({ expression: '0 * * * * *', useMonitor: false });
    await vi.advanceTimersByTimeAsync(60_000);
    expect(data).toMatchObject([{ ScheduleStatus: null }]);
  });

  it('gives its last and next run as its status', async () => {
    const { data } = startTimer({ expression: '0 * * * * *' });
    await vi.advanceTimersByTimeAsync(120_000);
    const never = '0001-01-01T00:00:00+00:00';
    expect(data).toMatchObject([
      { ScheduleStatus: { Last: never, Next: '2026-11-22T10:01:00+00:00', LastUpdated: '2026-11-22T10:00:01+00:00' } },
      { ScheduleStatus: { Last: '2026-11-22T10:01:00+00:00', Next: '2026-11-22T10:02:00+00:00' } },
    ]);
  });
});
