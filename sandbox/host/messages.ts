import * as z from 'zod';

/** First message of the parent to the host process. Certificate and key travel here: an argument would be seen by every process. */
export const startMessage = z.object({
  appFolder: z.string(),
  port: z.number(),
  tlsPort: z.number(),
  tls: z.object({ cert: z.string(), key: z.string() }),
});
export type StartMessage = z.infer<typeof startMessage>;

/** The one answer of the host process. After `failed` and `portBusy` it exits with code 1. */
export const startedMessage = z.discriminatedUnion('type', [
  z.object({ type: z.literal('listening'), port: z.number(), tlsPort: z.number() }),
  z.object({ type: z.literal('failed'), message: z.string() }),
  z.object({ type: z.literal('portBusy'), port: z.number() }),
]);
export type StartedMessage = z.infer<typeof startedMessage>;
