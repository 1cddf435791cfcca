import * as z from 'zod';
import { READER_IDENTITY, TENANT_ID, TRAINER, TRAINER_ROTATION } from '../seed.ts';
import type { Answer } from './answer.ts';
import { type Allowance, type CompareRules, type Json, plainRules } from './compare.ts';
import { type ExampleHandler, pathOf, readExchange } from './example.ts';
import { commonNames, type World } from './world.ts';

const resource = 'https://graph.microsoft.com';
const recordedAppId = 'afb85a07-e312-4d49-b75b-9db4e2d683cd';
const application = `/v1.0/applications/${TRAINER.objectId}`;

function graphRules(world: World, allow: readonly Allowance[] = []): CompareRules {
  const names = [
    ...commonNames(world),
    { label: 'graph', example: 'https://graph.microsoft.com', ours: world.urls.graph },
    { label: 'dataCenter', example: 'Southeast Asia', ours: 'West Europe' },
    { label: 'roleInstance', example: 'SI2PEPF00001E1D', ours: 'SANDBOX' },
    { label: 'application', example: 'azure-cli-test000001', ours: TRAINER.displayName },
  ];
  return { ...plainRules, names, allow };
}

async function callGraph(world: World, method: string, path: string, json?: Json): Promise<Answer> {
  const headers = await world.authorize(resource, null);
  return world.call({ method, url: `${world.urls.graph}${path}`, headers, ...(json === undefined ? {} : { json }) });
}

/** Adds a password that lives from now for 30 days, with times in whole seconds as the recording sends them. */
async function addPassword(world: World, displayName: string): Promise<{ answer: Answer; keyId: string }> {
  const wholeSeconds = (instant: Date): string => instant.toISOString().replace(/\.\d+Z$/, 'Z');
  const startDateTime = wholeSeconds(new Date());
  const endDateTime = wholeSeconds(new Date(Date.now() + 30 * 86_400_000));
  const passwordCredential = { displayName, startDateTime, endDateTime };
  const answer = await callGraph(world, 'POST', `${application}/addPassword`, { passwordCredential });
  return { answer, keyId: z.object({ keyId: z.string() }).parse(answer.body).keyId };
}

function removePassword(world: World, keyId: string): Promise<Answer> {
  return callGraph(world, 'POST', `${application}/removePassword`, { keyId });
}

const hint: Allowance = { path: 'body.hint', kind: 'value', reason: 'first characters of the secret' };

const addPasswordExample: ExampleHandler = {
  compare: async (example, world) => {
    const { answer, keyId } = await addPassword(world, 'key1');
    await removePassword(world, keyId);
    const rules = graphRules(world, [hint]);
    const placeholders = [...rules.placeholders, /^replaced-microsoft-graph-password$/];
    return [{ title: '', expected: readExchange(example).response, actual: answer, rules: { ...rules, placeholders } }];
  },
};

const removePasswordExample: ExampleHandler = {
  compare: async (example, world) => {
    const { keyId } = await addPassword(world, 'key1');
    const actual = await removePassword(world, keyId);
    return [{ title: '', expected: readExchange(example).response, actual, rules: graphRules(world) }];
  },
};

const applicationGet: ExampleHandler = {
  compare: async (example, world) => {
    const { keyId } = await addPassword(world, 'key2');
    const actual = await callGraph(world, 'GET', application);
    await removePassword(world, keyId);
    return [{ title: '', expected: readExchange(example).response, actual, rules: passwordRules(world, 'body') }];
  },
};

const applicationsByAppId: ExampleHandler = {
  compare: async (example, world) => {
    const recorded = readExchange(example);
    const path = pathOf(recorded).replace(recordedAppId, TRAINER.appId);
    const actual = await callGraph(world, 'GET', path);
    return [{ title: '', expected: recorded.response, actual, rules: passwordRules(world, 'body.value.0') }];
  },
};

/** For an application that shows the seeded password, which the sandbox names as a broker would. */
function passwordRules(world: World, application: string): CompareRules {
  const rules = graphRules(world, [{ ...hint, path: `${application}.passwordCredentials.*.hint` }]);
  const seeded = { label: 'seededPassword', example: 'key1', ours: TRAINER_ROTATION.displayName };
  return { ...rules, names: [seeded, ...rules.names] };
}

const refused: ExampleHandler = {
  compare: async (example, world) => {
    const recorded = readExchange(example);
    const headers = await world.authorize(resource, READER_IDENTITY.clientId);
    const actual = await world.call({ method: 'GET', url: `${world.urls.graph}${pathOf(recorded)}`, headers });
    return [{ title: '', expected: recorded.response, actual, rules: graphRules(world) }];
  },
};

const federatedCredential: ExampleHandler = {
  compare: async (example, world) => {
    const recorded = readExchange(example);
    const path = pathOf(recorded).replace(/[0-9a-f-]{36}/, TRAINER.objectId);
    const actual = await callGraph(world, 'POST', path, recorded.request.body);
    const rules = graphRules(world);
    const names = [...rules.names, { label: 'tenant', example: '<tenant>', ours: TENANT_ID }];
    return [{ title: '', expected: recorded.response, actual, rules: { ...rules, names } }];
  },
};

/** Microsoft Graph, as the broker's own identity, which owns the application `trainer`. */
export const graphExamples: Record<string, ExampleHandler> = {
  'graph-403-authorization-request-denied.recorded.json': refused,
  'graph-addPassword.recorded.json': addPasswordExample,
  'graph-application-get.recorded.json': applicationGet,
  'graph-applications-filter-appId.recorded.json': applicationsByAppId,
  'graph-federatedIdentityCredential-create.recorded.json': federatedCredential,
  'graph-removePassword.recorded.json': removePasswordExample,
};
