import { BrokerError } from '../errors.ts';
import type { EndpointCatalogue, FetchedWorkspace } from '../freshness/endpoint-catalogue.ts';
import type { Endpoint } from '../freshness/ports.ts';

export type FindEndpoint = (
  workspace: string,
  endpoint: string,
) => Promise<{ from: FetchedWorkspace; endpoint: Endpoint }>;

/**
 * Finds the endpoint that a grant allowed by name. One that does not exist gets the answer of one that is not granted,
 * so that nobody learns which endpoints there are.
 */
export function createFindEndpoint(
  workspaces: ReadonlyMap<string, FetchedWorkspace>,
  catalogue: Pick<EndpointCatalogue, 'look'>,
): FindEndpoint {
  return async (workspace, name) => {
    const from = workspaces.get(workspace);
    const endpoint = from === undefined ? undefined : await catalogue.look(from, name);
    if (from === undefined || endpoint === undefined)
      throw new BrokerError('not_granted', { reason: 'no_such_endpoint' });
    return { from, endpoint };
  };
}
