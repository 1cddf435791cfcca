import { type CallerGate, forCallers } from '../http/handler.ts';
import { readRotation, toAccepted } from '../http/operator-request.ts';
import { toJsonAnswer } from '../http/problem.ts';
import type { RotationRequests } from '../rotation/requests.ts';

/** `GET /rotations/{rotation}/runs/{run}` */
export function rotationRun(broker: () => Promise<CallerGate & { rotations: Pick<RotationRequests, 'readRun'> }>) {
  return forCallers(broker, async ({ broker: { rotations }, caller, request, correlationId }) => {
    const asked = { caller, correlationId, rotation: readRotation(request), run: request.params.run ?? '' };
    const { done, location, retryAfterSeconds, run } = await rotations.readRun(asked);
    return done ? toJsonAnswer(run) : toAccepted(run, location, retryAfterSeconds);
  });
}
