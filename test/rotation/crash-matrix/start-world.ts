import { addSeconds } from '../../../src/clock.ts';
import { markOf, newRecord, type Password } from '../../../src/rotation/facts.ts';
import type { Random } from '../in-memory/random.ts';
import { createVirtualTime } from '../in-memory/virtual-time.ts';
import { createWorld, type World } from '../in-memory/world.ts';
import type { Fault, Scenario } from './scenarios.ts';

export const START = new Date('2026-11-22T10:00:00.000Z');

/** A settled rotation whose secret has just become due, and two passwords that others made. */
export function startWorld(
  { rotation }: Scenario,
  { propagationSeconds, graphLagSeconds }: Fault,
  random: Random,
  on: Record<'onAdded' | 'onRemoved', (password: Password) => void>,
): { world: World; foreign: readonly string[] } {
  const world = createWorld({
    time: createVirtualTime(START),
    random,
    rotation,
    propagationSeconds,
    graphLagSeconds,
    vaultClockSkewSeconds: random.between(-0.9, 0.9),
    ...on,
  });
  const { graph, vault, records } = world;
  const becameCurrent = addSeconds(START, -rotation.rotateEverySeconds - 1);
  const madeOn = addSeconds(becameCurrent, -120);
  const endsOn = addSeconds(madeOn, rotation.lifetimeSeconds);
  const first = graph.seed({ displayName: `${markOf(rotation.name)}r0`, startsOn: madeOn, endsOn });
  const byHand = graph.seed({ displayName: undefined, startsOn: madeOn, endsOn });
  const otherRotation = graph.seed({ displayName: `${markOf('other')}r0`, startsOn: madeOn, endsOn });
  const secret = {
    value: first.text,
    expiresOn: endsOn,
    keyId: first.keyId,
    rotation: rotation.name,
    rotationId: 'r0',
  };
  vault.seed(`${rotation.name}-pending`, secret, addSeconds(madeOn, 1));
  vault.seed(rotation.name, secret, becameCurrent);
  const proof = { keyId: first.keyId, of: 'current', successes: 3, refused: undefined } as const;
  const attempt = { rotationId: 'r0', why: 'due', begunAt: madeOn, addTriedAt: madeOn } as const;
  records.change(rotation.name, {
    ...newRecord(rotation.name),
    attempt,
    proof: { ...proof, firstAt: becameCurrent, lastTriedAt: addSeconds(becameCurrent, 60) },
    promoted: first.keyId,
  });
  return { world, foreign: [byHand.keyId, otherRotation.keyId] };
}
