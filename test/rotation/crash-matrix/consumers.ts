import { secondsBetween } from '../../../src/clock.ts';
import { markOf, type Password } from '../../../src/rotation/facts.ts';
import { pendingName } from '../../../src/rotation/take-step.ts';
import type { World } from '../in-memory/world.ts';
import type { Scenario } from './scenarios.ts';

/** What must hold at every moment, and what once it has settled. Each answer is a reason, or undefined where all is well. */

/** Three while a lost password waits for its grace; one more where a second rotation begins in the first one's overlap. */
const mostPasswords = ({ requestAfterSeconds }: Scenario): number => (requestAfterSeconds === undefined ? 3 : 4);

export const ownPasswords = ({ graph }: World, { rotation }: Scenario): Password[] =>
  graph.passwords().filter(({ displayName }) => displayName?.startsWith(markOf(rotation.name)) === true);

/** One consumer with what GET answers now, one with each previous secret whose overlap lasts, at every replica. */
export function signInEverywhere(world: World, scenario: Scenario): string | undefined {
  const { entra, time, vault } = world;
  const { name, overlapSeconds } = scenario.rotation;
  const versions = vault.versions(name);
  const nowMs = time.clock().getTime();
  for (let index = versions.length - 1; index >= 0; index--) {
    const version = versions[index];
    if (version === undefined) break;
    const { value, told } = version;
    const successor = versions[index + 1];
    if (successor !== undefined && successor.writtenAt.getTime() + overlapSeconds * 1000 <= nowMs) break;
    const refusing = entra.refusing(value);
    if (refusing.length === 0) continue;
    const which = `${told.version} (${told.keyId ?? 'no key id'}) is refused by replica ${refusing.join(', ')}`;
    if (successor === undefined) return `R1 current ${which}`;
    const since = secondsBetween(successor.writtenAt, time.clock());
    return `R2 previous ${which} ${since.toFixed(1)} s after its successor became current`;
  }
  return undefined;
}

/** Whenever the broker has made one. */
export function checkNumber(world: World, scenario: Scenario): string | undefined {
  const own = ownPasswords(world, scenario).length;
  return own > mostPasswords(scenario) ? `R4 ${own} passwords of the broker at one time` : undefined;
}

/** At the first look after every grace and overlap. `foreign`: key ids of the passwords that others made. */
export function checkSettled(world: World, scenario: Scenario, foreign: readonly string[]): string | undefined {
  const { graph, vault } = world;
  const { name } = scenario.rotation;
  const own = ownPasswords(world, scenario).map(({ keyId }) => keyId);
  const current = vault.versions(name).at(-1)?.told.keyId;
  if (own.length !== 1) return `R4 ${own.length} passwords of the broker once settled: ${own.join(', ')}`;
  if (own[0] !== current) return `R4 the one password left is ${own[0]}, current is ${current}`;
  const all = graph.passwords().map(({ keyId }) => keyId);
  const lost = foreign.filter((keyId) => !all.includes(keyId));
  if (lost.length > 0) return `R3 foreign passwords are gone: ${lost.join(', ')}`;
  if (vault.versions(name).length < 2) return 'it settled without a rotation';
  return vault.versions(pendingName(name)).length === 0 ? 'the pending secret is gone' : undefined;
}
