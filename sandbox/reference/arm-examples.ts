import { decodeJwt, decodeProtectedHeader } from 'jose';
import * as z from 'zod';
import { type Answer, onlyListedHeaders } from './answer.ts';
import * as allowed from './arm-allowances.ts';
import * as arm from './arm-calls.ts';
import type { Allowance } from './compare.ts';
import { type ExampleHandler, readAnswer, readSwagger } from './example.ts';
import type { World } from './world.ts';

const { recordedVersion, specifiedVersion, seededEndpoint } = arm;

/** Asks our Resource Manager one question and compares the answer with the recorded one. */
function recorded(
  ask: (world: World) => Promise<Answer>,
  allow: readonly Allowance[],
  endpoint: string,
): ExampleHandler {
  return {
    compare: async (example, world) => {
      const rules = arm.armRules(world, endpoint, allow);
      return [{ title: '', expected: readAnswer(example), actual: unsigned(await ask(world)), rules }];
    },
  };
}

/** Without the signature that polling URLs carry since about 2024: `operation2026` looks at that. */
function unsigned(answer: Answer): Answer {
  const headers = Object.entries(answer.headers ?? {}).map(([name, value]) =>
    ['azure-asyncoperation', 'location'].includes(name)
      ? [name, value.replaceAll(/&[tcsh]=[^&]+/g, '')]
      : [name, value],
  );
  return { ...answer, headers: Object.fromEntries(headers) };
}

function get(path: string): (world: World) => Promise<Answer> {
  return (world) => arm.callArm(world, 'GET', path);
}

function specified(
  ask: (world: World) => Promise<Answer>,
  maps: readonly string[],
  allow: readonly Allowance[],
): ExampleHandler {
  return {
    compare: async (example, world) => {
      const rules = arm.specificationRules(maps, allow);
      return [{ title: '', expected: readSwagger(example, 200), actual: await ask(world), rules }];
    },
  };
}

const decoded = z.object({ decoded: z.object({ header: z.json(), payload: z.json() }) });
const tokenBody = z.object({ accessToken: z.string(), expiryTimeUtc: z.int(), refreshAfterTimeUtc: z.int() });

/** The answer, and the token's own header and claims. */
const endpointToken: ExampleHandler = {
  compare: async (example, world) => {
    const rules = arm.armRules(world, seededEndpoint);
    const answerRules = arm.armRules(world, seededEndpoint, allowed.limitsOf2026('writes'));
    const actual = await arm.callArm(world, 'POST', arm.endpointPath(seededEndpoint, recordedVersion, '/token'));
    const { accessToken } = tokenBody.parse(actual.body);
    const own = { header: decodeProtectedHeader(accessToken), payload: decodeJwt(accessToken) };
    return [
      { title: 'answer', expected: readAnswer(example), actual, rules: answerRules },
      {
        title: 'token',
        expected: { body: decoded.parse(example).decoded },
        actual: { body: z.json().parse(own) },
        rules,
      },
    ];
  },
};

const operationSucceeded = async (world: World): Promise<Answer> =>
  arm.waitForOperation(world, arm.operationUrl(await arm.putEndpoint(world, 'reference-done')));

const operationUpdating = async (world: World): Promise<Answer> =>
  arm.callArm(world, 'GET', arm.operationUrl(await arm.putEndpoint(world, 'reference-updating')));

const deletion = async (world: World): Promise<Answer> => {
  const name = 'reference-deleted';
  await arm.waitForOperation(world, arm.operationUrl(await arm.putEndpoint(world, name)));
  return arm.callArm(world, 'DELETE', arm.endpointPath(name, recordedVersion));
};

const pollSchema = z.object({
  url: z.string(),
  bodyWhileRunning: z.json(),
  bodyWhenDone: z.json(),
  pollResponseHeaders: z.record(z.string(), z.string()),
});

/** The opaque parts of a signed polling URL, masked; their names and order stay. */
function maskSignature(url: string): string {
  return url.replaceAll(/([?&][tcsh]=)[^&]+/g, '$1<opaque>');
}

/** Bodies of one operation, running and done; the second recording of the same call, made in 2026. */
const operation2026: ExampleHandler = {
  compare: async (example, world) => {
    const {
      url: recordedUrl,
      bodyWhileRunning,
      bodyWhenDone,
      pollResponseHeaders: headers,
    } = pollSchema.parse(example);
    const url = arm.operationUrl(await arm.putEndpoint(world, 'reference-2026'));
    const rules = arm.armRules(world, 'reference-2026');
    const expected = { status: 200, headers, body: bodyWhileRunning };
    const running = await arm.callArm(world, 'GET', url);
    const done = await arm.waitForOperation(world, url);
    return [
      { title: 'URL', expected: { body: maskSignature(recordedUrl) }, actual: { body: maskSignature(url) }, rules },
      { title: 'while running', expected, actual: onlyListedHeaders(running, expected), rules },
      { title: 'when done', expected: { body: bodyWhenDone }, actual: done, rules },
    ];
  },
};

/** The seed's endpoint in auth mode Key. */
function keyPath(action: string): string {
  return arm.workspacePath(`/onlineEndpoints/fraud-scorer/${action}`, specifiedVersion, 'ml-prod');
}

/** The specification shows answers without body; which of its statuses comes is up to the service. */
const regenerateKeys: ExampleHandler = {
  compare: async (example, world) => {
    const actual = await arm.callArm(world, 'POST', keyPath('regenerateKeys'), { keyType: 'Secondary' });
    return [
      {
        title: '',
        expected: readSwagger(example, actual.status ?? 0),
        actual,
        rules: arm.specificationRules([], []),
      },
    ];
  },
};

/** Asked of an endpoint: for the workspace itself Resource Manager answers, in its own envelope. */
const workspaceNotFound = get(arm.workspacePath('/onlineEndpoints/any', recordedVersion, 'ml-gone'));
const endpointMaps = ['body.properties.properties', 'body.properties.traffic', 'body.tags'];

/** Azure Resource Manager: workspaces, online endpoints and their long-running operations. */
export const armExamples: Record<string, ExampleHandler> = {
  'arm-batchendpoint-createOrUpdate.swagger.json': {
    doesNotApply: 'the broker serves online endpoints; the sandbox has batch endpoints to be listed, none to be made',
  },
  'arm-error-workspace-not-found.recorded.json': recorded(workspaceNotFound, [], 'none'),
  'arm-mfeoperationsstatus-2026.recorded.json': operation2026,
  'arm-mfeoperationsstatus-succeeded.recorded.json': recorded(operationSucceeded, allowed.doneOf2022, 'reference-done'),
  'arm-mfeoperationsstatus-updating.recorded.json': recorded(
    operationUpdating,
    allowed.runningOf2022,
    'reference-updating',
  ),
  'arm-onlinedeployments-list.recorded.json': recorded(
    get(arm.workspacePath(`/onlineEndpoints/${seededEndpoint}/deployments`, recordedVersion)),
    allowed.deploymentsOf2022,
    seededEndpoint,
  ),
  'arm-onlineendpoint-delete-202.recorded.json': recorded(
    deletion,
    allowed.limitsOf2026('deletes'),
    'reference-deleted',
  ),
  'arm-onlineendpoint-get.recorded.json': recorded(
    get(arm.endpointPath(seededEndpoint, recordedVersion)),
    allowed.limitsOf2026('reads'),
    seededEndpoint,
  ),
  'arm-onlineendpoint-get.swagger.json': specified(
    get(arm.endpointPath(seededEndpoint, specifiedVersion)),
    endpointMaps,
    allowed.specifiedEndpoint('body'),
  ),
  'arm-onlineendpoint-getToken.swagger.json': specified(
    (world) => arm.callArm(world, 'POST', arm.endpointPath(seededEndpoint, specifiedVersion, '/token')),
    [],
    [],
  ),
  'arm-onlineendpoint-listKeys.swagger.json': specified(
    (world) => arm.callArm(world, 'POST', keyPath('listKeys')),
    [],
    [],
  ),
  'arm-onlineendpoint-put-201.recorded.json': recorded(
    (world) => arm.putEndpoint(world, 'reference-put'),
    allowed.limitsOf2026('writes'),
    'reference-put',
  ),
  'arm-onlineendpoint-regenerateKeys.swagger.json': regenerateKeys,
  'arm-onlineendpoint-token.recorded.json': endpointToken,
  'arm-onlineendpoints-list.swagger.json': specified(
    get(`${arm.workspacePath('/onlineEndpoints', specifiedVersion, 'ml-prod')}&count=1`),
    endpointMaps.map((map) => map.replace('body.', 'body.value.*.')),
    allowed.specifiedEndpoint('body.value.*'),
  ),
  'arm-workspace-get-2022-05-01.recorded.json': recorded(
    get(arm.workspacePath('', '2022-05-01')),
    allowed.workspaceOf2022,
    'none',
  ),
  'arm-workspace-get-2024-10-01-preview.recorded.json': recorded(
    get(arm.workspacePath('', '2024-10-01-preview')),
    allowed.workspaceOf2024,
    'none',
  ),
  'arm-workspace-get.swagger.json': specified(
    get(arm.workspacePath('', specifiedVersion)),
    [],
    allowed.specifiedWorkspace,
  ),
};
