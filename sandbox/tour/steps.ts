import { randomUUID } from 'node:crypto';
import * as z from 'zod';
import { RESOURCE_GROUP, SUBSCRIPTION_ID } from '../seed.ts';
import { askForKey, turnKeys } from './key-steps.ts';
import { watchRefresh } from './refresh-step.ts';
import { expectRefusal, expectStatus } from './request.ts';
import { ROTATION_STEPS } from './rotation-steps.ts';
import type { Step } from './run-tour.ts';
import { callerTokenOf, fingerprint, type Tour } from './tour.ts';

const WORKSPACE_PATH =
  `/subscriptions/${SUBSCRIPTION_ID}/resourceGroups/${RESOURCE_GROUP}` +
  '/providers/Microsoft.MachineLearningServices/workspaces/ml-prod?api-version=2024-04-01';

const workspaceTokenSchema = z.object({
  accessToken: z.string().min(1),
  expiresOn: z.coerce.date(),
  audience: z.literal('arm'),
  identity: z.string(),
});

/** What the tour shows, in its order. */
export const STEPS: readonly Step[] = [
  {
    name: 'caller token',
    async run(tour) {
      tour.callerToken = await tour.newCaller({});
      return `Entra's token of the caller that the policy serves, sha256 ${fingerprint(tour.callerToken)}…`;
    },
  },
  {
    name: 'endpoint token',
    async run(tour) {
      const token = await tour.endpointTokenFor(callerTokenOf(tour));
      tour.endpointToken = token;
      const inSeconds = (instant: Date) => Math.round((instant.getTime() - token.askedAt.getTime()) / 1000);
      return (
        `prod/fraud-aml, sha256 ${fingerprint(token.accessToken)}…, ` +
        `refresh due in ${inSeconds(token.refreshBy)} s, valid for ${inSeconds(token.expiresOn)} s`
      );
    },
  },
  { name: 'scoring', run: score },
  { name: 'refresh', run: watchRefresh },
  { name: 'scoring again', run: score },
  {
    name: 'workspace token',
    async run(tour) {
      const reply = await tour.ask('POST', '/workspaces/prod/token', callerTokenOf(tour), { audience: 'arm' });
      const token = workspaceTokenSchema.parse(expectStatus(200, reply));
      const workspace = z
        .object({ name: z.string(), location: z.string() })
        .parse(expectStatus(200, await tour.get(`${tour.armUrl}${WORKSPACE_PATH}`, token.accessToken)));
      return `identity ${token.identity}, sha256 ${fingerprint(token.accessToken)}…; ARM answered 200 with ${workspace.name} in ${workspace.location}`;
    },
  },
  {
    name: 'stranger',
    async run(tour) {
      const stranger = await tour.newCaller({ appId: randomUUID() });
      const reply = await tour.ask('POST', '/workspaces/prod/endpoints/fraud-aml/token', stranger, {});
      expectRefusal('403 not_granted', reply);
      return 'an application without a grant was refused: 403 not_granted';
    },
  },
  { name: 'endpoint key', run: askForKey },
  ...ROTATION_STEPS,
  { name: 'endpoint key turned', run: turnKeys },
];

async function score(tour: Tour): Promise<string> {
  const { endpointToken } = tour;
  if (!endpointToken) throw new Error('there is no endpoint token to score with');
  const reply = await tour.score(endpointToken.scoringUri, endpointToken.accessToken);
  expectStatus(200, reply);
  return `200 from ${new URL(endpointToken.scoringUri).host} with token ${fingerprint(endpointToken.accessToken)}…: ${JSON.stringify(reply.json).slice(0, 60)}`;
}
