import type { Caller } from '../callers/caller.ts';
import { BrokerError } from '../errors.ts';
import type { EndpointCatalogue } from '../freshness/endpoint-catalogue.ts';
import type { FetchedWorkspace } from '../freshness/fetched-workspaces.ts';
import type { Endpoint } from '../freshness/ports.ts';
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

type Allows = (target: Target, throughIdentity?: 'throughIdentity') => boolean;

/** Whether its `/token` route serves an endpoint, to a caller with the right grant. */
function givesToken({ authMode, kind }: Endpoint): boolean {
  return authMode === 'aml_token' || (authMode === 'aad_token' && kind === 'managed');
}

/** Tells a caller what it may obtain, and nothing about the rest. */
export function createListWorkspaces({
  grants,
  names,
  workspaces,
  catalogue,
  refuse,
}: ListWorkspacesOptions): ListWorkspaces {
  const endpointsFor = async (name: string, caller: Caller, allows: Allows) => {
    const from = workspaces.get(name);
    // Nothing is asked of Azure for a caller who has no grant there.
    if (from === undefined || !grants.reachesEndpoints(caller, name)) return [];
    const endpoints = await catalogue.list(from);
    return endpoints
      .map((endpoint) => ({
        endpoint,
        token: { kind: 'endpointToken', workspace: name, endpoint: endpoint.name } as const,
        key: { kind: 'endpointKey', workspace: name, endpoint: endpoint.name } as const,
      }))
      .filter(({ token, key }) => allows(token) || allows(key))
      .map(({ endpoint, token, key }) => ({
        name: endpoint.name,
        token: givesToken(endpoint) && allows(token, endpoint.authMode === 'aad_token' ? 'throughIdentity' : undefined),
        key: endpoint.authMode === 'key' && allows(key),
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
    const allows: Allows = (target, throughIdentity) => grants.decide(caller, target, throughIdentity).allowed;
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
