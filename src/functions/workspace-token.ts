import * as z from 'zod';
import { type CallerGate, forCallers } from '../http/handler.ts';
import { toJsonAnswer } from '../http/problem.ts';
import { minRemaining, readJsonBody, readWorkspace } from '../http/request.ts';
import type { IssueWorkspaceToken } from '../issuing/workspace-token.ts';

export const workspaceTokenBody = z.strictObject({
  audience: z.enum(['aml', 'arm'], 'must be aml or arm').default('aml'),
  minRemaining,
});

/** `POST /workspaces/{workspace}/token` */
export function workspaceToken(broker: () => Promise<CallerGate & { issueWorkspaceToken: IssueWorkspaceToken }>) {
  return forCallers(broker, async ({ broker: { issueWorkspaceToken }, caller, request, correlationId }) => {
    const workspace = readWorkspace(request);
    const { audience, minRemaining: minRemainingSeconds } = await readJsonBody(request, workspaceTokenBody);
    const target = { kind: 'workspaceToken', workspace, audience } as const;
    return toJsonAnswer(await issueWorkspaceToken({ caller, target, correlationId, minRemainingSeconds }));
  });
}
