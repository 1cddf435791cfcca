import * as z from 'zod';
import { READER_IDENTITY, RESOURCE_GROUP, SUBSCRIPTION_ID } from '../seed.ts';
import type { Answer } from './answer.ts';
import { type Json, plainRules } from './compare.ts';
import type { ExampleHandler } from './example.ts';
import type { World } from './world.ts';

const answer = z.object({ status: z.number(), body: z.json() });
const specification = z.object({
  token: z.object({ response: answer }),
  listkeys: z.object({ response: answer }),
  // The second one is a long-running operation, which the sandbox does not have.
  regenerateKeys: z.object({ response: z.tuple([answer], z.unknown()) }),
  error: z.json(),
});

const services = `/modelmanagement/v1.0/subscriptions/${SUBSCRIPTION_ID}/resourceGroups/${RESOURCE_GROUP}/providers/Microsoft.MachineLearningServices/workspaces/ml-prod/services`;

async function call(world: World, path: string, json?: Json): Promise<Answer> {
  const headers = await world.authorize('https://management.azure.com', READER_IDENTITY.clientId);
  const url = `${world.urls.arm}${services}${path}`;
  return world.call({ method: 'POST', url, headers, ...(json === undefined ? {} : { json }) });
}

const specified: ExampleHandler = {
  compare: async (example, world) => {
    const { token, listkeys, regenerateKeys, error } = specification.parse(example);
    const regenerated = await call(world, '/pricing-v1/regenerateKeys', { keyType: 'Primary' });
    const rules = plainRules;
    return [
      { title: 'token', expected: token.response, actual: await call(world, '/churn-v1/token'), rules },
      { title: 'listkeys', expected: listkeys.response, actual: await call(world, '/pricing-v1/listkeys'), rules },
      { title: 'regenerateKeys', expected: regenerateKeys.response[0], actual: regenerated, rules },
      {
        title: 'error',
        expected: { status: 404, body: error },
        actual: await call(world, '/nothing-v1/token'),
        rules,
      },
    ];
  },
};

/** Web services of SDK v1 (model management API). */
export const webServiceExamples: Record<string, ExampleHandler> = { 'aml-v1-services.spec.json': specified };
