import {
  DEFAULT_CALLER,
  DEPLOYER,
  DEV_RUNNER_IDENTITY,
  FRAUD_SCORER_IDENTITY,
  READER_IDENTITY,
  TRAINER,
} from '../seed.ts';
import { resourceGroupId, workspaceIdOf } from './resource-ids.ts';

/** One role assignment of Azure's role-based access control. Names compare without case; `*` in an action is any text. */
export interface RoleAssignment {
  /** Object id. */
  principalId: string;
  /** ARM id; holds for everything below it. */
  scope: string;
  actions: readonly string[];
  dataActions: readonly string[];
}

const provider = 'Microsoft.MachineLearningServices';

/** Who may do what at the start. */
export const seededAssignments: readonly RoleAssignment[] = [
  {
    principalId: READER_IDENTITY.oid,
    // The resource group holds both workspaces; so this one also learns that a workspace is missing.
    scope: resourceGroupId,
    actions: [
      `${provider}/workspaces/read`,
      `${provider}/workspaces/*/read`,
      `${provider}/workspaces/onlineEndpoints/token/action`,
      `${provider}/workspaces/onlineEndpoints/listKeys/action`,
      `${provider}/workspaces/onlineEndpoints/regenerateKeys/action`,
      `${provider}/workspaces/services/*/listkeys/action`,
    ],
    dataActions: [],
  },
  { principalId: DEV_RUNNER_IDENTITY.oid, scope: workspaceIdOf('ml-dev'), actions: ['*'], dataActions: ['*'] },
  {
    principalId: TRAINER.servicePrincipalId,
    scope: workspaceIdOf('ml-prod'),
    actions: [
      `${provider}/workspaces/read`,
      `${provider}/workspaces/*/read`,
      `${provider}/workspaces/onlineEndpoints/*/action`,
    ],
    dataActions: [],
  },
  { principalId: DEPLOYER.servicePrincipalId, scope: workspaceIdOf('ml-prod'), actions: ['*'], dataActions: ['*'] },
  {
    principalId: DEFAULT_CALLER.userOid,
    scope: workspaceIdOf('ml-prod'),
    actions: [`${provider}/workspaces/read`, `${provider}/workspaces/*/read`],
    dataActions: [],
  },
  {
    principalId: FRAUD_SCORER_IDENTITY.oid,
    scope: workspaceIdOf('ml-prod'),
    actions: [],
    dataActions: [`${provider}/workspaces/onlineEndpoints/score/action`],
  },
];

/** Is a principal allowed an action, or a data action, on the resource with this ARM id? */
export function isAllowed(
  assignments: readonly RoleAssignment[],
  request: { principalId: string; resourceId: string; kind: 'actions' | 'dataActions'; action: string },
): boolean {
  return assignments.some(
    (assignment) =>
      assignment.principalId === request.principalId &&
      `${request.resourceId}/`.toLowerCase().startsWith(`${assignment.scope}/`.toLowerCase()) &&
      assignment[request.kind].some((pattern) => matches(pattern, request.action)),
  );
}

function matches(pattern: string, action: string): boolean {
  const escaped = pattern.split('*').map((part) => part.replace(/[\\^$.+?()[\]{}|]/g, '\\$&'));
  return new RegExp(`^${escaped.join('.*')}$`, 'i').test(action);
}
