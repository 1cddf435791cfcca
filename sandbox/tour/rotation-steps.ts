import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import * as z from 'zod';
import { TRAINER } from '../seed.ts';
import { expectRefusal, expectStatus, request } from './request.ts';
import type { RotationInHand } from './rotation-in-hand.ts';
import type { Step } from './run-tour.ts';
import { callerTokenOf, fingerprint, type Tour } from './tour.ts';
import { startWatch, until } from './watch.ts';

const ROTATION = `/rotations/${TRAINER.secretName}`;
/** What the display names of passwords begin with that the broker made for this rotation. */
const MARK = `aml-token-broker/${TRAINER.secretName}/`;

const LOOK_MS = 500;
const POLL_MS = 1000;
/** A new secret is proved, and a removed one forgotten by Entra's last replica, well within this at the sandbox's default settings. */
const LONGEST_WAIT_SECONDS = 60;
/** As many replicas as the sandbox's Entra has; a new connection leads to any of them. */
const SIGN_INS = 3;

const rotationSchema = z.object({ state: z.string(), overlapSeconds: z.number(), openRuns: z.array(z.unknown()) });
const runSchema = z.object({ status: z.string(), present: z.object({ state: z.string() }).optional() });

/** A rotation from its request to the removal of the old password, with two users of the secret who never miss a beat. */
export const ROTATION_STEPS: readonly Step[] = [
  { name: 'operators only', run: refuseOthers },
  { name: 'rotation asked', run: askForRotation },
  { name: 'new secret', run: awaitNewSecret },
  { name: 'overlap', run: watchOverlap },
  { name: 'old one removed', run: awaitRemoval },
  { name: 'no beat missed', run: endWatches },
];

function fail(message: string): never {
  throw new Error(message);
}

const inHand = ({ rotation }: Tour): RotationInHand => rotation ?? fail('no rotation was asked for');

async function readRotation(tour: Tour, operatorToken: string) {
  return rotationSchema.parse(expectStatus(200, await tour.ask('GET', ROTATION, operatorToken)));
}

/** How many passwords the broker has made for this rotation that are there now. */
const countOurs = async (tour: Tour): Promise<number> =>
  (await tour.listPasswords()).filter(({ displayName }) => displayName?.startsWith(MARK)).length;

async function refuseOthers(tour: Tour): Promise<string> {
  const stranger = await tour.newCaller({ appId: randomUUID() });
  for (const token of [stranger, callerTokenOf(tour)]) {
    expectRefusal('403 operator_required', await tour.ask('GET', ROTATION, token));
    expectRefusal('403 operator_required', await tour.ask('POST', ROTATION, token, {}));
  }
  return 'a stranger and a caller with grants were refused: 403 operator_required';
}

async function askForRotation(tour: Tour): Promise<string> {
  const operatorToken = await tour.newCaller({ roles: ['Operator'] });
  const state = '';
  const what = () => `${TRAINER.secretName} is settled with one password, and it is ${state}`;
  // Somebody may have rotated it a moment ago.
  const { overlapSeconds } = await until({ withinSeconds: LONGEST_WAIT_SECONDS, everyMs: POLL_MS, what }, async () => {
    const rotation = await readRotation(tour, operatorToken);
    const isAtRest = rotation.state === 'settled' && rotation.openRuns.length === 0 && (await countOurs(tour)) === 1;
    return isAtRest ? rotation : undefined;
  });
  const previous = await tour.consumer.readSecret();
  const watches = startWatches(tour);
  const key = { 'idempotency-key': randomUUID() };
  const first = await tour.ask('POST', ROTATION, operatorToken, {}, key);
  const again = await tour.ask('POST', ROTATION, operatorToken, {}, key);
  const [location, repeated] = [first, again].map((reply) => {
    expectStatus(202, reply);
    if (reply.headers.get('retry-after') === null) fail('the 202 has no Retry-After');
    return reply.headers.get('location') ?? fail('the 202 has no Location');
  });
  if (location === undefined || location !== repeated) fail('the same Idempotency-Key led to another run');
  tour.rotation = { operatorToken, overlapSeconds, previous, location, watches };
  return `202, and the same run for the same Idempotency-Key; the secret in use is sha256 ${fingerprint(previous.text)}…`;
}

/** An identity of the broker that signs in with the secret, and a program that reads it from Key Vault each time. */
function startWatches(tour: Tour): RotationInHand['watches'] {
  const broker = startWatch('the broker’s workspace token', LOOK_MS, async () => {
    expectStatus(200, await tour.ask('POST', '/workspaces/prod/token', callerTokenOf(tour), { audience: 'arm' }));
  });
  const consumer = startWatch('a sign-in with the secret in Key Vault', LOOK_MS, async () => {
    const refusal = await tour.consumer.signIn((await tour.consumer.readSecret()).text);
    if (refusal !== undefined) fail(`Entra refused it: ${refusal}`);
  });
  return { broker, consumer };
}

async function awaitNewSecret(tour: Tour): Promise<string> {
  const rotation = inHand(tour);
  const { location, operatorToken, previous, watches } = rotation;
  const from = Date.now();
  let state = '';
  const options = {
    withinSeconds: LONGEST_WAIT_SECONDS,
    everyMs: POLL_MS,
    what: () => `the run’s Location answers 200; the rotation is ${state}`,
    watches: Object.values(watches),
  };
  const run = await until(options, async () => {
    const reply = await request('GET', location, { token: operatorToken });
    if (reply.status !== 202) return runSchema.parse(expectStatus(200, reply));
    state = runSchema.parse(reply.json).present?.state ?? '';
    return undefined;
  });
  if (run.status !== 'succeeded') fail(`the run ended as ${run.status}`);
  const next = await tour.consumer.readSecret();
  if (next.text === previous.text || next.keyId === previous.keyId)
    fail('the run is over and the secret is the old one');
  rotation.next = next;
  const seconds = Math.round((Date.now() - from) / 1000);
  return `200 after ${seconds} s of 202; sha256 ${fingerprint(previous.text)}… became ${fingerprint(next.text)}…`;
}

async function watchOverlap(tour: Tour): Promise<string> {
  const { previous, next, overlapSeconds, watches } = inHand(tour);
  if (next === undefined) fail('there is no new secret');
  const endsMs = next.createdOn.getTime() + overlapSeconds * 1000;
  let signIns = 0;
  do {
    for (const watch of Object.values(watches)) watch.check();
    const refusals = await Promise.all([tour.consumer.signIn(previous.text), tour.consumer.signIn(next.text)]);
    for (const [place, refusal] of refusals.entries()) {
      if (refusal !== undefined)
        fail(`during the overlap Entra refused the ${place ? 'new' : 'old'} secret: ${refusal}`);
    }
    signIns++;
    await sleep(LOOK_MS);
  } while (Date.now() < endsMs);
  return `the old and the new secret signed in ${signIns} times each, until the overlap of ${overlapSeconds} s was over`;
}

async function awaitRemoval(tour: Tour): Promise<string> {
  const { previous, next, operatorToken, watches } = inHand(tour);
  if (next === undefined) fail('there is no new secret');
  const options = { withinSeconds: LONGEST_WAIT_SECONDS, everyMs: POLL_MS, watches: Object.values(watches) };
  await until({ ...options, what: () => 'the old password is removed' }, async () => {
    const left = await tour.listPasswords();
    return left.every(({ keyId }) => keyId !== previous.keyId) || undefined;
  });
  const refused = await until({ ...options, what: () => 'Entra refuses the old secret' }, async () => {
    const answers = await signInTimes(tour, previous.text);
    return answers.every((answer) => answer !== undefined) ? answers[0] : undefined;
  });
  if (refused !== 'AADSTS7000215') fail(`the old secret was refused with ${refused}, expected AADSTS7000215`);
  const answers = await signInTimes(tour, next.text);
  if (answers.some((answer) => answer !== undefined)) fail('the new secret does not sign in any more');
  await until({ ...options, what: () => 'GET says that the rotation is settled' }, async () => {
    const { state, openRuns } = await readRotation(tour, operatorToken);
    return (state === 'settled' && openRuns.length === 0) || undefined;
  });
  if ((await countOurs(tour)) !== 1) fail(`${await countOurs(tour)} passwords of the broker are left, one is needed`);
  return `the old secret is refused (${refused}), the new one signs in; settled with one password`;
}

const signInTimes = (tour: Tour, secretText: string) =>
  Promise.all(Array.from({ length: SIGN_INS }, () => tour.consumer.signIn(secretText)));

const isRefusedSignIn = ({ service, status }: { service: string; status: number }): boolean =>
  service === 'entra' && status === 401;

/**
 * The broker may have served the watch with a token in hand. An identity that nobody has asked for yet makes it sign in,
 * with the secret that it read before the rotation: Entra refuses that one, and the broker reads the secret again.
 */
async function endWatches(tour: Tour): Promise<string> {
  const { watches } = inHand(tour);
  const batch = await tour.newCaller({ appId: randomUUID(), roles: ['Batch'] });
  const refusedBefore = await tour.countCalls(isRefusedSignIn);
  expectStatus(200, await tour.ask('POST', '/workspaces/prod/token', batch, { audience: 'arm' }));
  const refused = (await tour.countCalls(isRefusedSignIn)) - refusedBefore;
  const [tokens, signIns] = await Promise.all([watches.broker.stop(), watches.consumer.stop()]);
  const anew = refused > 0 ? ', one by a new sign-in for which the broker had to read the secret again' : '';
  return `${tokens + 1} tokens of the broker’s identity${anew}; ${signIns} sign-ins with what Key Vault holds; none failed`;
}
