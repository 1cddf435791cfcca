import { type CallerGate, forCallers } from '../http/handler.ts';
import { readRotation } from '../http/operator-request.ts';
import { toJsonAnswer } from '../http/problem.ts';
import type { RotationRequests } from '../rotation/requests.ts';

/** `GET /rotations/{rotation}` */
export function rotation(broker: () => Promise<CallerGate & { rotations: Pick<RotationRequests, 'read'> }>) {
  return forCallers(broker, async ({ broker: { rotations }, caller, request, correlationId }) =>
    toJsonAnswer(await rotations.read({ caller, correlationId, rotation: readRotation(request) })),
  );
}
