import { addSeconds, type Clock } from '../clock.ts';
import { toRotations } from '../config/rotations.ts';
import type { Rotation, RotationRecord } from '../rotation/facts.ts';
import type { KeyRecord, KeyRotation } from '../rotation/key-facts.ts';
import { plan } from '../rotation/plan.ts';
import { look } from '../rotation/rotate.ts';
import { ROTATIONS_AT_ONCE } from '../rotation/round.ts';
import { toState } from '../rotation/state.ts';
import { dueFinding, type Finding, type FindingKind, findFindings, type Others } from './findings.ts';
import type { Setup } from './setup.ts';
import { failureInWords, reasonInWords } from './words.ts';

const summarised = ['due', 'overdue', 'orphaned', 'foreign', 'over-long', 'not-owned'] as const satisfies FindingKind[];

/** One rotation, as it is shown. */
interface Section {
  title: string;
  findings: readonly Finding[];
}

const passwordsOf = ({ rotation, adopted, replaced, promoted }: RotationRecord): [string, string][] =>
  [...adopted, ...replaced, ...(promoted === undefined ? [] : [promoted])].map((keyId) => [keyId, rotation]);

async function lookAt(
  rotation: Rotation,
  { ports, limits, rotator }: Setup,
  clock: Clock,
  others: Others,
): Promise<Section> {
  try {
    const { facts } = await look(rotation, ports, clock);
    const planned = plan(facts, limits);
    const { name: secret, application, clientId } = rotation;
    const { means } = reasonInWords(planned.reason, { secret, application, clientId, rotator });
    const findings = findFindings({ facts, limits, planned, others, rotator });
    const unread: Finding = { kind: 'state', text: 'Run this again.', needsPerson: true };
    return {
      title: `${rotation.name}: ${planned.reason}. ${means}`,
      findings: planned.reason === 'unreadable' ? [unread, ...findings] : findings,
    };
  } catch (error) {
    return unreadSection(rotation.name, error);
  }
}

function unreadSection(name: string, error: unknown): Section {
  const [what = '', ...how] = failureInWords(error).split('\n');
  const findings: Finding[] = [{ kind: 'state', text: how.join(' '), needsPerson: true }];
  return { title: `${name}: could not be read. ${what}`, findings };
}

/**
 * The keys of an endpoint, as the rotator last wrote them down. They are not looked at from here: Azure ML shows keys
 * only together with their values, to the workspace's own identity.
 */
export function keySection(rotation: KeyRotation, { turn, status }: KeyRecord, now: Date): Section {
  const { state, means, asks, error } = toState(status, now);
  const findings: Finding[] = [];
  if (asks !== null) findings.push({ kind: 'state', text: asks, needsPerson: state !== 'not_looked_at' });
  if (error !== null) findings.push({ kind: 'failed', text: error.words, needsPerson: false });
  if (turn !== undefined) findings.push(dueFinding(addSeconds(turn.since, turn.rotateEverySeconds), now));
  return {
    title: `${rotation.name}: keys of ${rotation.workspace}/${rotation.endpoint}, ${state}. ${means}`,
    findings,
  };
}

async function readKeys(rotation: KeyRotation, { keyRecords }: Setup, clock: Clock): Promise<Section> {
  try {
    return keySection(rotation, (await keyRecords.read(rotation.name)).record, clock());
  } catch (error) {
    return unreadSection(rotation.name, error);
  }
}

/** The same order as the items, so many at work at once. */
async function mapAtOnce<T, R>(items: readonly T[], atOnce: number, work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  const rest = items.entries();
  const worker = async () => {
    for (const [index, item] of rest) results[index] = await work(item);
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  return results;
}

const sectionLines = ({ title, findings }: Section): string[] => [
  title,
  ...findings.map(({ kind, text }) => `  ${kind.padEnd(10)} ${text}`),
];

function summaryLine(sections: readonly Section[]): string {
  const all = sections.flatMap(({ findings }) => findings);
  const counts = summarised.map((wanted) => `${all.filter(({ kind }) => kind === wanted).length} ${wanted}`);
  const asking = sections.filter(({ findings }) => findings.some(({ needsPerson }) => needsPerson)).length;
  const asks = asking === 0 ? 'nothing needs a person' : `${asking} ${asking === 1 ? 'needs' : 'need'} a person`;
  return `${sections.length} ${sections.length === 1 ? 'rotation' : 'rotations'}: ${counts.join(', ')}; ${asks}.`;
}

/**
 * Shows what the broker would do and what it leaves to people. Reads only.
 *
 * @returns the exit code: 0 when nothing needs a person, else 1
 * @throws UpstreamError where the records cannot be read
 */
export async function showPlan(setup: Setup, clock: Clock, print: (line: string) => void): Promise<0 | 1> {
  const { policy, ports } = setup;
  const { secrets, endpointKeys } = toRotations(policy);
  const records = await ports.records.list();
  const others: Others = {
    configured: new Set(secrets.map(({ name }) => name)),
    passwords: new Map(records.flatMap(passwordsOf)),
  };
  const sections = [
    ...(await mapAtOnce(secrets, ROTATIONS_AT_ONCE, (rotation) => lookAt(rotation, setup, clock, others))),
    ...(await mapAtOnce(endpointKeys, ROTATIONS_AT_ONCE, (rotation) => readKeys(rotation, setup, clock))),
  ];
  for (const line of sections.flatMap(sectionLines)) print(line);
  print(summaryLine(sections));
  return sections.some(({ findings }) => findings.some(({ needsPerson }) => needsPerson)) ? 1 : 0;
}
