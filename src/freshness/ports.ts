import type { Workspace } from '../config/policy-schema.ts';

/** What the rest of the broker needs of Azure ML, in its own words. */

/** `none`: a web service of SDK v1 that asks for no credential. */
export type AuthMode = 'aml_token' | 'aad_token' | 'key' | 'none';

/** An online endpoint on Azure ML's own machines or on a Kubernetes cluster; or a web service of SDK v1. */
export type EndpointKind = 'managed' | 'kubernetes' | 'webService';

/** An online endpoint as Resource Manager describes it. */
export interface Endpoint {
  kind: EndpointKind;
  /** ARM id, lower case. */
  id: string;
  /** Name, lower case. */
  name: string;
  authMode: AuthMode;
  /** `systemData.createdAt` as written by Azure: tells an endpoint from its successor of the same name. */
  createdAt: string;
  scoringUri: string;
}

/** A token for scoring at one endpoint. */
export interface EndpointToken {
  accessToken: string;
  /** When the broker got it. */
  obtainedAt: Date;
  /** Azure ML's `refreshAfterTimeUtc`: a new one should be asked for from here on. */
  refreshBy: Date;
  /** Azure ML's `expiryTimeUtc`: the token stops working here. */
  expiresOn: Date;
}

export interface EndpointKeys {
  primaryKey: string;
  secondaryKey: string;
}

/** An endpoint in key mode has two keys, both of which work. */
export type KeyName = 'primary' | 'secondary';

/**
 * Azure ML through Resource Manager, as the workspace's fetch identity. Every call fails with UpstreamError;
 * `not_found` means that the endpoint (or the workspace) does not exist.
 */
export interface MachineLearning {
  /** All usable endpoints; one that is still being created has no scoring address and is left out. */
  listEndpoints(workspace: Workspace): Promise<Endpoint[]>;
  getEndpoint(workspace: Workspace, name: string): Promise<Endpoint>;
  /** A new token on every call. `now` is what `obtainedAt` says. */
  getToken(workspace: Workspace, name: string): Promise<EndpointToken>;
  listKeys(workspace: Workspace, name: string): Promise<EndpointKeys>;
  /**
   * Gives one key another value, which `listKeys` shows at the end. Waits some seconds for that. Not idempotent, and a
   * failure does not mean that nothing happens: only the key's value tells.
   *
   * `ended`: it is done; `running`: Azure ML has taken it and goes on; `busy`: Azure ML is at work on the endpoint and
   * did not take it.
   */
  regenerateKey(workspace: Workspace, name: string, key: KeyName): Promise<'ended' | 'running' | 'busy'>;
}

/** Whether the policy says that this name is a web service of SDK v1. */
export function isWebService({ endpoints = {} }: Workspace, name: string): boolean {
  return Object.hasOwn(endpoints, name.toLowerCase());
}

/** The ARM id of an endpoint, lower case, made from the policy alone. */
export function endpointId(workspace: Workspace, name: string): string {
  const collection = isWebService(workspace, name) ? 'services' : 'onlineEndpoints';
  return [
    `/subscriptions/${workspace.subscription_id}/resourceGroups/${workspace.resource_group}`,
    `/providers/Microsoft.MachineLearningServices/workspaces/${workspace.workspace_name}/${collection}/${name}`,
  ]
    .join('')
    .toLowerCase();
}

/** An endpoint token as the shared store keeps it: with the endpoint that it is for, and who obtained it. */
export interface StoredToken {
  endpoint: Endpoint;
  /** The fetch identity's name in the policy. */
  identity: string;
  token: EndpointToken;
}

/**
 * Rows of sealed tokens, one for each endpoint and identity, shared by all instances. Fails with UpstreamError.
 * A row that cannot be opened (unknown key, altered, of something else) is as good as none.
 */
export interface TokenStore {
  read(endpointId: string, identity: string): Promise<StoredToken | undefined>;
  write(stored: StoredToken): Promise<void>;
  remove(endpointId: string, identity: string): Promise<void>;
}
