import { AzureMachineLearningWorkspaces } from '@azure/arm-machinelearning';
import type { TokenCredential } from '@azure/core-auth';
import type { PipelinePolicy } from '@azure/core-rest-pipeline';
import * as z from 'zod';
import { addSeconds, type Clock, secondsBetween } from '../clock.ts';
import type { Workspace } from '../config/policy-schema.ts';
import { UpstreamError } from '../errors.ts';
import {
  type Endpoint,
  type EndpointKind,
  type EndpointToken,
  endpointId,
  type MachineLearning,
} from '../freshness/ports.ts';
import { followRegeneration, type RegenerationWait } from './regenerate-key.ts';
import { callAzure, clientOptions, parseAnswer } from './transport.ts';

export interface MachineLearningOptions {
  armEndpoint: string;
  armScope: string;
  /** The credential of a fetch identity, by its name in the policy. */
  credentialOf: (identity: string) => TokenCredential;
  clock: Clock;
  /** Runs every call and reports how it ended, for the readiness answer. */
  watched: <T>(call: () => Promise<T>) => Promise<T>;
  /** How long regenerateKey waits for the end; absent: 20 s. */
  regenerationWait?: RegenerationWait;
}

const service = 'azure machine learning';

const endpointAnswer = z.looseObject({
  name: z.string().min(1),
  kind: z.string().nullish(),
  properties: z.looseObject({
    authMode: z.enum(['AMLToken', 'Key', 'AADToken']),
    // Null until the endpoint has been created. Endpoints on a Kubernetes cluster may have an http address.
    scoringUri: z.url({ protocol: /^https?$/ }).nullish(),
    // The cluster's ARM id; managed endpoints have none.
    compute: z.string().nullish(),
  }),
  systemData: z.looseObject({ createdAt: z.date() }),
});

/** The SDK takes a page without `value` for an empty one. */
const pageAnswer = z.looseObject({ value: z.array(z.unknown()) });

const modes = { AMLToken: 'aml_token', Key: 'key', AADToken: 'aad_token' } as const;

export const epochSeconds = z
  .int()
  .positive()
  .transform((seconds) => new Date(seconds * 1000));

/** 0 where Azure ML does not say. */
export const refreshAfterSeconds = z.union([z.literal(0).transform(() => undefined), epochSeconds]).optional();

const tokenAnswer = z.looseObject({
  accessToken: z.string().min(1),
  tokenType: z.string().regex(/^bearer$/i),
  expiryTimeUtc: epochSeconds,
  refreshAfterTimeUtc: refreshAfterSeconds,
});

export const keysAnswer = z.looseObject({ primaryKey: z.string().min(1), secondaryKey: z.string().min(1) });

/** A token as Azure ML gave it, to be refreshed at its half-life where Azure ML does not say when. */
export function toEndpointToken(
  accessToken: string,
  expiresOn: Date,
  refreshAfter: Date | undefined,
  obtainedAt: Date,
): EndpointToken {
  const halfLife = addSeconds(obtainedAt, secondsBetween(obtainedAt, expiresOn) / 2);
  const given = refreshAfter !== undefined && refreshAfter <= expiresOn;
  return { accessToken, obtainedAt, expiresOn, refreshBy: given ? refreshAfter : halfLife };
}

/** Links in answers (the next page, where to poll) are followed with our token: to Resource Manager and nowhere else. */
function sameOriginPolicy(endpoint: string): PipelinePolicy {
  const { origin } = new URL(endpoint);
  return {
    name: 'brokerSameOriginPolicy',
    async sendRequest(request, next) {
      if (new URL(request.url).origin === origin) return next(request);
      throw new UpstreamError({ service, kind: 'unexpected', upstreamCode: 'link_to_another_host' });
    },
  };
}

/** A cluster tells a Kubernetes endpoint; the words for its `kind` are not documented in one place. */
function kindOf(kind: string | null | undefined, compute: string | null | undefined): EndpointKind {
  const onCluster = (compute ?? '') !== '' || /^(k8s|kubernetes)$/i.test(kind ?? '');
  return onCluster ? 'kubernetes' : 'managed';
}

/** Undefined while the endpoint has no address to score at. */
function toEndpoint(workspace: Workspace, answer: unknown): Endpoint | undefined {
  const { name, kind, properties, systemData } = parseAnswer(service, endpointAnswer, answer);
  if (properties.scoringUri === null || properties.scoringUri === undefined) return undefined;
  return {
    id: endpointId(workspace, name),
    name: name.toLowerCase(),
    kind: kindOf(kind, properties.compute),
    authMode: modes[properties.authMode],
    createdAt: systemData.createdAt.toISOString(),
    scoringUri: properties.scoringUri,
  };
}

/** Online endpoints of Azure ML (ARM, api-version 2022-10-01), through the official SDK. */
export function createMachineLearning(options: MachineLearningOptions): MachineLearning {
  const { armEndpoint, armScope, credentialOf, clock, watched, regenerationWait } = options;
  const call = <T>(ask: () => Promise<T>) => watched(() => callAzure(service, ask));
  const clients = new Map<string, AzureMachineLearningWorkspaces>();

  const clientFor = ({ subscription_id: subscription, fetch }: Workspace) => {
    if (fetch === undefined) throw new Error('the workspace has no fetch identity');
    const key = `${subscription} ${fetch}`;
    const client =
      clients.get(key) ??
      new AzureMachineLearningWorkspaces(credentialOf(fetch), subscription, {
        ...clientOptions(sameOriginPolicy(armEndpoint)),
        endpoint: armEndpoint,
        credentialScopes: [armScope],
      });
    clients.set(key, client);
    return client.onlineEndpoints;
  };

  return {
    listEndpoints: (workspace) =>
      call(async () => {
        const endpoints: Endpoint[] = [];
        for await (const answer of clientFor(workspace).list(workspace.resource_group, workspace.workspace_name, {
          onResponse: ({ status, parsedBody }) => {
            if (status === 200) parseAnswer(service, pageAnswer, parsedBody);
          },
        })) {
          const endpoint = toEndpoint(workspace, answer);
          if (endpoint !== undefined) endpoints.push(endpoint);
        }
        return endpoints;
      }),

    async getEndpoint(workspace, name) {
      const answer = await call(() =>
        clientFor(workspace).get(workspace.resource_group, workspace.workspace_name, name),
      );
      const endpoint = toEndpoint(workspace, answer);
      if (endpoint === undefined)
        throw new UpstreamError({ service, kind: 'not_found', upstreamCode: 'NotCreatedYet' });
      return endpoint;
    },

    async getToken(workspace, name) {
      const answer = await call(() =>
        clientFor(workspace).getToken(workspace.resource_group, workspace.workspace_name, name),
      );
      const { accessToken, expiryTimeUtc, refreshAfterTimeUtc } = parseAnswer(service, tokenAnswer, answer);
      return toEndpointToken(accessToken, expiryTimeUtc, refreshAfterTimeUtc, clock());
    },

    async listKeys(workspace, name) {
      const answer = await call(() =>
        clientFor(workspace).listKeys(workspace.resource_group, workspace.workspace_name, name),
      );
      const { primaryKey, secondaryKey } = parseAnswer(service, keysAnswer, answer);
      return { primaryKey, secondaryKey };
    },

    regenerateKey: (workspace, name, key) =>
      call(() =>
        followRegeneration(
          service,
          (options) =>
            clientFor(workspace).beginRegenerateKeys(
              workspace.resource_group,
              workspace.workspace_name,
              name,
              { keyType: key === 'primary' ? 'Primary' : 'Secondary' },
              options,
            ),
          regenerationWait,
        ),
      ),
  };
}
