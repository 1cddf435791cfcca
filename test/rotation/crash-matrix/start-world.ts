import { addSeconds } from '../../../src/clock.ts';
import { markOf, newRecord, type Password, type RotationRecord } from '../../../src/rotation/facts.ts';
import type { SecretWrite } from '../../../src/rotation/ports.ts';
import type { Run } from '../../../src/rotation/runs.ts';
import { pendingName } from '../../../src/rotation/take-step.ts';
import type { Random } from '../in-memory/random.ts';
import { createVirtualTime } from '../in-memory/virtual-time.ts';
import { createWorld, type World } from '../in-memory/world.ts';
import type { Fault, Scenario } from './scenarios.ts';

export const START = new Date('2026-11-22T10:00:00.000Z');

export interface StartedWorld {
  world: World;
  /** Key ids of passwords that others made and that must stay. */
  foreign: readonly string[];
  /** The text of one of them, which a person may write to the secret by hand. */
  foreignText: string;
  /** How many versions the secret has. */
  versions: number;
}

/** The world as a scenario begins. Two passwords that others made are in every one. */
export function startWorld(
  scenario: Scenario,
  { propagationSeconds, graphLagSeconds }: Fault,
  random: Random,
  on: Record<'onAdded' | 'onRemoved', (password: Password) => void>,
): StartedWorld {
  const { rotation } = scenario;
  const world = createWorld({
    time: createVirtualTime(START),
    random,
    rotation,
    propagationSeconds,
    graphLagSeconds,
    vaultClockSkewSeconds: random.between(-0.9, 0.9),
    ...on,
  });
  const { graph, vault } = world;
  const madeOn = addSeconds(START, -rotation.rotateEverySeconds - 121);
  const times = { startsOn: madeOn, endsOn: addSeconds(madeOn, rotation.lifetimeSeconds) };
  const byHand = graph.seed({ displayName: undefined, ...times });
  const otherRotation = graph.seed({ displayName: `${markOf('other')}r0`, ...times });
  if (scenario.start === 'imported') seedImported(world, scenario, times);
  else if (scenario.start !== 'no secret') seedOwn(world, scenario, times);
  if (scenario.start === 'edited') vault.writeByHand(rotation.name, byHand.text);
  const foreign = [byHand.keyId, otherRotation.keyId];
  return { world, foreign, foreignText: byHand.text, versions: vault.versions(rotation.name).length };
}

type Times = Pick<Password, 'startsOn' | 'endsOn'>;

/** A settled rotation: made, stored as pending, current two minutes later, proved, its predecessors gone. */
function seedOwn({ graph, vault, records }: World, { rotation, start }: Scenario, times: Times): void {
  const { name } = rotation;
  const { startsOn } = times;
  const endsOn = start === 'expired' ? addSeconds(START, -60) : times.endsOn;
  const secretOf = (rotationId: string, made: Times): SecretWrite => {
    const { keyId, text } = graph.seed({ displayName: `${markOf(name)}${rotationId}`, ...made });
    return { value: text, expiresOn: made.endsOn, keyId, rotation: name, rotationId };
  };
  const secret = secretOf('before', { startsOn, endsOn });
  const becameCurrent = addSeconds(startsOn, 120);
  vault.seed(pendingName(name), secret, addSeconds(startsOn, 1));
  vault.seed(name, secret, becameCurrent);
  const { keyId } = secret;
  const settled: Partial<RotationRecord> = {
    ...newRecord(name),
    attempt: { rotationId: 'before', why: 'due', begunAt: startsOn, addTriedAt: startsOn },
    proof: {
      keyId,
      of: 'current',
      successes: 3,
      firstAt: becameCurrent,
      lastTriedAt: addSeconds(becameCurrent, 60),
      refused: undefined,
    },
    promoted: keyId,
  };
  records.change(name, settled);
  if (start === 'orphan') {
    const madeOn = addSeconds(START, -5);
    secretOf('lost', { startsOn: madeOn, endsOn: addSeconds(madeOn, rotation.lifetimeSeconds) });
  }
  if (start !== 'pending left behind' && start !== 'pending without password') return;
  const begunAt = addSeconds(START, -3 * 86_400);
  const left = secretOf('left', { startsOn: begunAt, endsOn: addSeconds(begunAt, rotation.lifetimeSeconds) });
  vault.seed(pendingName(name), left, addSeconds(begunAt, 1));
  const attempt = { rotationId: 'left', why: 'requested', begunAt, addTriedAt: begunAt } as const;
  records.change(name, { ...settled, attempt });
  if (start === 'pending without password') graph.removeByHand(left.keyId);
}

/**
 * A secret that was on somebody's disk: its password is to be retired, and the next one is asked for. It is old enough to
 * be due too, so that a lost record loses the request only.
 */
function seedImported({ graph, vault, records }: World, { rotation: { name } }: Scenario, times: Times): void {
  const { keyId, text } = graph.seed({ displayName: 'rbac', ...times });
  const secret = { value: text, expiresOn: times.endsOn, keyId, rotation: name, rotationId: 'imported' };
  vault.seed(name, secret, times.startsOn);
  records.change(name, { ...newRecord(name), adopted: [keyId], runs: [runOf('requested', START)] });
}

/** A request of an operator as its route stores it. */
export const runOf = (reason: Run['reason'], requestedAt: Date): Run => ({
  id: `asked at ${requestedAt.toISOString()}`,
  reason,
  requestedAt,
  rotationId: undefined,
  doneAt: undefined,
});
