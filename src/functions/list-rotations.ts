import { type CallerGate, forCallers } from '../http/handler.ts';
import { toJsonAnswer } from '../http/problem.ts';
import type { RotationRequests } from '../rotation/requests.ts';

/** `GET /rotations` */
export function listRotations(broker: () => Promise<CallerGate & { rotations: Pick<RotationRequests, 'list'> }>) {
  return forCallers(broker, async ({ broker: { rotations }, caller, correlationId }) =>
    toJsonAnswer({ rotations: await rotations.list({ caller, correlationId }) }),
  );
}
