import { addSeconds, secondsBetween } from '../../../src/clock.ts';
import { UpstreamError } from '../../../src/errors.ts';
import { markOf, type Password, type Rotation } from '../../../src/rotation/facts.ts';
import { createRound } from '../../../src/rotation/round.ts';
import { pendingName } from '../../../src/rotation/take-step.ts';
import { createWriteBudget, GRAPH_WRITES, pausingWrites } from '../../../src/rotation/write-budget.ts';
import { createLogSpy } from '../../support/ports.ts';
import { aroundCalls } from '../crash-matrix/around-calls.ts';
import { createRandom } from '../in-memory/random.ts';
import { createVirtualTime } from '../in-memory/virtual-time.ts';
import { createWorld } from '../in-memory/world.ts';
import type { Act } from './acts.ts';

const START = new Date('2026-11-22T10:00:00.000Z');
const DAY = 86_400;
const HOUR = 3_600;
const TICK_SECONDS = 60;
const limits = { proofs: 3, spreadSeconds: 60, orphanGraceSeconds: 1200 };

export const rotation: Rotation = {
  name: 'trainer-password',
  tenantId: 'tenant',
  clientId: 'trainer',
  application: 'trainer-object',
  rotateEverySeconds: 10 * DAY,
  lifetimeSeconds: 30 * DAY,
  overlapSeconds: 2 * HOUR,
};

/** Quiet after a history: longer than a lost answer, a new password's proof, the overlap and every grace together. */
const QUIET_SECONDS = 8 * HOUR;

/** A world that lives through a history; what breaks a promise is noted at the moment it happens. */
export async function live(history: readonly Act[], seed: number): Promise<string[]> {
  const random = createRandom(seed);
  const time = createVirtualTime(START);
  const { clock } = time;
  const broken: string[] = [];
  const note = (text: string) => broken.push(`${text} (${secondsBetween(START, clock()).toFixed(0)} s)`);
  const adopted = new Set<string>();
  let compromisedAt: Date | undefined;
  let owned = true;
  let trouble: Extract<Act, { act: 'trouble' }>['kind'] = 'none';
  let generation = 0;
  let skewSeconds = 0;

  /** When a password was last what GET {name} answered; undefined: never. */
  const lastCurrent = (keyId: string): Date | 'now' | undefined => {
    const versions = world.vault.versions(rotation.name);
    const index = versions.findLastIndex((version) => version.told.keyId === keyId);
    if (index === -1) return undefined;
    return versions[index + 1]?.writtenAt ?? 'now';
  };

  const judgeRemoval = ({ keyId, displayName }: Password) => {
    if (displayName?.startsWith(markOf(rotation.name)) !== true && !adopted.has(keyId))
      note(`R3 removed foreign ${keyId}`);
    const since = lastCurrent(keyId);
    if (since === 'now') note(`R1 removed the current ${keyId}`);
    if (
      since instanceof Date &&
      compromisedAt === undefined &&
      secondsBetween(since, clock()) < rotation.overlapSeconds
    ) {
      note(`R2 removed ${keyId} ${secondsBetween(since, clock()).toFixed(0)} s after its successor became current`);
    }
  };

  const world = createWorld({
    time,
    random,
    rotation,
    propagationSeconds: 20,
    graphLagSeconds: 20,
    vaultClockSkewSeconds: 0.4,
    onAdded: () => undefined,
    onRemoved: judgeRemoval,
  });
  const { graph, vault, records, entra } = world;
  const removedByHand = new Set<string>();

  /** What the broker writes to {name} signs in, at every replica, when it is written. */
  const judgePromotion = (keyId: string, value: string) => {
    const refusing = entra.refusing(value);
    if (refusing.length > 0 && !removedByHand.has(keyId)) note(`R1 made ${keyId} current, refused by ${refusing}`);
  };

  const seeded = graph.seed({
    displayName: `${markOf(rotation.name)}r0`,
    startsOn: START,
    endsOn: addSeconds(START, 30 * DAY),
  });
  const tags = {
    keyId: seeded.keyId,
    rotation: rotation.name,
    rotationId: 'r0',
    expiresOn: addSeconds(START, 30 * DAY),
  };
  vault.seed(rotation.name, { value: seeded.text, ...tags }, START);

  const ports = aroundCalls(world.ports, async (name, perform, asFact) => {
    const born = generation;
    await time.sleep(random.between(20, 200));
    // A process that died makes no more calls.
    if (born !== generation) return new Promise(() => {});
    const fail = (error: UpstreamError) => {
      if (asFact !== undefined) return asFact(error);
      throw error;
    };
    if (trouble === 'throttled' && random.next() < 0.3) {
      return fail(new UpstreamError({ kind: 'throttled', service: name, status: 429, retryAfterSeconds: 5 }));
    }
    const result = await perform();
    await time.sleep(random.between(20, 200));
    if (born !== generation) return new Promise(() => {});
    if (trouble === 'answers lost' && random.next() < 0.1)
      return fail(new UpstreamError({ kind: 'unavailable', service: name }));
    return result;
  });
  const { read, addPassword, removePassword } = graph;
  const mayWrite = () => {
    if (!owned) throw new UpstreamError({ kind: 'forbidden', service: 'graph', status: 403 });
  };
  graph.read = async (objectId) => (owned ? read(objectId) : { kind: 'forbidden' });
  graph.addPassword = async (objectId, wanted) => {
    mayWrite();
    return addPassword(objectId, wanted);
  };
  graph.removePassword = async (objectId, keyId) => {
    mayWrite();
    return removePassword(objectId, keyId);
  };
  const { write } = world.ports.vault;
  world.ports.vault.write = async (name, secret) => {
    await write(name, secret);
    if (name === rotation.name) judgePromotion(secret.keyId, secret.value);
  };

  const budget = createWriteBudget({ clock, ...GRAPH_WRITES });
  let ids = 0;
  const round = createRound({
    rotations: [rotation],
    ports: { ...ports, applications: pausingWrites(ports.applications, budget, clock) },
    limits,
    budget,
    clock: () => addSeconds(clock(), skewSeconds),
    log: createLogSpy().log,
    newId: () => `r${++ids}`,
    lookSeconds: 300,
    atOnce: 4,
  });
  let busy = 0;
  const tick = (at: Date) =>
    time.at(at, () => {
      tick(addSeconds(at, TICK_SECONDS));
      if (busy > 0) return;
      const born = generation;
      busy += 1;
      const over = () => {
        if (born === generation) busy -= 1;
      };
      round(addSeconds(clock(), 480)).then(over, over);
    });
  tick(addSeconds(START, 1));

  const nameOf = (which: 'current' | 'pending') => (which === 'current' ? rotation.name : pendingName(rotation.name));
  const runUntil = (end: Date) =>
    time.run(
      () => undefined,
      () => clock() >= end,
    );

  const restore = () => {
    trouble = 'none';
    owned = true;
    for (const which of ['current', 'pending'] as const) {
      vault.recover(nameOf(which));
      vault.enable(nameOf(which));
    }
  };

  for (const act of history) {
    switch (act.act) {
      case 'wait':
        await runUntil(addSeconds(clock(), act.seconds));
        break;
      case 'ask': {
        if (act.reason === 'compromised') compromisedAt = clock();
        const run = {
          id: `ask-${ids++}`,
          reason: act.reason,
          requestedAt: clock(),
          rotationId: undefined,
          doneAt: undefined,
        };
        records.change(rotation.name, { runs: [...records.peek(rotation.name).runs, run] });
        break;
      }
      case 'write by hand':
        vault.writeByHand(rotation.name, `by-hand-${act.choice}`);
        break;
      case 'remove a password': {
        const all = graph.passwords();
        const chosen = all[act.choice % Math.max(1, all.length)];
        if (chosen === undefined) break;
        removedByHand.add(chosen.keyId);
        graph.removeByHand(chosen.keyId);
        break;
      }
      case 'add a foreign password':
        graph.seed({
          displayName: act.choice % 2 === 0 ? undefined : markOf('another'),
          startsOn: clock(),
          endsOn: addSeconds(clock(), 90 * DAY),
        });
        break;
      case 'disable':
      case 'enable':
      case 'recover':
      case 'purge':
        vault[act.act](nameOf(act.which));
        break;
      case 'delete':
        vault.remove(nameOf(act.which));
        break;
      case 'drop ownership':
        owned = false;
        break;
      case 'give ownership':
        owned = true;
        break;
      case 'lose the record':
        records.lose(rotation.name);
        break;
      case 'crash':
        generation += 1;
        busy = 0;
        break;
      case 'jump':
        // The rotator's clock is set; Azure's is not.
        skewSeconds = random.between(-1.5, 1.5);
        break;
      case 'trouble':
        trouble = act.kind;
    }
  }

  restore();
  const foreign = graph
    .passwords()
    .filter(({ displayName }) => displayName?.startsWith(markOf(rotation.name)) !== true);
  await runUntil(addSeconds(clock(), QUIET_SECONDS));
  const own = graph.passwords().filter(({ displayName }) => displayName?.startsWith(markOf(rotation.name)) === true);
  const current = vault.versions(rotation.name).at(-1);
  const { status } = records.peek(rotation.name);
  if (own.length !== 1)
    note(`R4 ${own.length} passwords of the broker after a quiet time: ${own.map(({ keyId }) => keyId)}`);
  if (current === undefined || current.told.keyId !== own[0]?.keyId) note(`R4 current is ${current?.told.keyId}`);
  if (current !== undefined && entra.refusing(current.value).length > 0) note('R1 current does not sign in');
  if (status?.reason !== 'settled') note(`R5 the state is ${status?.reason}`);
  const left = new Set(graph.passwords().map(({ keyId }) => keyId));
  for (const { keyId } of foreign) if (!left.has(keyId)) note(`R3 foreign ${keyId} is gone`);
  return broken;
}
