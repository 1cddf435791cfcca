import { BrokerError, UpstreamError } from '../errors.ts';
import type { EndpointCatalogue, FetchedWorkspace } from '../freshness/endpoint-catalogue.ts';
import type { Endpoint } from '../freshness/ports.ts';

export type FindEndpoint = (
  workspace: string,
  endpoint: string,
) => Promise<{ from: FetchedWorkspace; endpoint: Endpoint }>;

const noSuchEndpoint = (): BrokerError => new BrokerError('not_granted', { reason: 'no_such_endpoint' });

/** Asks something of an endpoint that was there at the last look; one deleted since then is as good as never granted. */
export async function askEndpoint<T>(ask: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    throw error instanceof UpstreamError && error.kind === 'not_found' ? noSuchEndpoint() : error;
  }
}

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
    if (from === undefined || endpoint === undefined) throw noSuchEndpoint();
    return { from, endpoint };
  };
}
