import { addSeconds, secondsBetween } from '../../../src/clock.ts';
import { markOf, type Password } from '../../../src/rotation/facts.ts';
import { pendingName } from '../../../src/rotation/take-step.ts';
import type { World } from '../in-memory/world.ts';
import type { Evidence, Scenario } from './scenarios.ts';
import { START } from './start-world.ts';

/** What must hold at every moment, and what once it has settled. Each answer is a reason, or undefined where all is well. */

/**
 * A text that is stored minutes late takes the place of a newer one: the late password is rotated in, and then one more
 * in place of the lost one.
 */
const LATE_TEXT_COSTS = 2;

interface Watched {
  scenario: Scenario;
  evidence: Evidence;
  world: World;
  foreign: readonly string[];
  versions: number;
}

export const ownPasswords = ({ scenario: { rotation }, world: { graph } }: Watched): Password[] =>
  graph.passwords().filter(({ displayName }) => displayName?.startsWith(markOf(rotation.name)) === true);

/** The instant from which a version that becomes current ends all overlaps: the named exception of R2. */
function compromisedAt({ events }: Scenario): Date | undefined {
  const event = events.find(({ what }) => what === 'compromised');
  return event && addSeconds(START, event.afterSeconds);
}

/** One consumer with what GET answers now, one with each previous secret whose overlap lasts, at every replica. */
export function signInEverywhere({ scenario, world }: Watched): string | undefined {
  const { entra, time, vault } = world;
  const { name, overlapSeconds } = scenario.rotation;
  const versions = vault.versions(name);
  const now = time.clock();
  const exception = compromisedAt(scenario);
  for (let index = versions.length - 1; index >= 0; index--) {
    const version = versions[index];
    if (version === undefined) break;
    const { value, told } = version;
    const successor = versions[index + 1];
    if (successor !== undefined && addSeconds(successor.writtenAt, overlapSeconds) <= now) break;
    if (successor !== undefined && exception !== undefined && successor.writtenAt > exception) break;
    // Nobody but time has taken this one away.
    if (scenario.start === 'expired' && told.rotationId === 'before') continue;
    const refusing = entra.refusing(value);
    if (refusing.length === 0) continue;
    const which = `${told.version} (${told.keyId ?? 'no key id'}) is refused by replica ${refusing.join(', ')}`;
    if (successor === undefined) return `R1 current ${which}`;
    return `R2 previous ${which} ${secondsBetween(successor.writtenAt, now).toFixed(1)} s after its successor became current`;
  }
  return undefined;
}

/** Whenever the broker has made one. */
export function checkAdded(watched: Watched): string | undefined {
  const own = ownPasswords(watched);
  const names = new Set(own.map(({ displayName }) => displayName));
  if (names.size < own.length) return 'R4 two passwords of one attempt';
  const most = watched.scenario.mostPasswords + LATE_TEXT_COSTS * watched.evidence.lateTexts;
  return own.length > most ? `R4 ${own.length} passwords of the broker at one time` : undefined;
}

/** Whenever a password is removed by the broker. */
export function checkRemoved(
  { scenario, world }: Watched,
  { keyId, displayName, startsOn }: Password,
): string | undefined {
  const { rotation, limits } = scenario;
  const { vault, records, time } = world;
  const holds = (name: string) => vault.versions(name).at(-1)?.told.keyId === keyId;
  if (holds(rotation.name) || holds(pendingName(rotation.name)))
    return `R1 removed ${keyId}, which a current version names`;
  const adopted = records.peek(rotation.name).adopted.includes(keyId);
  if (displayName?.startsWith(markOf(rotation.name)) !== true && !adopted) return `R3 removed ${keyId}, made by others`;
  // A predecessor as far as the record can tell: it goes by the overlap.
  const predecessor = records.peek(rotation.name).replaced.includes(keyId);
  const wasCurrent = vault.versions(rotation.name).some(({ told }) => told.keyId === keyId);
  const early = !wasCurrent && !predecessor && secondsBetween(startsOn, time.clock()) < limits.orphanGraceSeconds;
  return early ? `R3 removed the orphan ${keyId} within its grace` : undefined;
}

/** At the first look after every grace and overlap. */
export function checkSettled(watched: Watched): string | undefined {
  const { scenario, world, foreign } = watched;
  const { graph, vault, records } = world;
  const { name } = scenario.rotation;
  const own = ownPasswords(watched).map(({ keyId }) => keyId);
  const current = vault.versions(name).at(-1)?.told.keyId;
  if (own.length !== 1) return `R4 ${own.length} passwords of the broker once settled: ${own.join(', ')}`;
  if (own[0] !== current) return `R4 the one password left is ${own[0]}, current is ${current}`;
  const all = graph.passwords().map(({ keyId }) => keyId);
  const lost = foreign.filter((keyId) => !all.includes(keyId));
  if (lost.length > 0) return `R3 foreign passwords are gone: ${lost.join(', ')}`;
  const kept = records.peek(name).adopted.filter((keyId) => all.includes(keyId));
  if (kept.length > 0) return `R3 adopted passwords are still there: ${kept.join(', ')}`;
  const open = records.peek(name).runs.filter(({ doneAt }) => doneAt === undefined);
  if (open.length > 0) return `R5 ${open.length} requests are not answered once settled`;
  return vault.versions(pendingName(name)).length === 0 ? 'the pending secret is gone' : undefined;
}

/** The broker has made a secret current since the start. */
export const hasRotated = ({ scenario, world, versions }: Watched): boolean =>
  world.vault.versions(scenario.rotation.name).length > versions;
