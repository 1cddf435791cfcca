import { describe, expect, it } from 'vitest';
import { isNcrontab } from '../../src/config/ncrontab.ts';

/** Microsoft Learn, "Timer trigger for Azure Functions" (NCRONTAB expressions) and the documentation of NCrontab. */

describe('an NCRONTAB text', () => {
  it.each([
    ['every second', '* * * * * *'],
    ['every five seconds', '*/5 * * * * *'],
    ['every five minutes', '0 */5 * * * *'],
    ['the start of each hour', '0 0 * * * *'],
    ['every two hours', '0 0 */2 * * *'],
    ['a range of hours', '0 0 9-17 * * *'],
    ['half past nine', '0 30 9 * * *'],
    ['a range of weekdays', '0 30 9 * * 1-5'],
    ['a range of weekdays by name', '0 30 9 * * MON-FRI'],
    ['a month and a weekday by name', '0 30 9 * Jan Mon'],
    ['names in lower case, in a list', '0 0 0 1 jan,apr,jul,oct sun'],
    ['a list', '0,15,30,45 * * * * *'],
    ['a list of ranges, one with a step', '0-10,30-40/5 * * * * *'],
    ['a step from a number on', '5/20 * * * * *'],
    ['the least of each field', '0 0 0 1 1 0'],
    ['the most of each field', '59 59 23 31 12 6'],
    ['numbers with a leading zero', '00 05 09 01 02 *'],
  ])('may be %s: %s', (_what, text) => {
    expect(isNcrontab(text)).toBe(true);
  });

  it.each([
    ['nothing', ''],
    ['five fields, as of Unix', '*/5 * * * *'],
    ['seven fields', '* * * * * * *'],
    ['a time span', '00:30:00'],
    ['a nickname', '@daily'],
    ['words', 'every five minutes at all times'],
    ['a setting that was not filled in', '%REFRESH_SCHEDULE%'],
    ['second 60', '60 * * * * *'],
    ['minute 60', '0 60 * * * *'],
    ['hour 24', '0 0 24 * * *'],
    ['day 0', '0 0 0 0 * *'],
    ['day 32', '0 0 0 32 * *'],
    ['month 0', '0 0 0 * 0 *'],
    ['month 13', '0 0 0 * 13 *'],
    ['weekday 7, which is no Sunday here', '0 0 0 * * 7'],
    ['a negative number', '-1 * * * * *'],
    ['a fraction', '1.5 * * * * *'],
    ['a number of three digits', '000 * * * * *'],
    ['L for the last day', '0 0 0 L * *'],
    ['W for the nearest workday', '0 0 0 15W * *'],
    ['# for the third Friday', '0 0 0 * * 5#3'],
    ['? for any day', '0 0 0 ? * MON'],
    ['a month’s name among the weekdays', '0 0 0 * * JAN'],
    ['a weekday’s name among the months', '0 0 0 * MON *'],
    ['a weekday’s name among the hours', '0 0 MON * * *'],
    ['an unknown name', '0 0 0 * FOO *'],
    ['a step of nothing', '*/0 * * * * *'],
    ['a step that is missing', '*/ * * * * *'],
    ['two steps', '*/5/2 * * * * *'],
    ['a step without a range', '/5 * * * * *'],
    ['a range without an end', '5- * * * * *'],
    ['a range of three', '1-2-3 * * * * *'],
    ['a range from a star', '*-5 * * * * *'],
    ['an end of a range that no hour has', '0 0 9-24 * * *'],
    ['an empty part of a list', '0,,30 * * * * *'],
    ['a list with a comma at its end', '0,30, * * * * *'],
    ['a star with a number', '*5 * * * * *'],
    ['a space before it', ' * * * * * *'],
    ['a line end after it', '* * * * * *\n'],
  ])('may not be %s: %j', (_what, text) => {
    expect(isNcrontab(text)).toBe(false);
  });
});
