import type { Endpoint, EndpointStore } from '../arm/endpoint-store.ts';
import { isAllowed, type RoleAssignment, seededAssignments } from '../arm/role-assignments.ts';
import type { EntraKeys } from '../entra/keys.ts';
import { readServiceToken } from '../entra/service-token.ts';
import type { Answer, Exchange, FaultBody, Handler } from '../http/service.ts';
import type { WebService, WebServiceStore } from '../model-management/service-store.ts';
import { type Random, systemRandom } from '../state/random.ts';
import { predict } from './predict.ts';

export interface ScoringOptions {
  /** The endpoints with their auth modes, keys and issued tokens. */
  store: EndpointStore;
  /** Services of SDK v1; absent: none. */
  services?: WebServiceStore;
  /** Verifies Entra tokens, for endpoints in AADToken mode. */
  entra: EntraKeys;
  clock: () => Date;
  assignments?: readonly RoleAssignment[];
  random?: Random;
}

const audience = 'https://ml.azure.com';
const scoreAction = 'Microsoft.MachineLearningServices/workspaces/onlineEndpoints/score/action';
const servicePath = /^\/([^/]+)\/api\/v1\/service\/([^/]+)\/score$/i;
const scorePath = /^\/([^/]+)\/([^/]+)\/score$/i;

/** The body of a refusal that a test planned. */
export const faultBody: FaultBody = (status, code = 'PlannedFault') => ({
  error: { code, message: `Planned fault with status ${status}.` },
});

/**
 * The data plane of all online endpoints: `POST /{workspace}/{endpoint}/score`.
 *
 * An endpoint accepts exactly what its auth mode says: a token that this endpoint was given and that has not expired
 * (AMLToken), one of its two keys (Key), or an Entra token for `https://ml.azure.com` of a principal with the score data
 * action (AADToken). Everything else is 401. 200 carries one number per row of `data`.
 *
 * Services of SDK v1 answer `POST /{workspace}/api/v1/service/{name}/score` in the same way: to one of their keys, to a
 * token that they were given, or, with authentication off, to everybody.
 *
 * Source: https://learn.microsoft.com/azure/machine-learning/how-to-authenticate-online-endpoint
 */
export function createScoring(options: ScoringOptions): Handler {
  const { random = systemRandom } = options;
  return async (exchange) => {
    const answer = await score(options, exchange);
    return {
      ...answer,
      headers: { Server: 'azureml-frontdoor', 'X-Request-ID': random.id(), ...answer.headers },
    };
  };
}

async function score(options: ScoringOptions, exchange: Exchange): Promise<Answer> {
  const service = findService(options.services, exchange.path);
  if (service !== undefined) return scoreAtService(service, exchange, options.clock());
  const endpoint = findEndpoint(options.store, exchange.path);
  if (endpoint === undefined) return problem(404, 'There is no endpoint with this scoring address.');
  if (exchange.method !== 'POST') return problem(405, 'Score with POST.');
  if (!(await isAuthorized(options, endpoint, exchange.headers.authorization))) {
    return problem(401, `Send a valid credential of auth mode ${endpoint.authMode} as the bearer token.`);
  }
  const deployment = pickDeployment(endpoint, exchange.headers['azureml-model-deployment']);
  if (deployment === undefined) return problem(404, 'There is no deployment with positive traffic.');
  const prediction = predict(exchange.body);
  if (prediction === undefined) return problem(400, 'The request body is not valid JSON.');
  return {
    status: 200,
    headers: {
      'Content-Type': 'application/json',
      'azureml-model-deployment': deployment,
      'x-ms-run-fn-exec-ms': '0.250',
      'x-ms-run-function-failed': 'False',
    },
    json: prediction,
  };
}

function findService(services: WebServiceStore | undefined, path: string): WebService | undefined {
  const [, workspace, name = ''] = servicePath.exec(path) ?? [];
  return workspace === services?.workspace ? services?.find(name) : undefined;
}

function scoreAtService(service: WebService, { method, headers, body }: Exchange, now: Date): Answer {
  if (method !== 'POST') return problem(405, 'Score with POST.');
  const credential = /^Bearer (\S+)$/i.exec(headers.authorization ?? '')?.[1] ?? '';
  const { authEnabled, aadAuthEnabled, keys, tokens } = service;
  const isOpen = !authEnabled && !aadAuthEnabled;
  const isKey = authEnabled && Object.values(keys).includes(credential);
  if (!isOpen && !isKey && !(aadAuthEnabled && tokens.isValid(credential, now))) {
    return problem(401, 'Send a valid key or token of this service as the bearer token.');
  }
  const prediction = predict(body);
  return prediction === undefined
    ? problem(400, 'The request body is not valid JSON.')
    : { status: 200, json: prediction };
}

function findEndpoint(store: EndpointStore, path: string): Endpoint | undefined {
  const [, workspaceName = '', endpointName = ''] = scorePath.exec(path) ?? [];
  const workspace = store.findWorkspace(workspaceName);
  const endpoint = workspace && store.find(workspace, endpointName);
  return endpoint?.isServing === true ? endpoint : undefined;
}

async function isAuthorized(
  { entra, clock, assignments = seededAssignments }: ScoringOptions,
  endpoint: Endpoint,
  authorization: string | undefined,
): Promise<boolean> {
  if (endpoint.authMode === 'AADToken') {
    const reading = await readServiceToken(authorization, [audience], entra, clock());
    if (!reading.ok) return false;
    const request = {
      principalId: reading.caller.oid,
      resourceId: endpoint.id,
      kind: 'dataActions',
      action: scoreAction,
    } as const;
    return isAllowed(assignments, request);
  }
  const credential = /^Bearer (\S+)$/i.exec(authorization ?? '')?.[1];
  if (credential === undefined) return false;
  if (endpoint.authMode === 'Key') return Object.values(endpoint.keys).includes(credential);
  return endpoint.tokens.isValid(credential, clock());
}

/** The deployment that the caller names, else one that receives traffic. */
function pickDeployment({ deployments, traffic }: Endpoint, named: string | string[] | undefined): string | undefined {
  if (typeof named === 'string') return deployments.find((deployment) => deployment === named);
  return deployments.find((deployment) => (traffic[deployment] ?? 0) > 0);
}

function problem(status: number, message: string): Answer {
  return { status, json: { error: { code: String(status), message } } };
}
