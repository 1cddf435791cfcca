import { LRUCache } from 'lru-cache';
import { addSeconds, type Clock } from '../clock.ts';
import { UpstreamError } from '../errors.ts';
import { type Log, nameError } from '../log.ts';
import type { FetchedWorkspace } from './fetched-workspaces.ts';
import { type Endpoint, endpointId, type MachineLearning, type TokenStore } from './ports.ts';
import { createSingleFlight } from './single-flight.ts';

interface Seen {
  /** Undefined: Azure ML said that there is no such endpoint. */
  endpoint: Endpoint | undefined;
  /** From here on Azure ML is asked again. */
  freshUntil: Date;
}

interface SeenList {
  endpoints: Endpoint[];
  freshUntil: Date;
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
   * the last known description serves: from memory, else the one sealed with its stored token. With `now` Azure ML is
   * asked whatever is remembered.
   */
  look(from: FetchedWorkspace, name: string, when?: 'now'): Promise<Endpoint | undefined>;
  /** Reads which endpoints the workspace has; returns them and remembers that all others are gone. */
  relist(from: FetchedWorkspace): Promise<Endpoint[]>;
  /** The endpoints as last seen, at most `lookSeconds` old unless Azure ML is out of reach. */
  list(from: FetchedWorkspace): Promise<Endpoint[]>;
}

const MAX_ENDPOINTS = 10_000;

/** After Azure ML could not be reached, the last known description serves this long before the next look. */
const PAUSE_SECONDS = 5;

/** Remembers what endpoints exist, how each authenticates, and when that was last seen. */
export function createEndpointCatalogue(options: CatalogueOptions): EndpointCatalogue {
  const { machineLearning, store, clock, log, lookSeconds } = options;
  const seen = new LRUCache<string, Seen>({ max: MAX_ENDPOINTS });
  const lists = new Map<string, SeenList>();
  const oneLook = createSingleFlight<Endpoint | undefined>();
  const oneList = createSingleFlight<Endpoint[]>();

  const remember = (id: string, endpoint: Endpoint | undefined, seconds: number): void => {
    seen.set(id, { endpoint, freshUntil: addSeconds(clock(), seconds) });
  };

  const askAzure = async (from: FetchedWorkspace, name: string, id: string): Promise<Endpoint | undefined> => {
    try {
      const endpoint = await machineLearning.getEndpoint(from.workspace, name);
      remember(id, endpoint, lookSeconds);
      return endpoint;
    } catch (error) {
      if (!(error instanceof UpstreamError)) throw error;
      if (error.kind === 'not_found') {
        remember(id, undefined, lookSeconds);
        return undefined;
      }
      if (!error.outOfReach) throw error;
      const known = seen.get(id);
      const last = known === undefined ? await lastStored(from, id) : known.endpoint;
      if (known === undefined && last === undefined) throw error;
      log.warn('endpoint_look_failed', { endpoint: id, error: error.message });
      remember(id, last, Math.max(PAUSE_SECONDS, error.retryAfterSeconds ?? 0));
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
      const ids = new Set(endpoints.map(({ id }) => id));
      for (const gone of lists.get(from.name)?.endpoints.filter(({ id }) => !ids.has(id)) ?? []) {
        remember(gone.id, undefined, lookSeconds);
      }
      for (const endpoint of endpoints) remember(endpoint.id, endpoint, lookSeconds);
      lists.set(from.name, { endpoints, freshUntil: addSeconds(clock(), lookSeconds) });
      return endpoints;
    });

  const list = async (from: FetchedWorkspace): Promise<Endpoint[]> => {
    const known = lists.get(from.name);
    if (known !== undefined && clock() < known.freshUntil) return known.endpoints;
    try {
      return await relist(from);
    } catch (error) {
      if (known === undefined || !(error instanceof UpstreamError) || !error.outOfReach) throw error;
      log.warn('endpoints_not_listed', { workspace: from.name, error: error.message });
      const seconds = Math.max(PAUSE_SECONDS, error.retryAfterSeconds ?? 0);
      lists.set(from.name, { ...known, freshUntil: addSeconds(clock(), seconds) });
      return known.endpoints;
    }
  };

  return {
    relist,
    list,
    async look(from, name, when) {
      const id = endpointId(from.workspace, name);
      const known = seen.get(id);
      if (when !== 'now' && known !== undefined && clock() < known.freshUntil) return known.endpoint;
      return oneLook(id, () => askAzure(from, name, id));
    },
  };
}
