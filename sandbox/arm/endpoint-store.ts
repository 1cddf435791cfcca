import { type AuthMode, WORKSPACES, type WorkspaceSeed } from '../seed.ts';
import { type Random, systemRandom } from '../state/random.ts';
import { createIssuedTokens, type IssuedTokens } from './issued-tokens.ts';
import { createLongRunningOperations, type LongRunningOperations } from './long-running-operations.ts';
import { workspaceIdOf } from './resource-ids.ts';

export type ProvisioningState = 'Creating' | 'Updating' | 'Deleting' | 'Succeeded';
export type KeyType = 'Primary' | 'Secondary';

export interface Workspace {
  /** Name in the broker's policy and in the control interface. */
  alias: string;
  /** Name in Azure. */
  name: string;
  /** ARM id. */
  id: string;
  /** The GUID by which Azure ML knows it. */
  workspaceId: string;
  principalId: string;
  created: Date;
  /** Keys of its batch endpoint. */
  batchKeys: Readonly<Record<KeyType, string>>;
}

/** What the writer of an endpoint decides. */
export interface EndpointSettings {
  authMode: AuthMode;
  /** ARM id of the Kubernetes cluster that it runs on; null: managed. */
  compute: string | null;
  description: string | null;
  /** Deployment name to per cent. */
  traffic: Readonly<Record<string, number>>;
  mirrorTraffic: Readonly<Record<string, number>>;
  properties: Readonly<Record<string, string>>;
  tags: Readonly<Record<string, string>>;
}

export interface Endpoint extends EndpointSettings {
  workspace: Workspace;
  name: string;
  /** ARM id. */
  id: string;
  /** Another one for each creation: a namesake that is made later shares nothing with this one. */
  incarnation: string;
  principalId: string;
  provisioningState: ProvisioningState;
  /** False until its creation is complete. */
  isServing: boolean;
  created: Date;
  modified: Date;
  /** Name of the last long-running operation on it. */
  lastOperation: string;
  keys: Record<KeyType, string>;
  tokens: IssuedTokens;
  deployments: readonly string[];
}

/** The endpoints of the pretend Azure ML, in memory. Names compare without case. */
export interface EndpointStore {
  /** Long-running operations on endpoints; those that are due take effect before an endpoint is found or listed. */
  readonly operations: LongRunningOperations;
  readonly workspaces: readonly Workspace[];
  findWorkspace(name: string): Workspace | undefined;
  find(workspace: Workspace, name: string): Endpoint | undefined;
  /** Ordered by name. */
  list(workspace: Workspace): Endpoint[];
  add(workspace: Workspace, name: string, settings: Partial<EndpointSettings> & { authMode: AuthMode }): Endpoint;
  remove(endpoint: Endpoint): void;
  newKey(): string;
}

export interface EndpointStoreOptions {
  clock: () => Date;
  random?: Random;
  /** How long a long-running operation takes. */
  operationSeconds?: number;
  seed?: readonly WorkspaceSeed[];
}

/** Makes the store with the seeded workspaces; every seeded endpoint serves all traffic from the deployment `blue`. */
export function createEndpointStore(options: EndpointStoreOptions): EndpointStore {
  const { clock, random = systemRandom, operationSeconds = 1, seed = WORKSPACES } = options;
  const operations = createLongRunningOperations({ clock, random, operationSeconds });
  const endpoints = new Map<string, Endpoint>();
  const keyOf = (workspace: Workspace, name: string) => `${workspace.name}/${name}`.toLowerCase();
  const newKey = () => random.bytes(24).toString('base64url');
  const workspaces = seed.map(({ name: alias, workspaceName: name }): Workspace => {
    const ids = { id: workspaceIdOf(name), workspaceId: random.id(), principalId: random.id() };
    return { alias, name, ...ids, created: clock(), batchKeys: { Primary: newKey(), Secondary: newKey() } };
  });

  const store: EndpointStore = {
    workspaces,
    operations,
    newKey,
    findWorkspace: (name) => workspaces.find((workspace) => workspace.name.toLowerCase() === name.toLowerCase()),
    find(workspace, name) {
      operations.settle();
      return endpoints.get(keyOf(workspace, name));
    },
    list(workspace) {
      operations.settle();
      const own = [...endpoints.values()].filter((endpoint) => endpoint.workspace === workspace);
      return own.toSorted((a, b) => (a.name.toLowerCase() < b.name.toLowerCase() ? -1 : 1));
    },
    add(workspace, name, settings) {
      const now = clock();
      const endpoint: Endpoint = {
        compute: null,
        description: null,
        traffic: {},
        mirrorTraffic: {},
        properties: {},
        tags: {},
        ...settings,
        workspace,
        name,
        id: `${workspace.id}/onlineEndpoints/${name}`,
        ...{
          incarnation: random.id(),
          principalId: random.id(),
          lastOperation: `oeidp:${workspace.workspaceId}:${random.id()}`,
        },
        provisioningState: 'Succeeded',
        isServing: true,
        created: now,
        modified: now,
        keys: { Primary: newKey(), Secondary: newKey() },
        tokens: createIssuedTokens(),
        deployments: Object.keys(settings.traffic ?? {}),
      };
      endpoints.set(keyOf(workspace, name), endpoint);
      return endpoint;
    },
    remove(endpoint) {
      const key = keyOf(endpoint.workspace, endpoint.name);
      if (endpoints.get(key) === endpoint) endpoints.delete(key);
    },
  };
  for (const [index, workspace] of workspaces.entries()) {
    for (const { name, authMode } of seed[index]?.endpoints ?? []) {
      store.add(workspace, name, { authMode, traffic: { blue: 100 } });
    }
  }
  return store;
}
