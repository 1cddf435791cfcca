import * as z from 'zod';
import { type CallerGate, forCallers } from '../http/handler.ts';
import { toJsonAnswer } from '../http/problem.ts';
import { minRemaining, readEndpoint, readJsonBody, readWorkspace } from '../http/request.ts';
import type { IssueEndpointToken } from '../issuing/endpoint-token.ts';

export const endpointTokenBody = z.strictObject({ minRemaining });

/** `POST /workspaces/{workspace}/endpoints/{endpoint}/token` */
export function endpointToken(broker: () => Promise<CallerGate & { issueEndpointToken: IssueEndpointToken }>) {
  return forCallers(broker, async ({ broker: { issueEndpointToken }, caller, request, correlationId }) => {
    const target = {
      kind: 'endpointToken',
      workspace: readWorkspace(request),
      endpoint: readEndpoint(request),
    } as const;
    const { minRemaining: minRemainingSeconds } = await readJsonBody(request, endpointTokenBody);
    return toJsonAnswer(await issueEndpointToken({ caller, target, correlationId, minRemainingSeconds }));
  });
}
