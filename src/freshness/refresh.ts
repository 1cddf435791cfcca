import type { Grants } from '../grants/compile.ts';
import { type Log, nameError } from '../log.ts';
import type { EndpointCatalogue } from './endpoint-catalogue.ts';
import type { EndpointTokens } from './endpoint-tokens.ts';
import type { FetchedWorkspace } from './fetched-workspaces.ts';
import type { Endpoint } from './ports.ts';

export interface RefreshOptions {
  /** Workspaces whose endpoints some grant can reach. */
  workspaces: readonly FetchedWorkspace[];
  grants: Pick<Grants, 'reaches'>;
  catalogue: Pick<EndpointCatalogue, 'relist'>;
  tokens: Pick<EndpointTokens, 'refreshIfDue' | 'forget'>;
  log: Log;
}

export interface RefreshOutcome {
  /** Endpoints for which a new token was obtained. */
  refreshed: number;
  /** Workspaces or endpoints that could not be looked after; each is in the log. */
  failed: number;
}

/** Endpoints looked after at once: enough for speed, far below Resource Manager's write budget. */
const AT_ONCE = 8;

async function forEachAtOnce<T>(items: readonly T[], act: (item: T) => Promise<void>): Promise<void> {
  const queue = items.values();
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      for (const item of queue) await act(item);
    }),
  );
}

/**
 * The timer's round: learns which endpoints exist, and obtains the next token of each reachable one in time. A failure
 * at one endpoint is counted and logged, and the round goes on.
 */
export function createRefresh({ workspaces, grants, catalogue, tokens, log }: RefreshOptions) {
  const known = new Map<string, readonly Endpoint[]>();

  const learn = async (from: FetchedWorkspace): Promise<{ endpoints: readonly Endpoint[]; failed: boolean }> => {
    const before = known.get(from.name) ?? [];
    try {
      const endpoints = await catalogue.relist(from);
      known.set(from.name, endpoints);
      // One that was made anew under its name overwrites its predecessor's row, so only the name counts here.
      const stays = (old: Endpoint) => endpoints.some(({ id, authMode }) => id === old.id && authMode === old.authMode);
      const gone = before.filter((old) => old.authMode === 'aml_token' && !stays(old));
      for (const endpoint of gone) await tokens.forget(from, endpoint);
      return { endpoints, failed: false };
    } catch (error) {
      log.error('endpoints_not_listed', { workspace: from.name, error: nameError(error) });
      return { endpoints: before, failed: true };
    }
  };

  return async function refresh(): Promise<RefreshOutcome> {
    const outcome: RefreshOutcome = { refreshed: 0, failed: 0 };
    for (const from of workspaces) {
      const { endpoints, failed } = await learn(from);
      if (failed) outcome.failed += 1;
      const reachable = endpoints.filter(
        ({ name, authMode }) => authMode === 'aml_token' && grants.reaches(from.name, name),
      );
      await forEachAtOnce(reachable, async (endpoint) => {
        try {
          if (await tokens.refreshIfDue(from, endpoint)) outcome.refreshed += 1;
        } catch (error) {
          outcome.failed += 1;
          log.error('endpoint_token_not_refreshed', { endpoint: endpoint.id, error: nameError(error) });
        }
      });
    }
    return outcome;
  };
}
