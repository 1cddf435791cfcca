import type { Workspace } from '../config/policy-schema.ts';

/** A workspace of the policy with the name it has there and the identity that fetches for it. */
export interface FetchedWorkspace {
  name: string;
  workspace: Workspace;
  /** The fetch identity's name. */
  identity: string;
}

/** The workspaces that have a fetch identity, by their names in the policy. */
export function fetchedWorkspaces(workspaces: Readonly<Record<string, Workspace>>): Map<string, FetchedWorkspace> {
  return new Map(
    Object.entries(workspaces).flatMap(([name, workspace]) =>
      workspace.fetch === undefined ? [] : [[name, { name, workspace, identity: workspace.fetch }]],
    ),
  );
}
