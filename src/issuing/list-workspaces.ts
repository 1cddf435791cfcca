import type { Caller } from '../callers/caller.ts';
import { BrokerError } from '../errors.ts';
import type { EndpointCatalogue } from '../freshness/endpoint-catalogue.ts';
import type { FetchedWorkspace } from '../freshness/fetched-workspaces.ts';
import type { Grants } from '../grants/compile.ts';
import type { Target } from '../grants/target.ts';
import type { Refuse } from './refuse.ts';

export interface WorkspaceListing {
  name: string;
  audiences: ('aml' | 'arm')[];
  /** Those that a grant reaches, as last seen; `token` and `key` say what the endpoint’s mode lets the caller obtain. */
  endpoints: { name: string; token: boolean; key: boolean }[];
}

export type ListWorkspaces = (caller: Caller, correlationId: string) => Promise<WorkspaceListing[]>;

export interface ListWorkspacesOptions {
  grants: Grants;
  /** The names of all workspaces of the policy, in its order. */
  names: readonly string[];
  workspaces: ReadonlyMap<string, FetchedWorkspace>;
  catalogue: Pick<EndpointCatalogue, 'list'>;
  refuse: Refuse;
}

/** Tells a caller what it may obtain, and nothing about the rest. */
export function createListWorkspaces({
  grants,
  names,
  workspaces,
  catalogue,
  refuse,
}: ListWorkspacesOptions): ListWorkspaces {
  const endpointsFor = async (name: string, caller: Caller, allows: (target: Target) => boolean) => {
    const from = workspaces.get(name);
    // Nothing is asked of Azure for a caller who has no grant there.
    if (from === undefined || !grants.reachesEndpoints(caller, name)) return [];
    const endpoints = await catalogue.list(from);
    return endpoints
      .map(({ name: endpoint, authMode }) => ({
        name: endpoint,
        authMode,
        token: allows({ kind: 'endpointToken', workspace: name, endpoint }),
        key: allows({ kind: 'endpointKey', workspace: name, endpoint }),
      }))
      .filter(({ token, key }) => token || key)
      .map(({ name: endpoint, authMode, token, key }) => ({
        name: endpoint,
        token: token && authMode === 'aml_token',
        key: key && authMode === 'key',
      }))
      .sort((a, b) => a.name.localeCompare(b.name, 'en'));
  };

  return async (caller, correlationId) => {
    if (grants.denies(caller)) {
      return refuse(
        { caller, correlationId, target: 'workspaces' },
        new BrokerError('caller_denied', { reason: 'denied' }),
      );
    }
    const allows = (target: Target) => grants.decide(caller, target).allowed;
    const listings = await Promise.all(
      names.map(
        async (name): Promise<WorkspaceListing> => ({
          name,
          audiences: (['aml', 'arm'] as const).filter((audience) =>
            allows({ kind: 'workspaceToken', workspace: name, audience }),
          ),
          endpoints: await endpointsFor(name, caller, allows),
        }),
      ),
    );
    return listings.filter(({ audiences, endpoints }) => audiences.length > 0 || endpoints.length > 0);
  };
}
