import * as z from 'zod';
import { type CallerGate, forCallers } from '../http/handler.ts';
import { readIdempotencyKey, readRotation, toAccepted } from '../http/operator-request.ts';
import { readJsonBody } from '../http/request.ts';
import type { RotationRequests } from '../rotation/requests.ts';

export const requestRotationBody = z.strictObject({
  reason: z.enum(['requested', 'compromised'], 'must be requested or compromised').default('requested'),
});

/** `POST /rotations/{rotation}` */
export function requestRotation(broker: () => Promise<CallerGate & { rotations: Pick<RotationRequests, 'request'> }>) {
  return forCallers(broker, async ({ broker: { rotations }, caller, request, correlationId }) => {
    const rotation = readRotation(request);
    const idempotencyKey = readIdempotencyKey(request);
    const { reason } = await readJsonBody(request, requestRotationBody);
    const seen = await rotations.request({ caller, correlationId, rotation, reason, idempotencyKey });
    return toAccepted(seen.run, seen.location, seen.retryAfterSeconds);
  });
}
