import * as z from 'zod';
import { type Reason, reasons } from '../rotation/reasons.ts';
import type { Run, Status } from '../rotation/runs.ts';
import { instant, orUndefined } from './record-rows.ts';

/** The fields that the records of both kinds of rotation have. */

const requestReasons = { requested: 'requested', compromised: 'compromised' } as const satisfies {
  [Name in Run['reason']]: Name;
};

export const runSchema: z.ZodType<Run> = z.strictObject({
  id: z.string(),
  reason: z.enum(requestReasons),
  requestedAt: instant,
  rotationId: orUndefined(z.string()),
  doneAt: orUndefined(instant),
});

const isReason = (value: unknown): value is Reason => typeof value === 'string' && Object.hasOwn(reasons, value);
const stepAt = { at: instant, step: z.string() };

/** Told to people only: one that cannot be read (its reason has another name by now) is taken for none. */
export const statusSchema: z.ZodType<Status | undefined> = orUndefined(
  z.strictObject({
    at: instant,
    reason: z.custom<Reason>(isReason),
    nextAt: orUndefined(instant),
    expiresOn: orUndefined(instant),
    lastStep: orUndefined(z.strictObject(stepAt)),
    error: orUndefined(z.strictObject({ ...stepAt, what: z.string() })),
  }),
).catch(undefined);
