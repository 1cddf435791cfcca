import { setTimeout as delay } from 'node:timers/promises';
import * as z from 'zod';
import { DEV_RUNNER_IDENTITY, READER_IDENTITY, RESOURCE_GROUP, SUBSCRIPTION_ID } from '../seed.ts';
import type { Answer } from './answer.ts';
import { type Allowance, type CompareRules, type Json, plainRules } from './compare.ts';
import { commonNames, type World } from './world.ts';

/** api-version of the recordings of 2022, and of the specification, which is also what the SDK sends. */
export const recordedVersion = '2022-02-01-preview';
export const specifiedVersion = '2022-10-01';
/** Endpoint of the seed in workspace `dev`, in auth mode AMLToken. */
export const seededEndpoint = 'dev-aml';

/** Constants compare; the recording's endpoint reads as ours. */
export function armRules(world: World, endpoint: string, allow: readonly Allowance[] = []): CompareRules {
  const names = [
    ...commonNames(world),
    { label: 'workspace', example: 'ws-test', ours: 'ml-dev' },
    // The kind of an operation is written `oe` in 2022, `oeidp` in 2026 and by us.
    { label: 'operation', example: 'oe:', ours: 'oeidp:' },
    { label: 'operation', example: 'oeidp:', ours: '' },
    { label: 'operation', example: 'od:', ours: '' },
    { label: 'guid', example: '<guid>', ours: '' },
    // Managed endpoints have a host name each, ours a path each, because not every machine resolves names under localhost.
    {
      label: 'scoring',
      example: 'https://online-ept-10cd4ed17147449.eastus2.inference.ml.azure.com',
      ours: `${world.urls.scoring}/ml-dev/${endpoint}`,
    },
    { label: 'endpoint', example: 'online-ept-10cd4ed17147449', ours: endpoint },
    // The recorded deployment has the name of its endpoint.
    { label: 'endpoint', example: '', ours: 'blue' },
    { label: 'code', example: 'codes/38b4fd9c-442f-42f8-8b87-601e5c35a88e', ours: 'codes/score' },
    {
      label: 'environment',
      example: 'environments/online-endpoint-mir-test/versions/3',
      ours: 'environments/score/versions/1',
    },
    { label: 'model', example: 'models/mir_test_model', ours: 'models/model' },
  ];
  return { ...plainRules, names, allow };
}

/** Specification examples: only names of fields and JSON types compare. */
export function specificationRules(maps: readonly string[], allow: readonly Allowance[]): CompareRules {
  return { ...plainRules, values: 'types', maps, allow };
}

/** Path of workspace `dev`, whose every action the identity dev-runner may take. */
export function workspacePath(child: string, version: string, workspace = 'ml-dev'): string {
  const provider = 'providers/Microsoft.MachineLearningServices';
  const group = `/subscriptions/${SUBSCRIPTION_ID}/resourceGroups/${RESOURCE_GROUP}`;
  return `${group}/${provider}/workspaces/${workspace}${child}?api-version=${version}`;
}

export function endpointPath(name: string, version: string, action = ''): string {
  return workspacePath(`/onlineEndpoints/${name}${action}`, version);
}

/** Asks Resource Manager as dev-runner, of other workspaces than `dev` as reader; `path` may be a whole URL that it gave us. */
export async function callArm(world: World, method: string, path: string, json?: Json): Promise<Answer> {
  const identity = /\/workspaces\/(?!ml-dev[/?])/.test(path) ? READER_IDENTITY : DEV_RUNNER_IDENTITY;
  const headers = await world.authorize('https://management.azure.com', identity.clientId);
  const url = path.startsWith('https:') ? path : `${world.urls.arm}${path}`;
  return world.call({ method, url, headers, ...(json === undefined ? {} : { json }) });
}

/** The body that the recording's client sent to make an endpoint. */
const newEndpoint = {
  tags: {},
  location: 'westeurope',
  identity: { type: 'SystemAssigned' },
  properties: { authMode: 'AMLToken', properties: {}, mirrorTraffic: {}, traffic: {} },
};

export function putEndpoint(world: World, name: string): Promise<Answer> {
  return callArm(world, 'PUT', endpointPath(name, recordedVersion), newEndpoint);
}

/** The URL under which an operation can be watched. */
export function operationUrl(answer: Answer): string {
  const url = answer.headers?.['azure-asyncoperation'];
  if (url === undefined) throw new Error(`The answer ${answer.status} names no Azure-AsyncOperation.`);
  return url;
}

/** Looks at an operation until it is over, and returns the last look; ten seconds are enough for the sandbox. */
export async function waitForOperation(world: World, url: string): Promise<Answer> {
  for (let attempt = 0; attempt < 100; attempt += 1) {
    const answer = await callArm(world, 'GET', url);
    const { status } = z.object({ status: z.string() }).parse(answer.body);
    if (['Succeeded', 'Failed', 'Canceled'].includes(status)) return answer;
    await delay(100);
  }
  throw new Error('The operation did not end within ten seconds.');
}
