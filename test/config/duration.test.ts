import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { durationSeconds, durationText } from '../../src/config/duration.ts';

const secondsPer: Record<string, number> = { s: 1, m: 60, h: 3600, d: 86_400 };

describe('durationSeconds', () => {
  it.each([
    ['1s', 1],
    ['90m', 5400],
    ['25h', 90_000],
    ['30d', 2_592_000],
    ['999999d', 86_399_913_600],
  ])('reads %s as %i seconds', (text, seconds) => {
    expect(durationSeconds.parse(text)).toBe(seconds);
  });

  it('reads every whole amount of every unit', () => {
    const amount = fc.integer({ min: 1, max: 999_999 });
    fc.assert(
      fc.property(amount, fc.constantFrom(...Object.entries(secondsPer)), (count, [unit, seconds]) => {
        expect(durationSeconds.parse(`${count}${unit}`)).toBe(count * seconds);
      }),
    );
  });

  it.each([
    ['nothing', ''],
    ['no unit', '90'],
    ['no amount', 'm'],
    ['zero', '0s'],
    ['a leading zero', '09m'],
    ['a negative amount', '-1h'],
    ['a sign', '+1h'],
    ['a fraction', '1.5h'],
    ['a space', '90 m'],
    ['a space around', ' 90m'],
    ['a line break at the end', '90m\n'],
    ['an upper-case unit', '90M'],
    ['two units', '1h30m'],
    ['another unit', '2w'],
    ['the ISO form', 'PT90M'],
    ['seven digits', '1000000s'],
    ['a number', 90],
    ['null', null],
  ])('refuses %s', (_what, value) => {
    expect(durationSeconds.safeParse(value).success).toBe(false);
  });

  it('says what a duration looks like', () => {
    const { error } = durationSeconds.safeParse('soon');
    expect(error?.issues.map(({ message }) => message)).toEqual([
      'must be a whole number and a unit: s, m, h or d, for example 90m',
    ]);
  });

  it('accepts no text that is not an amount and a unit', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        fc.pre(!/^[1-9]\d{0,5}[smhd]$/.test(text));
        expect(durationSeconds.safeParse(text).success).toBe(false);
      }),
    );
  });
});

describe('durationText', () => {
  it.each([
    [1, '1s'],
    [60, '1m'],
    [61, '61s'],
    [90_000, '25h'],
    [86_400, '1d'],
    [2_592_020, '2592020s'],
  ])('writes %i seconds as %s', (seconds, text) => {
    expect(durationText(seconds)).toBe(text);
  });

  it('says what durationSeconds reads as the same', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 999_999 }), (seconds) => {
        expect(durationSeconds.parse(durationText(seconds))).toBe(seconds);
      }),
    );
  });
});
