import { describe, expect, it } from 'vitest';
import { addSeconds, secondsBetween } from '../../src/clock.ts';
import { UpstreamError } from '../../src/errors.ts';
import { markOf, newRecord, type Rotation } from '../../src/rotation/facts.ts';
import type { RotationPorts } from '../../src/rotation/ports.ts';
import { createRound, ROTATIONS_AT_ONCE } from '../../src/rotation/round.ts';
import { createWriteBudget, GRAPH_WRITES, pausingWrites } from '../../src/rotation/write-budget.ts';
import { createLogSpy } from '../support/ports.ts';
import { aroundCalls } from './crash-matrix/around-calls.ts';
import { createRandom, type Random } from './in-memory/random.ts';
import { createVirtualTime, type VirtualTime } from './in-memory/virtual-time.ts';
import { createWorld, type World } from './in-memory/world.ts';

const START = new Date('2026-11-22T10:00:00.000Z');
const DAY = 86_400;
const limits = { proofs: 3, spreadSeconds: 60, orphanGraceSeconds: 1200 };

function rotationOf(number: number): Rotation {
  return {
    name: `secret-${number}`,
    tenantId: 'tenant',
    clientId: `client-${number}`,
    application: `object-${number}`,
    rotateEverySeconds: 30 * DAY,
    lifetimeSeconds: 90 * DAY,
    overlapSeconds: DAY,
  };
}

interface Many {
  time: VirtualTime;
  rotations: Rotation[];
  worlds: Map<string, World>;
  ports: RotationPorts;
  /** When each password was made or removed, with its rotation. */
  writes: { at: Date; rotation: string; what: 'add' | 'remove' }[];
  /** Throws what Graph answers at the next writes, if anything. */
  answer: { next?: (() => UpstreamError | undefined) | undefined };
}

/** Secrets that are all due, in one vault and one directory; every call takes 50 to 200 ms. */
function manyDue(count: number, random: Random, endsInDays: (number: number) => number): Many {
  const time = createVirtualTime(START);
  const worlds = new Map<string, World>();
  const writes: Many['writes'] = [];
  const answer: Many['answer'] = {};
  const rotations = Array.from({ length: count }, (_, number) => rotationOf(number));
  for (const [number, rotation] of rotations.entries()) {
    const world = createWorld({
      time,
      random,
      rotation,
      propagationSeconds: 5,
      graphLagSeconds: 0,
      vaultClockSkewSeconds: 0,
      onAdded: () => writes.push({ at: time.clock(), rotation: rotation.name, what: 'add' }),
      onRemoved: () => writes.push({ at: time.clock(), rotation: rotation.name, what: 'remove' }),
    });
    const endsOn = addSeconds(START, endsInDays(number) * DAY);
    const startsOn = addSeconds(START, -31 * DAY);
    const { keyId, text } = world.graph.seed({ displayName: `${markOf(rotation.name)}r0`, startsOn, endsOn });
    const secret = { value: text, expiresOn: endsOn, keyId, rotation: rotation.name, rotationId: 'r0' };
    world.vault.seed(rotation.name, secret, startsOn);
    world.records.change(rotation.name, {
      ...newRecord(rotation.name),
      promoted: keyId,
      proof: {
        keyId,
        of: 'current',
        successes: 3,
        firstAt: startsOn,
        lastTriedAt: addSeconds(startsOn, 60),
        refused: undefined,
      },
    });
    worlds.set(rotation.name, world);
  }
  const byName = (name: string) => worlds.get(name.replace(/-pending$/, ''))?.ports ?? missing(name);
  const byObject = (objectId: string) => byName(objectId.replace('object', 'secret')).applications;
  const graphWrites: number[] = [];
  /** Graph's own limit: 3,000 writes of one application in 150 s. */
  const allow = () => {
    const told = answer.next?.();
    if (told !== undefined) throw told;
    const nowMs = time.clock().getTime();
    while (graphWrites[0] !== undefined && graphWrites[0] <= nowMs - 150_000) graphWrites.shift();
    if (graphWrites.length >= 3000) throw new UpstreamError({ kind: 'throttled', service: 'graph', status: 429 });
    graphWrites.push(nowMs);
  };
  const ports: RotationPorts = {
    applications: {
      read: (id) => byObject(id).read(id),
      async addPassword(id, wanted) {
        allow();
        return byObject(id).addPassword(id, wanted);
      },
      async removePassword(id, keyId) {
        allow();
        return byObject(id).removePassword(id, keyId);
      },
    },
    vault: {
      look: (name) => byName(name).vault.look(name),
      readValue: (name, version) => byName(name).vault.readValue(name, version),
      write: (name, secret) => byName(name).vault.write(name, secret),
    },
    records: {
      list: async () => [...worlds].map(([name, { records }]) => records.peek(name)),
      read: (name) => byName(name).records.read(name),
      write: (record, etag) => byName(record.rotation).records.write(record, etag),
    },
    signIn: async (principal, text) => byName(principal.clientId.replace('client', 'secret')).signIn(principal, text),
  };
  const slow = aroundCalls(ports, async (_name, perform) => {
    await time.sleep(random.between(25, 100));
    const result = await perform();
    await time.sleep(random.between(25, 100));
    return result;
  });
  return { time, rotations, worlds, ports: slow, writes, answer };
}

const missing = (name: string): never => {
  throw new Error(`there is no world for ${name}`);
};

/** The timer of a minute; a tick that comes while a round is under way is left out, as the host does. */
async function runTimer({ time, rotations, ports }: Many, until: Date, done: () => boolean): Promise<void> {
  const { clock } = time;
  const { log } = createLogSpy();
  const budget = createWriteBudget({ clock, ...GRAPH_WRITES });
  let ids = 0;
  const round = createRound({
    rotations,
    ports: { ...ports, applications: pausingWrites(ports.applications, budget, clock) },
    limits,
    budget,
    clock,
    log,
    newId: () => `r${++ids}`,
    lookSeconds: 300,
    atOnce: ROTATIONS_AT_ONCE,
  });
  let busy = false;
  const tick = (at: Date) => {
    time.at(at, () => {
      tick(addSeconds(at, 60));
      if (busy) return;
      busy = true;
      void round(addSeconds(clock(), 480)).finally(() => {
        busy = false;
      });
    });
  };
  tick(addSeconds(clock(), 1));
  await time.run(
    () => undefined,
    () => clock() >= until || (!busy && done()),
  );
}

const currentIds = ({ worlds }: Many) =>
  [...worlds].map(([name, { vault }]) => vault.versions(name).at(-1)?.told.rotationId);

/** The most writes that any window of so many seconds saw. */
function mostIn(writes: Many['writes'], seconds: number): number {
  let first = 0;
  let most = 0;
  for (const [index, { at }] of writes.entries()) {
    while (secondsBetween(writes[first]?.at ?? at, at) > seconds) first++;
    most = Math.max(most, index - first + 1);
  }
  return most;
}

describe('a round over many rotations', () => {
  it('R4: 1,000 secrets due at once are all current within 10 minutes and the proof’s spread, and Graph never throttles', async () => {
    const many = manyDue(1000, createRandom(7), () => 60);
    const throttled: string[] = [];
    const { addPassword } = many.ports.applications;
    many.ports.applications.addPassword = (id, wanted) =>
      addPassword(id, wanted).catch((error: unknown) => {
        throttled.push(id);
        throw error;
      });
    await runTimer(many, addSeconds(START, 600 + limits.spreadSeconds), () =>
      currentIds(many).every((rotationId) => rotationId !== 'r0'),
    );
    expect(currentIds(many).filter((rotationId) => rotationId === 'r0')).toEqual([]);
    const became = [...many.worlds].map(([name, { vault }]) => vault.versions(name)[1]?.writtenAt ?? many.time.clock());
    const last = new Date(Math.max(...became.map((instant) => instant.getTime())));
    expect(secondsBetween(START, last)).toBeLessThanOrEqual(600 + limits.spreadSeconds);
    expect(became).toHaveLength(1000);
    expect(many.writes.filter(({ what }) => what === 'add')).toHaveLength(1000);
    expect(mostIn(many.writes, 150)).toBeLessThanOrEqual(2400);
    expect(throttled).toEqual([]);
  });

  it('takes those first whose secret ends soonest', async () => {
    // The order of the policy is not the order of urgency: 37 and 240 have no common divisor.
    const place = (number: number) => (number * 37) % 240;
    const many = manyDue(240, createRandom(8), (number) => 2 + place(number));
    await runTimer(many, addSeconds(START, 600), () => many.writes.length >= 240);
    const places = many.writes.map(({ rotation }) => place(Number(rotation.slice('secret-'.length))));
    expect(places.toSorted((one, other) => one - other)).toEqual([...places.keys()]);
    // As many as are at work at once may overtake each other.
    const out = places.filter((placed, index) => Math.abs(placed - index) > 2 * ROTATIONS_AT_ONCE);
    expect(out).toEqual([]);
  });

  it('writes nothing to Graph for as long as it asks, and goes on where it stood', async () => {
    const many = manyDue(30, createRandom(9), () => 60);
    let refusedAt: Date | undefined;
    many.answer.next = () => {
      if (refusedAt !== undefined) return undefined;
      refusedAt = many.time.clock();
      return new UpstreamError({ kind: 'throttled', service: 'graph', status: 429, retryAfterSeconds: 90 });
    };
    await runTimer(many, addSeconds(START, 900), () => currentIds(many).every((id) => id !== 'r0'));
    const times = many.writes.map(({ at }) => secondsBetween(refusedAt ?? START, at));
    // Writes that were on their way when Graph refused arrive within half a second.
    expect(times.filter((seconds) => seconds > 0.5 && seconds < 90)).toEqual([]);
    expect(currentIds(many).filter((id) => id === 'r0')).toEqual([]);
    expect(many.writes.filter(({ what }) => what === 'add')).toHaveLength(30);
  });
});

describe('Graph’s allowance of writes', () => {
  it('never lets a window of 150 s see more than 2,400 writes, and says when the next is free', () => {
    const time = { now: START };
    const budget = createWriteBudget({ clock: () => time.now, ...GRAPH_WRITES });
    for (let write = 0; write < 2400; write++) {
      expect(budget.take()).toBeUndefined();
      time.now = addSeconds(time.now, 0.01);
    }
    const free = budget.take();
    expect(free).toEqual(addSeconds(START, 151));
    time.now = addSeconds(START, 150);
    expect(budget.take()).toEqual(free);
    time.now = addSeconds(START, 151);
    expect(budget.take()).toBeUndefined();
  });
});
