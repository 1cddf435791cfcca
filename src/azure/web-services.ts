import type { TokenCredential } from '@azure/core-auth';
import {
  bearerTokenAuthenticationPolicy,
  createDefaultHttpClient,
  createPipelineFromOptions,
  createPipelineRequest,
  type Pipeline,
  type PipelineResponse,
  RestError,
} from '@azure/core-rest-pipeline';
import * as z from 'zod';
import type { Clock } from '../clock.ts';
import type { Workspace } from '../config/policy-schema.ts';
import { UpstreamError } from '../errors.ts';
import { type AuthMode, type Endpoint, endpointId, isWebService, type MachineLearning } from '../freshness/ports.ts';
import { type Log, nameError } from '../log.ts';
import { epochSeconds, keysAnswer, refreshAfterSeconds, toEndpointToken } from './machine-learning.ts';
import { callAzure, clientOptions, parseAnswer } from './transport.ts';

/**
 * Web services of Azure ML SDK v1, through the model management API (specification preview/2019-09-30, path version v1.0).
 * Built from the specification and never run against live Azure: support of the product ended on 30 June 2026. It has
 * no SDK for JavaScript, so the calls go through the Azure pipeline with its bearer policy.
 */

export interface WebServicesOptions {
  /** Serves every name that the policy does not declare as a web service. */
  onlineEndpoints: MachineLearning;
  armEndpoint: string;
  armScope: string;
  /** Azure ML's own API in a region, without a trailing slash. */
  amlRegionEndpoint: (region: string) => string;
  /** The credential of a fetch identity, by its name in the policy. */
  credentialOf: (identity: string) => TokenCredential;
  clock: Clock;
  log: Log;
}

const service = 'azure ml web services';
const ARM_API_VERSION = '2022-10-01';

/** ARM writes regions as `westeurope`, and once wrote them as `West Europe`. It becomes part of a host name. */
const workspaceAnswer = z.looseObject({
  location: z
    .string()
    .transform((text) => text.replaceAll(' ', '').toLowerCase())
    .pipe(z.string().regex(/^[a-z0-9]{3,40}$/)),
});

const serviceAnswer = z.looseObject({
  name: z.string().min(1),
  computeType: z.string(),
  createdTime: z.iso.datetime({ offset: true }),
  // Null until it has been deployed. Services may have an http address.
  scoringUri: z.url({ protocol: /^https?$/ }).nullish(),
  authEnabled: z.boolean().nullish(),
  aadAuthEnabled: z.boolean().nullish(),
});

const tokenAnswer = z.looseObject({
  accessToken: z.string().min(1),
  tokenType: z.string().regex(/^bearer$/i),
  expiryOn: epochSeconds,
  refreshAfter: refreshAfterSeconds,
});

/** Errors of this API are not wrapped in `error`. */
const errorAnswer = z.looseObject({ code: z.string().regex(/^[\w.-]{1,64}$/) });

/**
 * How a service authenticates. AKS: keys unless they are off, or tokens, never both; ACI: keys where they are on, and off
 * is what it starts with.
 */
function authModeOf({ computeType, authEnabled, aadAuthEnabled }: z.output<typeof serviceAnswer>): AuthMode {
  const unusable = (upstreamCode: string) => new UpstreamError({ service, kind: 'unexpected', upstreamCode });
  if (computeType === 'ACI') return authEnabled === true ? 'key' : 'none';
  if (computeType !== 'AKS') throw unusable('neither_AKS_nor_ACI');
  if (aadAuthEnabled === true && authEnabled === true) throw unusable('keys_and_tokens_at_once');
  if (aadAuthEnabled === true) return 'aml_token';
  return (authEnabled ?? true) ? 'key' : 'none';
}

function toJson(text: string | null | undefined): unknown {
  try {
    return JSON.parse(text ?? '');
  } catch {
    return undefined;
  }
}

/** A refusal in the form that the transport reads. */
function refusalOf(answer: PipelineResponse): RestError {
  const { request, status: statusCode } = answer;
  const code = errorAnswer.safeParse(toJson(answer.bodyAsText)).data?.code;
  return new RestError(`status ${statusCode}`, {
    request,
    response: answer,
    statusCode,
    ...(code === undefined ? {} : { code }),
  });
}

/** Azure ML with the services of SDK v1 that the policy declares among its online endpoints. */
export function withWebServices(options: WebServicesOptions): MachineLearning {
  const { onlineEndpoints, armEndpoint, armScope, amlRegionEndpoint, credentialOf, clock, log } = options;
  const client = createDefaultHttpClient();
  const pipelines = new Map<string, Pipeline>();
  const regions = new Map<string, string>();
  const lastSeen = new Map<string, Endpoint>();

  const pipelineFor = (fetch: string): Pipeline => {
    const known = pipelines.get(fetch);
    if (known !== undefined) return known;
    const { additionalPolicies, ...pipelineOptions } = clientOptions();
    const pipeline = createPipelineFromOptions(pipelineOptions);
    for (const { policy } of additionalPolicies) pipeline.addPolicy(policy);
    pipeline.addPolicy(bearerTokenAuthenticationPolicy({ credential: credentialOf(fetch), scopes: armScope }));
    pipelines.set(fetch, pipeline);
    return pipeline;
  };

  const send = (
    { fetch }: Workspace,
    expected: readonly number[],
    method: 'GET' | 'POST',
    url: string,
    json?: object,
  ) =>
    callAzure(service, async () => {
      if (fetch === undefined) throw new Error('the workspace has no fetch identity');
      const request = createPipelineRequest({ method, url });
      request.headers.set('accept', 'application/json');
      if (json !== undefined) {
        request.headers.set('content-type', 'application/json');
        request.body = JSON.stringify(json);
      }
      const answer = await pipelineFor(fetch).sendRequest(client, request);
      if (!expected.includes(answer.status)) throw refusalOf(answer);
      return { status: answer.status, json: toJson(answer.bodyAsText) };
    });

  const workspacePath = ({ subscription_id, resource_group, workspace_name }: Workspace) =>
    `/subscriptions/${subscription_id}/resourceGroups/${resource_group}/providers/Microsoft.MachineLearningServices/workspaces/${workspace_name}`;

  /** A workspace never moves, so its region is asked for once. */
  const regionOf = async (workspace: Workspace): Promise<string> => {
    const path = workspacePath(workspace);
    const known = regions.get(path);
    if (known !== undefined) return known;
    const { json } = await send(workspace, [200], 'GET', `${armEndpoint}${path}?api-version=${ARM_API_VERSION}`);
    const { location } = parseAnswer(service, workspaceAnswer, json);
    regions.set(path, location);
    return location;
  };

  const urlOf = async (workspace: Workspace, name: string, action = ''): Promise<string> =>
    `${amlRegionEndpoint(await regionOf(workspace))}/modelmanagement/v1.0${workspacePath(workspace)}/services/${name.toLowerCase()}${action}`;

  const getService = async (workspace: Workspace, name: string): Promise<Endpoint> => {
    const { json } = await send(workspace, [200], 'GET', await urlOf(workspace, name));
    const answer = parseAnswer(service, serviceAnswer, json);
    const { scoringUri, createdTime } = answer;
    if (scoringUri === null || scoringUri === undefined) {
      throw new UpstreamError({ service, kind: 'not_found', upstreamCode: 'NotDeployedYet' });
    }
    const endpoint: Endpoint = {
      id: endpointId(workspace, name),
      name: name.toLowerCase(),
      kind: 'webService',
      authMode: authModeOf(answer),
      createdAt: new Date(createdTime).toISOString(),
      scoringUri,
    };
    lastSeen.set(endpoint.id, endpoint);
    return endpoint;
  };

  /** Trouble with an old service must not hide the workspace's online endpoints: it is listed as last seen. */
  const listService = async (workspace: Workspace, name: string): Promise<Endpoint[]> => {
    const id = endpointId(workspace, name);
    try {
      return [await getService(workspace, name)];
    } catch (error) {
      if (!(error instanceof UpstreamError)) throw error;
      if (error.kind === 'not_found') lastSeen.delete(id);
      else log.warn('web_service_not_listed', { endpoint: id, error: nameError(error) });
      const last = lastSeen.get(id);
      return last === undefined ? [] : [last];
    }
  };

  return {
    async listEndpoints(workspace) {
      const [online, ...services] = await Promise.all([
        onlineEndpoints.listEndpoints(workspace),
        ...Object.keys(workspace.endpoints ?? {}).map((name) => listService(workspace, name)),
      ]);
      return [...online.filter(({ name }) => !isWebService(workspace, name)), ...services.flat()];
    },

    getEndpoint: (workspace, name) =>
      isWebService(workspace, name) ? getService(workspace, name) : onlineEndpoints.getEndpoint(workspace, name),

    async getToken(workspace, name) {
      if (!isWebService(workspace, name)) return onlineEndpoints.getToken(workspace, name);
      // 201, where online endpoints answer 200.
      const { json } = await send(workspace, [200, 201], 'POST', await urlOf(workspace, name, '/token'));
      const { accessToken, expiryOn, refreshAfter } = parseAnswer(service, tokenAnswer, json);
      return toEndpointToken(accessToken, expiryOn, refreshAfter, clock());
    },

    async listKeys(workspace, name) {
      if (!isWebService(workspace, name)) return onlineEndpoints.listKeys(workspace, name);
      const { json } = await send(workspace, [200], 'POST', await urlOf(workspace, name, '/listkeys'));
      const { primaryKey, secondaryKey } = parseAnswer(service, keysAnswer, json);
      return { primaryKey, secondaryKey };
    },

    async regenerateKey(workspace, name, key) {
      if (!isWebService(workspace, name)) return onlineEndpoints.regenerateKey(workspace, name, key);
      const keyType = key === 'primary' ? 'Primary' : 'Secondary';
      const url = await urlOf(workspace, name, '/regenerateKeys');
      const { status } = await send(workspace, [200, 202, 409], 'POST', url, { keyType });
      // 202 names an operation to follow; whether the key has changed is what the next look at the keys tells.
      return status === 200 ? 'ended' : status === 202 ? 'running' : 'busy';
    },
  };
}
