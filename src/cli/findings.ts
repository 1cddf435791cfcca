import { addSeconds, secondsBetween } from '../clock.ts';
import { type Facts, markOf, type Password, type PlanLimits } from '../rotation/facts.ts';
import type { Plan } from '../rotation/plan.ts';
import { findRemovals, type Removal } from '../rotation/removable.ts';
import { toState } from '../rotation/state.ts';
import { instantText, quoted, reasonInWords, roughly } from './words.ts';

/** What a look at one rotation shows that a person may want to know. Pure. */
export interface Finding {
  kind: FindingKind;
  text: string;
  /** Nobody but a person can mend it. */
  needsPerson: boolean;
}

/** `state`: a named state that asks for a person; `previous`: in its overlap. */
export type FindingKind =
  | 'due'
  | 'overdue'
  | 'previous'
  | 'orphaned'
  | 'foreign'
  | 'over-long'
  | 'not-owned'
  | 'state'
  | 'failed';

export interface Looked {
  facts: Facts;
  limits: PlanLimits;
  planned: Plan;
  others: Others;
  /** Object id of who should own the application, where that is known. */
  rotator: string | undefined;
}

/** What is known of other rotations: two may share an application. */
export interface Others {
  /** The names in the policy. */
  configured: ReadonlySet<string>;
  /** The passwords that stored records know, by key id: the rotation's name. */
  passwords: ReadonlyMap<string, string>;
}

/** The timer looks far more often: what waits this long waits for somebody. */
const LATE_SECONDS = 900;
/** A life counts from Graph's clock, its end from ours. */
const LIFE_MARGIN_SECONDS = 60;

/** The rotation that a password was made for, by its display name; undefined for those of others. */
export const rotationOf = ({ displayName }: Password): string | undefined =>
  displayName?.match(/^aml-token-broker\/([^/]+)\//)?.[1];

const isNamed = (keyId: string, { current, pending }: Facts): boolean =>
  [current, pending].some((fact) => fact.kind === 'found' && fact.value.keyId === keyId);

const isOurs = ({ keyId, displayName }: Password, facts: Facts): boolean =>
  displayName?.startsWith(markOf(facts.rotation.name)) === true ||
  facts.record.adopted.includes(keyId) ||
  isNamed(keyId, facts);

function* findState({ facts, planned, rotator }: Looked): Generator<Finding> {
  const { name, application, clientId } = facts.rotation;
  const { means, asks } = reasonInWords(planned.reason, { secret: name, application, clientId, rotator });
  if (asks === undefined) return;
  const kind = planned.reason === 'not_owned' ? 'not-owned' : 'state';
  yield { kind, text: `${means} ${asks}`, needsPerson: true };
}

/** A failure that no step has made good since. */
function* findFailure({ facts }: Looked): Generator<Finding> {
  const { error } = toState(facts.record.status, facts.now);
  if (error !== null) yield { kind: 'failed', text: `${instantText(error.at)}: ${error.words}`, needsPerson: false };
}

function* findDue({ facts, planned }: Looked): Generator<Finding> {
  const { now, rotation, current, application } = facts;
  if (planned.step.do === 'begin' && planned.reason !== 'due') {
    yield { kind: 'due', text: 'now', needsPerson: false };
    return;
  }
  if (current.kind !== 'found') return;
  const { createdOn, keyId } = current.value;
  const password = application.kind === 'found' ? application.value.passwords.find((one) => one.keyId === keyId) : null;
  const times = [addSeconds(createdOn, rotation.rotateEverySeconds)];
  if (password) times.push(addSeconds(password.endsOn, -rotation.overlapSeconds));
  yield dueFinding(new Date(Math.min(...times.map((time) => time.getTime()))), now);
}

/** When the next one is made; or since when it should have been. */
export function dueFinding(dueAt: Date, now: Date): Finding {
  const lateSeconds = secondsBetween(dueAt, now);
  if (lateSeconds < 0) {
    return { kind: 'due', text: `${instantText(dueAt)}, in ${roughly(lateSeconds)}`, needsPerson: false };
  }
  const late = lateSeconds > LATE_SECONDS;
  const asks = late ? ': see that an app with BROKER_ROLE rotator (or all) runs, and what stops it' : '';
  const text = `since ${instantText(dueAt)}, for ${roughly(lateSeconds)}${asks}`;
  return { kind: 'overdue', text, needsPerson: late };
}

function findUnused(password: Password, facts: Facts, removal: Removal | undefined): Finding {
  const { keyId, startsOn } = password;
  const goes =
    removal === undefined
      ? 'goes once the current secret is proved and the overlap is over'
      : removal.at <= facts.now
        ? 'goes in the next round'
        : `goes at ${instantText(removal.at)}`;
  if (removal?.why !== 'orphan') return { kind: 'previous', text: `${keyId}: ${goes}`, needsPerson: false };
  const age = roughly(secondsBetween(startsOn, facts.now));
  return { kind: 'orphaned', text: `${keyId}: made ${age} ago, never current, ${goes}`, needsPerson: false };
}

/** Whose a password is that this rotation did not make; undefined where another one looks after it. */
function findForeign(password: Password, { facts, others }: Looked): Finding | undefined {
  const { keyId, displayName, endsOn } = password;
  const of = others.passwords.get(keyId) ?? rotationOf(password);
  if (of !== undefined && others.configured.has(of)) return undefined;
  const remove = `az ad app credential delete --id ${facts.rotation.application} --key-id ${keyId}`;
  const what =
    of === undefined
      ? `the broker leaves it alone; when nobody uses it: ${remove}`
      : `it is of a rotation ${quoted(of)}, which the policy does not have: add it; or when nobody uses it: ${remove}`;
  const text = `${keyId} ${quoted(displayName)}, ends ${instantText(endsOn)}: ${what}`;
  return { kind: 'foreign', text, needsPerson: true };
}

function* findPasswords(looked: Looked): Generator<Finding> {
  const { facts, limits } = looked;
  const { rotation, application } = facts;
  if (application.kind !== 'found' || looked.planned.reason === 'wrong_application') return;
  const removals = new Map(findRemovals(facts, limits).map((removal) => [removal.keyId, removal]));
  for (const password of application.value.passwords) {
    const { keyId, startsOn, endsOn } = password;
    const ours = isOurs(password, facts);
    const foreign = ours ? undefined : findForeign(password, looked);
    // Which one is current must be known to say that another is not.
    if (ours && facts.current.kind === 'found' && !isNamed(keyId, facts))
      yield findUnused(password, facts, removals.get(keyId));
    if (foreign !== undefined) yield foreign;
    if (!ours && foreign === undefined) continue;
    const life = secondsBetween(startsOn, endsOn);
    if (life <= rotation.lifetimeSeconds + LIFE_MARGIN_SECONDS) continue;
    // One of ours goes by itself, at the latest when its successor has had its overlap.
    const text = `${keyId} lives ${roughly(life)}, lifetime is ${roughly(rotation.lifetimeSeconds)}${ours ? ': it goes with the next rotation' : ''}`;
    yield { kind: 'over-long', text, needsPerson: foreign !== undefined };
  }
}

/** Everything that one look shows, what asks for a person first. */
export function findFindings(looked: Looked): Finding[] {
  return [...findState(looked), ...findFailure(looked), ...findDue(looked), ...findPasswords(looked)];
}
