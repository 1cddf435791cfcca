import * as z from 'zod';
import { newRecord, type RotationRecord, type Why } from '../rotation/facts.ts';
import type { Records } from '../rotation/ports.ts';
import { createRecordRows, instant, orUndefined } from './record-rows.ts';
import { runSchema, statusSchema } from './run-fields.ts';
import type { Tables } from './tables.ts';

/** Every name is here, or the compiler says so: a record with another one could not be read again. */
const whys = {
  requested: 'requested',
  compromised: 'compromised',
  first: 'first',
  edited: 'edited',
  gone: 'gone',
  expired: 'expired',
  expiring: 'expiring',
  due: 'due',
  text_lost: 'text_lost',
} as const satisfies { [Name in Why]: Name };

type AddRefused = NonNullable<RotationRecord['addRefused']>['why'];
const refusals = { lifetime_refused: 'lifetime_refused', too_many_passwords: 'too_many_passwords' } as const satisfies {
  [Name in AddRefused]: Name;
};

const seconds = z.number().nonnegative();

/** Strict: a field that this broker does not know was written by a newer one, which relies on it. */
const recordSchema: z.ZodType<RotationRecord> = z.strictObject({
  rotation: z.string(),
  attempt: orUndefined(
    z.strictObject({
      rotationId: z.string(),
      why: z.enum(whys),
      begunAt: instant,
      addTriedAt: orUndefined(instant),
    }),
  ),
  proof: orUndefined(
    z.strictObject({
      keyId: z.string(),
      of: z.enum(['pending', 'current']),
      successes: z.int().nonnegative(),
      firstAt: orUndefined(instant),
      lastTriedAt: orUndefined(instant),
      refused: orUndefined(z.enum(['unknown', 'expired'])),
    }),
  ),
  runs: z.array(runSchema),
  promoted: orUndefined(z.string()),
  replaced: z.array(z.string()),
  adopted: z.array(z.string()),
  shortened: orUndefined(z.strictObject({ of: seconds, to: seconds })),
  addRefused: orUndefined(z.strictObject({ why: z.enum(refusals), of: seconds, at: instant })),
  status: statusSchema,
});

/** The records of service principals' secrets. */
export function createRecords(tables: Tables): Records {
  return createRecordRows({ tables, partition: 'secret', schema: recordSchema, empty: newRecord });
}
