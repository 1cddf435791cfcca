import type { Target } from '../grants/target.ts';
import type { GetAppToken } from './app-tokens.ts';
import type { Issue, IssueRequest } from './issue.ts';
import type { GetUserToken } from './user-tokens.ts';

export interface WorkspaceTokenAnswer {
  accessToken: string;
  tokenType: 'Bearer';
  expiresOn: Date;
  refreshBy: Date;
  audience: 'aml' | 'arm';
  /** The identity's name in the policy. */
  identity: string;
}

export type WorkspaceTokenTarget = Extract<Target, { kind: 'workspaceToken' }>;
export type IssueWorkspaceToken = (request: IssueRequest<WorkspaceTokenTarget>) => Promise<WorkspaceTokenAnswer>;

export interface WorkspaceTokenOptions {
  issue: Issue;
  /** Tokens of `use: issue` identities only. */
  appToken: GetAppToken;
  /** Tokens of `onBehalfOf` identities: the calling user's own access. */
  userToken: GetUserToken;
  /** True where the identity acts for the calling user. */
  actsForUsers: (identity: string) => boolean;
  /** The exact scope of each audience in this cloud. */
  scopes: Readonly<Record<'aml' | 'arm', string>>;
}

/** Issues an Entra token for a workspace, through the identity that the grant names. */
export function createIssueWorkspaceToken(options: WorkspaceTokenOptions): IssueWorkspaceToken {
  const { issue, appToken, userToken, actsForUsers, scopes } = options;
  return (request) =>
    issue(request, async ({ audience }, permit) => {
      const identity = permit.identity ?? '';
      const scope = scopes[audience];
      const { accessToken, expiresOn, refreshBy } = actsForUsers(identity)
        ? await userToken(identity, scope, request.caller)
        : await appToken(identity, scope, request.minRemainingSeconds);
      return {
        credential: accessToken,
        expiresOn,
        identity,
        answer: { accessToken, tokenType: 'Bearer', expiresOn, refreshBy, audience, identity },
      };
    });
}
