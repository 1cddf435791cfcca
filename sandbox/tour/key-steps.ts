import { randomUUID } from 'node:crypto';
import * as z from 'zod';
import { expectStatus, request } from './request.ts';
import type { EndpointKey } from './rotation-in-hand.ts';
import { callerTokenOf, fingerprint, type Tour } from './tour.ts';
import { until } from './watch.ts';

const ENDPOINT_KEY = '/workspaces/prod/endpoints/fraud-turns/key';
const ROTATION = '/rotations/fraud-keys';

const WAIT_SECONDS = 30;
const POLL_MS = 1000;

const keySchema = z.object({
  key: z.string().min(1),
  keyName: z.enum(['primary', 'secondary']),
  validUntil: z.iso
    .datetime('must be an instant: does the rotation fraud-keys run?')
    .transform((text) => new Date(text)),
  scoringUri: z.url(),
});

const waitingSchema = z.object({ present: z.object({ state: z.string() }) });

async function askKey(tour: Tour): Promise<EndpointKey> {
  const reply = await tour.ask('POST', ENDPOINT_KEY, callerTokenOf(tour), {});
  const parsed = keySchema.safeParse(expectStatus(200, reply));
  // Not the value: it would be a key.
  if (!parsed.success) throw new Error(parsed.error.issues.map(({ path, message }) => `${path} ${message}`).join('; '));
  const answer = parsed.data;
  if (answer.validUntil <= new Date()) throw new Error('the broker handed out a key that is not valid any more');
  return answer;
}

async function expectScore(tour: Tour, { scoringUri, key, keyName }: EndpointKey): Promise<void> {
  const reply = await tour.score(scoringUri, key);
  if (reply.status !== 200) throw new Error(`the ${keyName} key does not score: status ${reply.status}`);
}

/** Takes the endpoint's key, scores with it, and asks for the next turn, which goes on beside the other steps. */
export async function askForKey(tour: Tour): Promise<string> {
  const previous = await askKey(tour);
  await expectScore(tour, previous);
  const operatorToken = await tour.newCaller({ roles: ['Operator'] });
  // The sandbox begins with the primary key: another one is in use after a tour that was here before. Callers were then promised that
  // the primary one works for a long time yet, so no further turn comes soon.
  const location = previous.keyName === 'primary' ? await askForTurn(tour, operatorToken) : undefined;
  tour.endpointKey = { operatorToken, previous, location };
  const { key, keyName, validUntil } = previous;
  return `prod/fraud-turns, the ${keyName} key, sha256 ${fingerprint(key)}…, works until ${validUntil.toISOString()} at least; it scores`;
}

async function askForTurn(tour: Tour, operatorToken: string): Promise<string> {
  const reply = await tour.ask('POST', ROTATION, operatorToken, {}, { 'idempotency-key': randomUUID() });
  expectStatus(202, reply);
  const location = reply.headers.get('location');
  if (location === null) throw new Error('the 202 has no Location');
  return location;
}

/** After the turn the other key is handed out and scores; the one from before goes on scoring, as was promised. */
export async function turnKeys(tour: Tour): Promise<string> {
  const { endpointKey } = tour;
  if (endpointKey === undefined) throw new Error('no key was asked for');
  const { operatorToken, previous, location } = endpointKey;
  if (location === undefined) {
    await expectScore(tour, previous);
    return `the keys had their turn in an earlier tour; the ${previous.keyName} key scores`;
  }
  let state = '';
  const options = { withinSeconds: WAIT_SECONDS, everyMs: POLL_MS };
  const what = () => `the run of the keys’ turn answers 200; the rotation is ${state}`;
  const ended = await until({ ...options, what }, async () => {
    const reply = await request('GET', location, { token: operatorToken });
    if (reply.status !== 202) return { run: expectStatus(200, reply) };
    state = waitingSchema.parse(reply.json).present.state;
    return state === 'key_promised' ? { run: undefined } : undefined;
  });
  if (ended.run === undefined) return 'the turn waits: callers were promised that the key not in use works longer';
  const next = await until({ ...options, what: () => 'the other key is handed out' }, () =>
    askKey(tour).then((key) => (key.keyName === previous.keyName ? undefined : key)),
  );
  if (next.key === previous.key) throw new Error('the turn brought the same key again');
  await expectScore(tour, next);
  await expectScore(tour, previous);
  return `the ${next.keyName} key, sha256 ${fingerprint(next.key)}…, is handed out and scores; the ${previous.keyName} one still scores`;
}
