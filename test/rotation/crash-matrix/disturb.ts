import { addSeconds, secondsBetween } from '../../../src/clock.ts';
import { UpstreamError } from '../../../src/errors.ts';
import type { RotationPorts } from '../../../src/rotation/ports.ts';
import { pendingName } from '../../../src/rotation/take-step.ts';
import { type Course, lastEventAt } from './course.ts';
import type { EventKind } from './scenarios.ts';
import { runOf, START } from './start-world.ts';

/** Everything that happens to a rotation from outside: what Azure refuses, what people do. */

const LONG_THROTTLE_SECONDS = 25 * 60;
const LONG_PAUSE_SECONDS = 25 * 60;
const RETRY_AFTER_SECONDS = 10;

/** Throttles one call in seven or so, and all sign-ins for long once a password is pending. */
export function createThrottle({ fault, evidence, random, world, scenario }: Course) {
  const { clock } = world.time;
  let nextCall = 6 + random.below(6);
  let until: Date | undefined;
  return {
    /** What Azure answers to this call instead of doing it. */
    find(name: string, call: number): UpstreamError | undefined {
      if (!fault.throttles) return undefined;
      const left = until === undefined ? 0 : secondsBetween(clock(), until);
      const long = name === 'signIn' && left > 0;
      // Not a fixed number: it could meet the same call of each look for ever.
      if (call >= nextCall) nextCall = call + 6 + random.below(6);
      else if (!long) return undefined;
      evidence.throttled += 1;
      const retryAfterSeconds = long ? left : RETRY_AFTER_SECONDS;
      return new UpstreamError({ kind: 'throttled', service: name, status: 429, retryAfterSeconds });
    },
    note(name: string): void {
      if (name !== `vault.write ${pendingName(scenario.rotation.name)}`) return;
      until ??= addSeconds(clock(), LONG_THROTTLE_SECONDS);
    },
  };
}

/** What befalls the rotation at its point, beside the crash. */
export function strike(course: Course): void {
  const { fault, scenario, world, evidence } = course;
  const { name } = scenario.rotation;
  const { clock } = world.time;
  course.pausedUntil = addSeconds(clock(), scenario.pauseSeconds);
  if (fault.losesRecord) {
    world.records.lose(name);
    evidence.lostRecords += 1;
  }
  if (!fault.removesPending) return;
  course.pausedUntil = addSeconds(clock(), LONG_PAUSE_SECONDS);
  const keyId = world.vault.versions(pendingName(name)).at(-1)?.told.keyId;
  // Where it has been current already, a person would break a consumer, not the broker: then nothing happens.
  if (keyId === undefined || world.vault.versions(name).some(({ told }) => told.keyId === keyId)) return;
  world.graph.removeByHand(keyId);
  evidence.removedByHand += 1;
  course.tell(`${keyId} is removed by hand`);
}

/** Lets people do what the scenario says, when it says. */
export function planEvents(course: Course): void {
  const { scenario, world, foreignText } = course;
  const { name } = scenario.rotation;
  const ask = (reason: 'requested' | 'compromised') => {
    const { runs } = world.records.peek(name);
    world.records.change(name, { runs: [...runs, runOf(reason, world.time.clock())] });
  };
  const happen: Record<EventKind, () => void> = {
    requested: () => ask('requested'),
    compromised: () => ask('compromised'),
    edited: () => world.vault.writeByHand(name, foreignText),
    'rolled back': () => {
      const [before] = world.vault.versions(name).slice(-2);
      if (before !== undefined) world.vault.writeByHand(name, before.value);
    },
    room: () => {},
  };
  for (const { afterSeconds, what } of scenario.events) {
    world.time.at(addSeconds(START, afterSeconds), () => {
      course.tell(`a person: ${what}`);
      happen[what]();
    });
  }
}

/** The world's ports as this tenant and this application have them: some passwords are refused. */
export function portsOf(course: Course): RotationPorts {
  const { scenario, world, evidence } = course;
  const { graph, ports, vault } = world;
  const now = world.time.clock;
  const refusal = (endsOn: Date) => {
    if (scenario.full && now() < lastEventAt(course)) return 'no_room';
    return secondsBetween(now(), endsOn) > scenario.longestLifeSeconds ? 'lifetime_refused' : undefined;
  };
  return {
    ...ports,
    applications: {
      read: (objectId) => graph.read(objectId),
      removePassword: (objectId, keyId) => graph.removePassword(objectId, keyId),
      addPassword: async (objectId, wanted) => refusal(wanted.endsOn) ?? graph.addPassword(objectId, wanted),
    },
    async signIn(principal, text) {
      const outcome = await ports.signIn(principal, text);
      const stored = vault.versions(pendingName(scenario.rotation.name)).find(({ value }) => value === text);
      const age = stored === undefined ? 0 : secondsBetween(stored.writtenAt, now());
      if (outcome === 'unknown' && age > 5 && age <= 60) evidence.lateRefusals += 1;
      return outcome;
    },
  };
}
