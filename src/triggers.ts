import { app, type HttpMethod } from '@azure/functions';
import type { RefreshOutcome } from './freshness/refresh.ts';
import { authorizationServer } from './functions/authorization-server.ts';
import { endpointKey, endpointKeyBody } from './functions/endpoint-key.ts';
import { endpointToken, endpointTokenBody } from './functions/endpoint-token.ts';
import { explain, explainBody } from './functions/explain.ts';
import { live, ready } from './functions/health.ts';
import { listRotations } from './functions/list-rotations.ts';
import { listWorkspaces } from './functions/list-workspaces.ts';
import { oauthToken } from './functions/oauth-token.ts';
import { openApi } from './functions/open-api.ts';
import { openIdConfigurationOf } from './functions/openid-configuration.ts';
import { refreshEndpointTokens } from './functions/refresh-endpoint-tokens.ts';
import { requestRotation, requestRotationBody } from './functions/request-rotation.ts';
import { rotateSecrets } from './functions/rotate-secrets.ts';
import { rotation } from './functions/rotation.ts';
import { rotationRun } from './functions/rotation-run.ts';
import { workspaceToken, workspaceTokenBody } from './functions/workspace-token.ts';
import type { AnswerExplain } from './grants/answer-explain.ts';
import type { Health } from './health.ts';
import type { OAuthGate } from './http/oauth-handler.ts';
import type { IssueEndpointKey } from './issuing/endpoint-key.ts';
import type { IssueEndpointToken } from './issuing/endpoint-token.ts';
import type { Exchange } from './issuing/exchange.ts';
import type { ListWorkspaces } from './issuing/list-workspaces.ts';
import type { IssueWorkspaceToken } from './issuing/workspace-token.ts';
import type { RotationRequests } from './rotation/requests.ts';

/** All operations that the functions call; each function takes its part. */
export interface Broker extends OAuthGate {
  health: Health;
  issueWorkspaceToken: IssueWorkspaceToken;
  issueEndpointToken: IssueEndpointToken;
  issueEndpointKey: IssueEndpointKey;
  listWorkspaces: ListWorkspaces;
  exchange: Exchange;
  rotations: RotationRequests;
  explain: AnswerExplain;
  refresh: () => Promise<RefreshOutcome>;
  rotatorRound: () => Promise<void>;
}

export interface Triggers {
  /** `issuer`: HTTP and refresh; `rotator`: `rotateSecrets` alone; `all`: both. */
  role: 'issuer' | 'rotator' | 'all';
  broker: () => Promise<Broker>;
  /** NCRONTAB, or `%NAME%` for the host to read. */
  refreshSchedule: string;
  rotateSchedule: string;
}

const post = { methods: ['POST'] satisfies HttpMethod[], authLevel: 'anonymous' } as const;
const get = { methods: ['GET'] satisfies HttpMethod[], authLevel: 'anonymous' } as const;

/** What callers use. */
function registerIssuing(broker: Triggers['broker']): void {
  const endpoint = 'workspaces/{workspace}/endpoints/{endpoint}';
  app.http('workspaceToken', { ...post, route: 'workspaces/{workspace}/token', handler: workspaceToken(broker) });
  app.http('endpointToken', { ...post, route: `${endpoint}/token`, handler: endpointToken(broker) });
  app.http('endpointKey', { ...post, route: `${endpoint}/key`, handler: endpointKey(broker) });
  app.http('listWorkspaces', { ...get, route: 'workspaces', handler: listWorkspaces(broker) });
}

/** The token endpoint of standard clients, at two addresses, and what it says of itself. */
function registerOAuth(broker: Triggers['broker']): void {
  const token = oauthToken(broker);
  const authorizationServerRoute = '.well-known/oauth-authorization-server';
  const openIdConfigurationRoute = '{tenant}/v2.0/.well-known/openid-configuration';
  app.http('oauthToken', { ...post, route: 'oauth2/token', handler: token });
  app.http('entraToken', { ...post, route: '{tenant}/oauth2/v2.0/token', handler: token });
  app.http('authorizationServer', { ...get, route: authorizationServerRoute, handler: authorizationServer(broker) });
  app.http('openIdConfiguration', { ...get, route: openIdConfigurationRoute, handler: openIdConfigurationOf(broker) });
}

/** What operators use. */
function registerOperating(broker: Triggers['broker']): void {
  app.http('listRotations', { ...get, route: 'rotations', handler: listRotations(broker) });
  app.http('rotation', { ...get, route: 'rotations/{rotation}', handler: rotation(broker) });
  app.http('requestRotation', { ...post, route: 'rotations/{rotation}', handler: requestRotation(broker) });
  app.http('rotationRun', { ...get, route: 'rotations/{rotation}/runs/{run}', handler: rotationRun(broker) });
  app.http('explain', { ...post, route: 'explain', handler: explain(broker) });
}

/** What anyone may read. */
function registerPublic(broker: Triggers['broker']): void {
  const bodies = {
    workspaceToken: workspaceTokenBody,
    endpointToken: endpointTokenBody,
    endpointKey: endpointKeyBody,
    requestRotation: requestRotationBody,
    explain: explainBody,
  };
  app.http('openApi', { ...get, route: 'openapi.json', handler: openApi(broker, bodies) });
  app.http('live', { ...get, route: 'health/live', handler: live() });
  app.http('ready', { ...get, route: 'health/ready', handler: ready(broker) });
}

/** Registers the functions of the role with the Functions host: which trigger, which route, which handler. */
export function registerTriggers({ role, broker, refreshSchedule, rotateSchedule }: Triggers): void {
  if (role !== 'rotator') {
    registerIssuing(broker);
    registerOAuth(broker);
    registerOperating(broker);
    registerPublic(broker);
    app.timer('refreshEndpointTokens', { schedule: refreshSchedule, handler: refreshEndpointTokens(broker) });
  }
  if (role !== 'issuer') app.timer('rotateSecrets', { schedule: rotateSchedule, handler: rotateSecrets(broker) });
}
