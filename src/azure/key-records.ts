import * as z from 'zod';
import { type KeyRecord, newKeyRecord } from '../rotation/key-facts.ts';
import type { KeyRecords } from '../rotation/key-ports.ts';
import { createRecordRows, instant, orUndefined } from './record-rows.ts';
import { runSchema, statusSchema } from './run-fields.ts';
import type { Tables } from './tables.ts';

const keyName = z.enum(['primary', 'secondary']);

/** Strict: a field that this broker does not know was written by a newer one, which relies on it. */
export const keyRecordSchema: z.ZodType<KeyRecord> = z.strictObject({
  rotation: z.string(),
  turn: orUndefined(
    z.strictObject({
      inUse: keyName,
      since: instant,
      endpoint: z.strictObject({ id: z.string(), createdAt: z.string() }),
      rotateEverySeconds: z.number(),
      overlapSeconds: z.number(),
    }),
  ),
  promisedUntil: z.strictObject({ primary: orUndefined(instant), secondary: orUndefined(instant) }),
  regeneration: orUndefined(
    z.strictObject({
      id: z.string(),
      key: keyName,
      why: z.enum(['due', 'requested', 'compromised']),
      afterTurn: z.boolean(),
      begunAt: instant,
      before: z.string(),
      triedAt: orUndefined(instant),
      outcome: z.enum(['unknown', 'running', 'ended', 'busy', 'forbidden']),
      inDoubt: z.boolean(),
    }),
  ),
  runs: z.array(runSchema),
  status: statusSchema,
});

/** The records of endpoint keys. */
export function createKeyRecords(tables: Tables): KeyRecords {
  return createRecordRows({ tables, partition: 'endpoint-keys', schema: keyRecordSchema, empty: newKeyRecord });
}
