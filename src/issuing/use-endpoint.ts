import { BrokerError, UpstreamError } from '../errors.ts';
import type { EndpointCatalogue } from '../freshness/endpoint-catalogue.ts';
import type { FetchedWorkspace } from '../freshness/fetched-workspaces.ts';
import type { AuthMode, Endpoint } from '../freshness/ports.ts';

/** What a route asks of an endpoint. */
export interface EndpointUse<T> {
  workspace: string;
  /** Lower case. */
  endpoint: string;
  /** The one mode that the route serves. */
  mode: AuthMode;
  /** What a caller should do about an endpoint in another mode. */
  elsewhere: Readonly<Partial<Record<AuthMode, string>>>;
  use(from: FetchedWorkspace, endpoint: Endpoint): Promise<T>;
}

export type UseEndpoint = <T>(request: EndpointUse<T>) => Promise<T>;

/** Failures that a look at an endpoint of today would explain, where the last look is some seconds old. */
function mayHaveChanged(error: unknown): boolean {
  return error instanceof UpstreamError && ['not_found', 'conflict', 'unexpected'].includes(error.kind);
}

/**
 * Finds the endpoint that a grant allowed by name, checks its mode, and uses it. One that does not exist gets the answer
 * of one that is not granted, so that nobody learns which endpoints there are. Where Azure ML refuses, the endpoint is
 * looked at again: deleted or changed since the last look, it gets the answer of what it is now.
 *
 * @throws BrokerError `not_granted`, `wrong_auth_mode`; whatever `use` throws
 */
export function createUseEndpoint(
  workspaces: ReadonlyMap<string, FetchedWorkspace>,
  catalogue: Pick<EndpointCatalogue, 'look'>,
): UseEndpoint {
  return async ({ workspace, endpoint: name, mode, elsewhere, use }) => {
    const from = workspaces.get(workspace);
    const check = (endpoint: Endpoint | undefined): Endpoint => {
      if (endpoint === undefined) throw new BrokerError('not_granted', { reason: 'no_such_endpoint' });
      const { authMode } = endpoint;
      if (authMode === mode) return endpoint;
      const detail = elsewhere[authMode];
      throw new BrokerError('wrong_auth_mode', { ...(detail === undefined ? {} : { detail }), members: { authMode } });
    };
    if (from === undefined) throw new BrokerError('not_granted', { reason: 'no_such_endpoint' });
    const endpoint = check(await catalogue.look(from, name));
    try {
      return await use(from, endpoint);
    } catch (error) {
      if (mayHaveChanged(error)) check(await catalogue.look(from, name, 'now'));
      throw error;
    }
  };
}
