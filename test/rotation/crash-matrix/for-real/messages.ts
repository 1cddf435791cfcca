import * as z from 'zod';

/** What the parent tells a rotator process, and what it hears of it. No secret is among it. */

/** Where a process is stopped: so many calls after the first call of this name; without a name, after its start. */
const stopSchema = z.strictObject({ after: z.string().optional(), calls: z.int().nonnegative() });

export type StopAt = z.output<typeof stopSchema>;

const seconds = z.number().positive();

export const rotatorOptionsSchema = z.strictObject({
  urls: z.strictObject({ entra: z.url(), graph: z.url(), keyVault: z.url(), tables: z.url() }),
  rotation: z.strictObject({
    name: z.string(),
    tenantId: z.string(),
    clientId: z.string(),
    application: z.string(),
    rotateEverySeconds: seconds,
    lifetimeSeconds: seconds,
    overlapSeconds: seconds,
  }),
  limits: z.strictObject({ proofs: z.int(), spreadSeconds: seconds, orphanGraceSeconds: seconds }),
  /** A request of an operator is stored first; this password is known to have become current. */
  asked: z.strictObject({ promoted: z.string() }).optional(),
  stopAt: stopSchema.optional(),
});

export type RotatorOptions = z.output<typeof rotatorOptionsSchema>;

export const rotatorMessageSchema = z.union([
  /** A call is done. */
  z.strictObject({ called: z.string() }),
  /** The call to stop at is done, and nobody learns of its answer any more. */
  z.strictObject({ stopped: z.string() }),
  /** One whole look, from its start to its last plan. */
  z.strictObject({ from: z.iso.datetime().transform((text) => new Date(text)), reason: z.string() }),
]);

export type RotatorMessage = z.input<typeof rotatorMessageSchema>;
