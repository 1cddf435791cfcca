import * as z from 'zod';
import type { AuthMode } from '../seed.ts';
import type { Endpoint, EndpointStore, ProvisioningState } from './endpoint-store.ts';

/** One endpoint as `GET /state` shows it: no keys, no tokens. */
export interface EndpointSummary {
  /** Name of the workspace in the policy. */
  workspace: string;
  name: string;
  authMode: AuthMode;
  provisioningState: ProvisioningState;
  created: Date;
}

/** `workspace` is the name in the policy (`prod`) or the one in Azure (`ml-prod`). */
export interface EndpointName {
  workspace: string;
  endpoint: string;
}

/**
 * What an administrator does to endpoints by hand; effective at once. Every function throws an Error that says what to
 * correct when the endpoint is not there.
 */
export interface EndpointOperations {
  deleteEndpoint(name: EndpointName): void;
  /**
   * Deletes the endpoint, where it has not been deleted yet, and makes a namesake: same settings, but other keys, and none
   * of the tokens counts any more.
   */
  recreateEndpoint(name: EndpointName): void;
  setAuthMode(input: EndpointName & { authMode: AuthMode }): void;
  list(): EndpointSummary[];
}

/** The words for an auth mode in Azure's JSON. */
export const authModeSchema = z.enum(['AMLToken', 'Key', 'AADToken']);

export function createEndpointOperations(store: EndpointStore, clock: () => Date): EndpointOperations {
  const existing = ({ workspace: name, endpoint }: EndpointName): Endpoint => {
    const workspace = store.workspaces.find((one) => one.alias === name || one.name === name);
    const found = workspace && store.find(workspace, endpoint);
    if (found === undefined)
      throw new Error(`There is no endpoint ${name}/${endpoint}: GET /state lists those that exist.`);
    return found;
  };
  /** Endpoints deleted by hand, so that they can be made again. */
  const deleted = new Map<string, Endpoint>();
  const keyOf = ({ workspace, endpoint }: EndpointName) => `${workspace}/${endpoint}`.toLowerCase();
  return {
    deleteEndpoint(name) {
      const endpoint = existing(name);
      deleted.set(keyOf(name), endpoint);
      store.remove(endpoint);
    },
    recreateEndpoint(name) {
      const old = deleted.get(keyOf(name)) ?? existing(name);
      deleted.delete(keyOf(name));
      const { authMode, compute, description, traffic, mirrorTraffic, properties, tags } = old;
      store.remove(old);
      store.add(old.workspace, old.name, { authMode, compute, description, traffic, mirrorTraffic, properties, tags });
    },
    setAuthMode({ authMode, ...name }) {
      const endpoint = existing(name);
      if (endpoint.compute !== null && authMode === 'AADToken') {
        throw new Error('A Kubernetes endpoint does not know the auth mode AADToken: choose AMLToken or Key.');
      }
      endpoint.authMode = authMode;
      endpoint.modified = clock();
    },
    list: () =>
      store.workspaces.flatMap((workspace) =>
        store.list(workspace).map(({ name, authMode, provisioningState, created }) => {
          return { workspace: workspace.alias, name, authMode, provisioningState, created };
        }),
      ),
  };
}
