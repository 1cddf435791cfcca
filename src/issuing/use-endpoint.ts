import { BrokerError, UpstreamError } from '../errors.ts';
import type { EndpointCatalogue } from '../freshness/endpoint-catalogue.ts';
import type { FetchedWorkspace } from '../freshness/fetched-workspaces.ts';
import type { AuthMode, Endpoint } from '../freshness/ports.ts';

/** What a route asks of an endpoint. */
export interface EndpointUse<T> {
  workspace: string;
  /** Lower case. */
  endpoint: string;
  /** The modes that the route serves. */
  serves: readonly AuthMode[];
  /** What a caller should do about an endpoint in another mode. */
  elsewhere: Readonly<Partial<Record<AuthMode, string>>>;
  use(from: FetchedWorkspace, endpoint: Endpoint): Promise<T>;
}

export type UseEndpoint = <T>(request: EndpointUse<T>) => Promise<T>;

/** What to do about a web service of SDK v1 without authentication. */
export const openToEverybody =
  'This web service asks for no credential: authentication is off. Score without one, or ask its owner to switch key or token authentication on.';

/** The refusal of a route that does not serve this endpoint; `detail` says what to do instead. */
export function wrongAuthMode(authMode: AuthMode, detail: string | undefined): BrokerError {
  return new BrokerError('wrong_auth_mode', { ...(detail === undefined ? {} : { detail }), members: { authMode } });
}

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
  return async ({ workspace, endpoint: name, serves, elsewhere, use }) => {
    const from = workspaces.get(workspace);
    const check = (endpoint: Endpoint | undefined): Endpoint => {
      if (endpoint === undefined) throw new BrokerError('not_granted', { reason: 'no_such_endpoint' });
      const { authMode } = endpoint;
      if (serves.includes(authMode)) return endpoint;
      throw wrongAuthMode(authMode, elsewhere[authMode]);
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
