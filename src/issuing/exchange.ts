import type { Caller } from '../callers/caller.ts';
import { type Clock, secondsBetween } from '../clock.ts';
import { BrokerError } from '../errors.ts';
import type { FindByIdentity, NamedIdentity, WorkspaceTarget } from '../grants/find-by-identity.ts';
import type { IssueEndpointToken } from './endpoint-token.ts';
import type { Refuse } from './refuse.ts';
import type { IssueWorkspaceToken } from './workspace-token.ts';

/** What an OAuth client names: a workspace and audience, an endpoint, or an identity and audience. */
export type ExchangeTarget =
  | { kind: 'workspace'; workspace: string; audience: 'aml' | 'arm' }
  | { kind: 'endpoint'; workspace: string; endpoint: string }
  | ({ kind: 'identity' } & NamedIdentity);

export interface ExchangeRequest {
  caller: Caller;
  target: ExchangeTarget;
  correlationId: string;
}

export interface ExchangedToken {
  accessToken: string;
  /** Whole seconds that the token has left. */
  expiresInSeconds: number;
  /** Whole seconds, at least 1 and less than the life where that has two; then the client should ask again. */
  refreshInSeconds: number;
  stale: boolean;
}

/** The caller’s token for one of Azure’s; see `createExchange`. */
export type Exchange = (request: ExchangeRequest) => Promise<ExchangedToken>;

export interface ExchangeOptions {
  findByIdentity: FindByIdentity;
  issueWorkspaceToken: IssueWorkspaceToken;
  issueEndpointToken: IssueEndpointToken;
  refuse: Refuse;
  clock: Clock;
}

/** A client that holds a stale token asks again after this long, not on every use. */
const STALE_PAUSE_SECONDS = 30;

const refusals: Readonly<Record<string, string>> = {
  several_grants_for_identity:
    'More than one grant lets this caller use this client_id and scope. Name the workspace by resource, or ask by token exchange.',
  no_grant_for_identity:
    'No grant lets this caller use this client_id and scope. Ask the owner of the policy for a grant, or check both.',
};

/**
 * Issues for OAuth clients. It decides nothing of its own: what the client names becomes a target, and that is issued as
 * for every other route, with its grant, life and audit record (P1, P3).
 *
 * @throws BrokerError with the code that the caller sees
 */
export function createExchange(options: ExchangeOptions): Exchange {
  const { findByIdentity, issueWorkspaceToken, issueEndpointToken, refuse, clock } = options;

  const meant = (
    { caller, correlationId }: ExchangeRequest,
    named: NamedIdentity,
  ): WorkspaceTarget | Promise<never> => {
    const found = findByIdentity(caller, named);
    if (found.found) return found.target;
    const detail = refusals[found.reason];
    const error = new BrokerError(found.code, {
      reason: found.reason,
      ...(detail === undefined ? {} : { detail }),
    });
    return refuse({ caller, correlationId, target: `client ${named.clientId} ${named.audience} token` }, error);
  };

  const issue = async (request: ExchangeRequest) => {
    const { caller, correlationId, target } = request;
    const asked = { caller, correlationId, minRemainingSeconds: undefined };
    if (target.kind === 'endpoint') {
      return issueEndpointToken({ ...asked, target: { ...target, kind: 'endpointToken' } });
    }
    const workspace =
      target.kind === 'workspace' ? ({ ...target, kind: 'workspaceToken' } as const) : await meant(request, target);
    return { ...(await issueWorkspaceToken({ ...asked, target: workspace })), stale: false };
  };

  return async (request) => {
    const { accessToken, expiresOn, refreshBy, stale } = await issue(request);
    const now = clock();
    const expiresInSeconds = Math.max(0, Math.floor(secondsBetween(now, expiresOn)));
    const wanted = stale ? STALE_PAUSE_SECONDS : Math.floor(secondsBetween(now, refreshBy));
    const refreshInSeconds = Math.max(1, Math.min(wanted, expiresInSeconds - 1));
    return { accessToken, expiresInSeconds, refreshInSeconds, stale };
  };
}
