import { app, type HttpMethod } from '@azure/functions';
import type { RefreshOutcome } from './freshness/refresh.ts';
import { endpointKey } from './functions/endpoint-key.ts';
import { endpointToken } from './functions/endpoint-token.ts';
import { live, ready } from './functions/health.ts';
import { listRotations } from './functions/list-rotations.ts';
import { listWorkspaces } from './functions/list-workspaces.ts';
import { refreshEndpointTokens } from './functions/refresh-endpoint-tokens.ts';
import { requestRotation } from './functions/request-rotation.ts';
import { rotateSecrets } from './functions/rotate-secrets.ts';
import { rotation } from './functions/rotation.ts';
import { rotationRun } from './functions/rotation-run.ts';
import { workspaceToken } from './functions/workspace-token.ts';
import type { Health } from './health.ts';
import type { CallerGate } from './http/handler.ts';
import type { IssueEndpointKey } from './issuing/endpoint-key.ts';
import type { IssueEndpointToken } from './issuing/endpoint-token.ts';
import type { ListWorkspaces } from './issuing/list-workspaces.ts';
import type { IssueWorkspaceToken } from './issuing/workspace-token.ts';
import type { RotationRequests } from './rotation/requests.ts';

/** All operations that the functions call; each function takes its part. */
export interface Broker extends CallerGate {
  health: Health;
  issueWorkspaceToken: IssueWorkspaceToken;
  issueEndpointToken: IssueEndpointToken;
  issueEndpointKey: IssueEndpointKey;
  listWorkspaces: ListWorkspaces;
  rotations: RotationRequests;
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

/** Registers the functions of the role with the Functions host: which trigger, which route, which handler. */
export function registerTriggers({ role, broker, refreshSchedule, rotateSchedule }: Triggers): void {
  if (role !== 'rotator') {
    const post = { methods: ['POST'] satisfies HttpMethod[], authLevel: 'anonymous' as const };
    const get = { methods: ['GET'] satisfies HttpMethod[], authLevel: 'anonymous' as const };
    const endpoint = 'workspaces/{workspace}/endpoints/{endpoint}';
    app.http('workspaceToken', { ...post, route: 'workspaces/{workspace}/token', handler: workspaceToken(broker) });
    app.http('endpointToken', { ...post, route: `${endpoint}/token`, handler: endpointToken(broker) });
    app.http('endpointKey', { ...post, route: `${endpoint}/key`, handler: endpointKey(broker) });
    app.http('listWorkspaces', { ...get, route: 'workspaces', handler: listWorkspaces(broker) });
    app.http('listRotations', { ...get, route: 'rotations', handler: listRotations(broker) });
    app.http('rotation', { ...get, route: 'rotations/{rotation}', handler: rotation(broker) });
    app.http('requestRotation', { ...post, route: 'rotations/{rotation}', handler: requestRotation(broker) });
    app.http('rotationRun', { ...get, route: 'rotations/{rotation}/runs/{run}', handler: rotationRun(broker) });
    app.http('live', { ...get, route: 'health/live', handler: live() });
    app.http('ready', { ...get, route: 'health/ready', handler: ready(broker) });
    app.timer('refreshEndpointTokens', { schedule: refreshSchedule, handler: refreshEndpointTokens(broker) });
  }
  if (role !== 'issuer') app.timer('rotateSecrets', { schedule: rotateSchedule, handler: rotateSecrets(broker) });
}
