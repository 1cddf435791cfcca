import { LRUCache } from 'lru-cache';
import { type Clock, secondsBetween } from '../clock.ts';
import type { Workspace } from '../config/policy-schema.ts';
import { UpstreamError } from '../errors.ts';
import { type Log, nameError } from '../log.ts';
import { type Endpoint, endpointId, type MachineLearning, type TokenStore } from './ports.ts';
import { createSingleFlight } from './single-flight.ts';

/** A workspace of the policy with the name it has there and the identity that fetches for it. */
export interface FetchedWorkspace {
  name: string;
  workspace: Workspace;
  /** The fetch identity's name. */
  identity: string;
}

interface Seen {
  /** Undefined: Azure ML said that there is no such endpoint. */
  endpoint: Endpoint | undefined;
  at: Date;
}

export interface CatalogueOptions {
  machineLearning: MachineLearning;
  store: TokenStore;
  clock: Clock;
  log: Log;
  /** A description younger than this is used without asking again. */
  lookSeconds: number;
}

export interface EndpointCatalogue {
  /**
   * The endpoint as it is, at most `lookSeconds` old; undefined when it does not exist. While Azure ML is out of reach
   * the last known description serves: from memory, else the one sealed with its stored token.
   */
  look(from: FetchedWorkspace, name: string): Promise<Endpoint | undefined>;
  /** Reads which endpoints the workspace has; returns them and remembers that all others are gone. */
  relist(from: FetchedWorkspace): Promise<Endpoint[]>;
  /** The endpoints as last seen; reads them once where this instance never has. */
  list(from: FetchedWorkspace): Promise<Endpoint[]>;
}

const MAX_ENDPOINTS = 10_000;

/** Remembers what endpoints exist, how each authenticates, and when that was last seen. */
export function createEndpointCatalogue(options: CatalogueOptions): EndpointCatalogue {
  const { machineLearning, store, clock, log, lookSeconds } = options;
  const seen = new LRUCache<string, Seen>({ max: MAX_ENDPOINTS });
  const lists = new Map<string, Endpoint[]>();
  const oneLook = createSingleFlight<Endpoint | undefined>();
  const oneList = createSingleFlight<Endpoint[]>();

  const askAzure = async (from: FetchedWorkspace, name: string, id: string): Promise<Endpoint | undefined> => {
    try {
      const endpoint = await machineLearning.getEndpoint(from.workspace, name);
      seen.set(id, { endpoint, at: clock() });
      return endpoint;
    } catch (error) {
      if (!(error instanceof UpstreamError)) throw error;
      if (error.kind === 'not_found') {
        seen.set(id, { endpoint: undefined, at: clock() });
        return undefined;
      }
      if (!error.outOfReach) throw error;
      const last = seen.get(id)?.endpoint ?? (await lastStored(from, id));
      if (last === undefined) throw error;
      log.warn('endpoint_look_failed', { endpoint: id, error: error.message });
      return last;
    }
  };

  const lastStored = async (from: FetchedWorkspace, id: string): Promise<Endpoint | undefined> => {
    try {
      return (await store.read(id, from.identity))?.endpoint;
    } catch (error) {
      log.warn('token_store_read_failed', { endpoint: id, error: nameError(error) });
      return undefined;
    }
  };

  const relist = (from: FetchedWorkspace) =>
    oneList(from.name, async () => {
      const endpoints = await machineLearning.listEndpoints(from.workspace);
      const at = clock();
      const ids = new Set(endpoints.map(({ id }) => id));
      for (const gone of lists.get(from.name)?.filter(({ id }) => !ids.has(id)) ?? []) {
        seen.set(gone.id, { endpoint: undefined, at });
      }
      for (const endpoint of endpoints) seen.set(endpoint.id, { endpoint, at });
      lists.set(from.name, endpoints);
      return endpoints;
    });

  return {
    relist,
    list: async (from) => lists.get(from.name) ?? (await relist(from)),
    async look(from, name) {
      const id = endpointId(from.workspace, name);
      const known = seen.get(id);
      if (known !== undefined && secondsBetween(known.at, clock()) < lookSeconds) return known.endpoint;
      return oneLook(id, () => askAzure(from, name, id));
    },
  };
}
