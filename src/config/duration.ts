import * as z from 'zod';

const secondsPer = { s: 1, m: 60, h: 3600, d: 86_400 } as const;

const pattern = /^([1-9]\d{0,5})(s|m|h|d)$/;

/** A duration of the policy such as `90m`, `25h` or `30d`, read into whole seconds. */
export const durationSeconds = z
  .string()
  .regex(pattern, 'must be a whole number and a unit: s, m, h or d, for example 90m')
  .transform((text, context) => {
    const [, amount, unit] = pattern.exec(text) ?? [];
    if (unit === 's' || unit === 'm' || unit === 'h' || unit === 'd') return Number(amount) * secondsPer[unit];
    context.addIssue('must be a duration');
    return z.NEVER;
  });

/** Seconds as the policy writes them: 7776000 → `90d`. */
export function durationText(seconds: number): string {
  for (const unit of ['d', 'h', 'm'] as const) {
    if (seconds % secondsPer[unit] === 0) return `${seconds / secondsPer[unit]}${unit}`;
  }
  return `${seconds}s`;
}
