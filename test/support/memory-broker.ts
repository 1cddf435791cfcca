import { createRecorder } from '../../src/audit/recorder.ts';
import { createEndpointCatalogue } from '../../src/freshness/endpoint-catalogue.ts';
import { createEndpointTokens } from '../../src/freshness/endpoint-tokens.ts';
import type { FetchedWorkspace } from '../../src/freshness/fetched-workspaces.ts';
import { compileGrants } from '../../src/grants/compile.ts';
import { createFindByIdentity } from '../../src/grants/find-by-identity.ts';
import { type AppToken, createAppTokens } from '../../src/issuing/app-tokens.ts';
import { createIssueEndpointKey } from '../../src/issuing/endpoint-key.ts';
import { createIssueEndpointToken } from '../../src/issuing/endpoint-token.ts';
import { createExchange } from '../../src/issuing/exchange.ts';
import { createIssue } from '../../src/issuing/issue.ts';
import { createListWorkspaces } from '../../src/issuing/list-workspaces.ts';
import { createRefuse } from '../../src/issuing/refuse.ts';
import { createUseEndpoint } from '../../src/issuing/use-endpoint.ts';
import { createIssueWorkspaceToken } from '../../src/issuing/workspace-token.ts';
import { aFetchedWorkspace, anEndpoint, aPolicy } from './builders.ts';
import { createMovableClock } from './clock.ts';
import { createFakeMachineLearning, createLogSpy, createMemoryAuditStore, createMemoryTokenStore } from './ports.ts';

export const scopes = {
  aml: 'https://ml.azure.com/.default',
  arm: 'https://management.azure.com/.default',
} as const;

export interface FakeEntra {
  /** Thrown while it is set. */
  fault: Error | undefined;
  /** `identity scope`, in the order of the calls. */
  calls: string[];
  issued: Pick<AppToken, 'accessToken' | 'expiresOn'>[];
}

/**
 * The broker's operations on ports in memory, put together as main does. Workspace `prod` has an endpoint in each
 * authentication mode and one that no grant reaches; `dev` has one in aml_token mode.
 */
export function createMemoryBroker(policy = aPolicy()) {
  const time = createMovableClock();
  const { clock } = time;
  const { log, lines } = createLogSpy();
  const machineLearning = createFakeMachineLearning(clock);
  machineLearning.endpoints.set('ml-prod', [
    anEndpoint({ name: 'fraud-aml' }),
    anEndpoint({ name: 'fraud-scorer', authMode: 'key' }),
    anEndpoint({ name: 'fraud-aad', authMode: 'aad_token' }),
    anEndpoint({ name: 'churn-aml' }),
  ]);
  const dev = aFetchedWorkspace('dev');
  machineLearning.endpoints.set('ml-dev', [anEndpoint({ name: 'dev-aml' }, dev)]);

  const entra: FakeEntra = { fault: undefined, calls: [], issued: [] };
  const appToken = createAppTokens({
    identities: ['trainer'],
    clock,
    log,
    async obtain(identity, scope) {
      entra.calls.push(`${identity} ${scope}`);
      if (entra.fault !== undefined) throw entra.fault;
      const token = { accessToken: `secret-token-of-${identity}-${entra.calls.length}`, expiresOn: time.in(3600) };
      entra.issued.push(token);
      return { ...token, refreshBy: undefined };
    },
  });

  const store = createMemoryTokenStore();
  const audit = createMemoryAuditStore();
  const writeAudit = createRecorder({ stores: [audit], log, report: () => undefined });
  const grants = compileGrants(policy);
  const workspaces = new Map<string, FetchedWorkspace>([
    ['prod', aFetchedWorkspace('prod')],
    ['dev', dev],
  ]);
  const catalogue = createEndpointCatalogue({ machineLearning, store, clock, log, lookSeconds: 10 });
  const tokens = createEndpointTokens({ machineLearning, store, clock, log, refreshAheadSeconds: 300 });
  const policyHash = 'hash-of-the-policy';
  const refuse = createRefuse({ policyHash, writeAudit, clock, log });
  const issue = createIssue({ grants, policyHash, writeAudit, refuse, clock });
  const useEndpoint = createUseEndpoint(workspaces, catalogue);
  const issueWorkspaceToken = createIssueWorkspaceToken({
    ...{ issue, appToken, scopes },
    userToken: () => Promise.reject(new Error('no identity of this policy acts for users')),
    actsForUsers: () => false,
  });
  const issueEndpointToken = createIssueEndpointToken({
    ...{ issue, grants, useEndpoint, tokens, appToken },
    amlScope: scopes.aml,
  });
  return {
    time,
    lines,
    machineLearning,
    entra,
    store,
    audit,
    records: () => audit.batches.flat(),
    issueWorkspaceToken,
    issueEndpointToken,
    oauth: { publicUrl: 'https://broker.example', scopes, armEndpoint: 'https://management.azure.com' },
    exchange: createExchange({
      findByIdentity: createFindByIdentity(policy),
      ...{ issueWorkspaceToken, issueEndpointToken, refuse, clock },
    }),
    issueEndpointKey: createIssueEndpointKey({ issue, useEndpoint, machineLearning }),
    listWorkspaces: createListWorkspaces({ grants, names: ['prod', 'dev'], workspaces, catalogue, refuse }),
  };
}
