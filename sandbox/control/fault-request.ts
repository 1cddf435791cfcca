import * as z from 'zod';
import { SERVICE_NAMES } from '../http/service-name.ts';

const MAX_DELAY_MS = 600_000;

/** Body of `POST /faults`; gives a planned fault. */
export const faultRequestSchema = z.strictObject({
  service: z.enum(SERVICE_NAMES),
  match: z
    .string()
    .transform((source, context) => {
      try {
        return new RegExp(source);
      } catch {
        context.addIssue({ code: 'custom', message: 'is not a regular expression' });
        return z.NEVER;
      }
    })
    .optional(),
  /** 200 makes an answer of an unexpected shape. */
  status: z.int().min(200).max(599).optional(),
  code: z.string().min(1).optional(),
  retryAfterSeconds: z.int().min(0).optional(),
  delayMs: z.int().min(0).max(MAX_DELAY_MS).optional(),
  commitThenDrop: z.boolean().optional(),
  times: z.int().min(1).optional(),
});
