import * as z from 'zod';
import { type CallerGate, forCallers } from '../http/handler.ts';
import { toJsonAnswer } from '../http/problem.ts';
import { readEndpoint, readJsonBody, readWorkspace } from '../http/request.ts';
import type { IssueEndpointKey } from '../issuing/endpoint-key.ts';

export const endpointKeyBody = z.strictObject({});

/** `POST /workspaces/{workspace}/endpoints/{endpoint}/key` */
export function endpointKey(broker: () => Promise<CallerGate & { issueEndpointKey: IssueEndpointKey }>) {
  return forCallers(broker, async ({ broker: { issueEndpointKey }, caller, request, correlationId }) => {
    const target = { kind: 'endpointKey', workspace: readWorkspace(request), endpoint: readEndpoint(request) } as const;
    await readJsonBody(request, endpointKeyBody);
    return toJsonAnswer(await issueEndpointKey({ caller, target, correlationId, minRemainingSeconds: undefined }));
  });
}
