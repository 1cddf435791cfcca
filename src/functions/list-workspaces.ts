import { type CallerGate, forCallers } from '../http/handler.ts';
import { toJsonAnswer } from '../http/problem.ts';
import type { ListWorkspaces } from '../issuing/list-workspaces.ts';

/** `GET /workspaces` */
export function listWorkspaces(broker: () => Promise<CallerGate & { listWorkspaces: ListWorkspaces }>) {
  return forCallers(broker, async ({ broker: ready, caller, correlationId }) =>
    toJsonAnswer({ workspaces: await ready.listWorkspaces(caller, correlationId) }),
  );
}
