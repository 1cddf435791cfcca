import * as z from 'zod';
import { armRules, callArm, endpointPath, recordedVersion, seededEndpoint } from './arm-calls.ts';
import { type ExampleHandler, readExchange } from './example.ts';
import type { World } from './world.ts';

const endpointBody = z.object({ properties: z.object({ scoringUri: z.string() }) });
const tokenBody = z.object({ accessToken: z.string() });

const scored: ExampleHandler = {
  compare: async (example, world: World) => {
    const { request, response } = readExchange(example);
    const endpoint = await callArm(world, 'GET', endpointPath(seededEndpoint, recordedVersion));
    const token = await callArm(world, 'POST', endpointPath(seededEndpoint, recordedVersion, '/token'));
    const actual = await world.call({
      method: 'POST',
      url: endpointBody.parse(endpoint.body).properties.scoringUri,
      headers: { authorization: `Bearer ${tokenBody.parse(token.body).accessToken}` },
      json: request.body ?? null,
    });
    const rules = armRules(world, seededEndpoint, [
      { path: 'body.*', kind: 'value', reason: 'a prediction of the recorded model' },
    ]);
    return [{ title: '', expected: response, actual, rules }];
  },
};

/** The scoring server of an online endpoint. */
export const scoringExamples: Record<string, ExampleHandler> = { 'scoring-200.recorded.json': scored };
