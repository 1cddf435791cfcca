import { describe, expect, it } from 'vitest';
import { compileSchedule, runsMoreThanOncePerMinute } from '../../sandbox/host/schedule.ts';

const START = new Date('2026-11-22T10:00:00Z'); // a Sunday

function nextRuns(expression: string, count: number): string[] {
  const schedule = compileSchedule(expression);
  const runs: Date[] = [];
  for (let run = 0; run < count; run++) runs.push(schedule.next(runs.at(-1) ?? START));
  return runs.map((run) => run.toISOString().replace('.000Z', 'Z'));
}

describe('compileSchedule', () => {
  it.each([
    ['*/5 * * * * *', ['2026-11-22T10:00:05Z', '2026-11-22T10:00:10Z']],
    ['0 */20 * * * *', ['2026-11-22T10:20:00Z', '2026-11-22T10:40:00Z']],
    ['*/20 * * * *', ['2026-11-22T10:20:00Z', '2026-11-22T10:40:00Z']],
    ['0 30 9-11/2 * * *', ['2026-11-22T11:30:00Z', '2026-11-23T09:30:00Z']],
    ['0 50/5 * * * *', ['2026-11-22T10:50:00Z', '2026-11-22T10:55:00Z', '2026-11-22T11:50:00Z']],
    ['0 0 0 1,15 Jan *', ['2027-01-01T00:00:00Z', '2027-01-15T00:00:00Z']],
    ['0 0 0 * * mon-Tue', ['2026-11-23T00:00:00Z', '2026-11-24T00:00:00Z', '2026-11-30T00:00:00Z']],
  ])('runs %s at the next instants in UTC', (expression, expected) => {
    expect(nextRuns(expression, expected.length)).toEqual(expected);
  });

  it('demands both day and day-of-week, unlike Unix cron', () => {
    expect(nextRuns('0 0 0 13 * 5', 1)).toEqual(['2027-08-13T00:00:00Z']);
  });

  it.each([
    ['0 0 0 L * *', 'the field day cannot be "L"'],
    ['0 0 0 ? * 1', 'the field day cannot be "?"'],
    ['0 0 0 15W * *', 'the field day cannot be "15W"'],
    ['0 0 0 * * 5#2', 'the field day-of-week cannot be "5#2"'],
    ['0 0 0 * * 7', 'the field day-of-week cannot be "7"'],
    ['60 * * * * *', 'the field second cannot be "60"'],
    ['*/0 * * * * *', 'the field second cannot be "*/0"'],
    ['0 9-5 * * * *', 'the field minute cannot be "9-5"'],
    ['0 , * * * *', 'the field minute cannot be ","'],
    ['0 0 0 0 * *', 'the field day cannot be "0"'],
    ['@daily', 'it needs the 6 fields'],
    ['00:30:00', 'it needs the 6 fields'],
    ['* * * * * * *', 'it needs the 6 fields'],
    ['0 0 0 31 2 *', 'never fires'],
  ])('refuses %s: %s', (expression, message) => {
    expect(() => compileSchedule(expression)).toThrow(message);
  });
});

describe('runsMoreThanOncePerMinute', () => {
  it.each([
    ['*/5 * * * * *', true],
    ['0,30 0 * * * *', true],
    ['0 * * * * *', false],
    ['0 0 3 * * *', false],
  ])('is right about %s: %s', (expression, expected) => {
    expect(runsMoreThanOncePerMinute(compileSchedule(expression), START)).toBe(expected);
  });
});
