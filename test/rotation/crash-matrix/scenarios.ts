import type { PlanLimits, Rotation } from '../../../src/rotation/facts.ts';

/** How things stand before the first look. */
export type Start =
  /** A settled rotation whose secret has just become due. */
  | 'due'
  /** The same, and a password that the record knows nothing of was made a moment ago. */
  | 'orphan'
  /** Neither the secret nor a password of the broker exists. */
  | 'no secret'
  /** The current version was written by hand, with the password of somebody else. */
  | 'edited'
  /** The current version holds a password that the broker was told to adopt, and a rotation is asked for. */
  | 'imported'
  /** Current password and version have expired. */
  | 'expired'
  /** An older attempt stored a password as pending and never went on. */
  | 'pending left behind'
  /** The same, and somebody has removed that password since. */
  | 'pending without password';

export type EventKind =
  | 'requested'
  | 'compromised'
  /** The secret is written by hand, with the password of somebody else. */
  | 'edited'
  /** The secret is written by hand, with what it held before: no tag tells so. */
  | 'rolled back'
  /** The application takes passwords again. */
  | 'room';

/** What a person does, so long after the start. */
export interface Event {
  afterSeconds: number;
  what: EventKind;
}

/** What is rotated, what people do meanwhile, and how the timer comes back after a crash. */
export interface Scenario {
  name: string;
  rotation: Rotation;
  limits: PlanLimits;
  start: Start;
  /** How long no timer fires after the crash; 0: the next tick is the first. */
  pauseSeconds: number;
  events: readonly Event[];
  /** The tenant's policy refuses a longer life. */
  longestLifeSeconds: number;
  /** The application takes no more passwords until the event `room`. */
  full: boolean;
  /** Passwords of the broker that may exist at one time, where no rotator freezes with a text in hand. */
  mostPasswords: number;
  /** No new password signs in on trial, so propagation shows nothing. */
  addsNone: boolean;
}

/** What shows that a fault was in force. */
export interface Evidence {
  crashes: number;
  lostAnswers: number;
  /** Reads of Graph that did not show the state of their moment. */
  staleReads: number;
  /** Sign-ins on trial that a replica refused later than it would without the fault. */
  lateRefusals: number;
  throttled: number;
  /** Writes of one rotator within the look of the other. */
  interleaved: number;
  /** Writes of a record that came second. */
  conflicts: number;
  /** Rotators that stood still for minutes in the middle of a look. */
  frozen: number;
  /** Those of them that held the only copy of a password's text. */
  lateTexts: number;
  lostRecords: number;
  removedByHand: number;
}

/** One way in which Azure, or a colleague, misbehaves during the whole run. */
export interface Fault {
  name: string;
  /** The point's call is done but its answer is lost; the rotator lives on. Otherwise it dies after the call. */
  losesAnswer: boolean;
  /** Until the last of Entra's replicas has learned of a change. */
  propagationSeconds: number;
  graphLagSeconds: number;
  /** One call in seven or so; and sign-ins for 25 minutes once a password is pending. */
  throttles: boolean;
  /** Another timer on the same rotation; its calls arrive late, and now and then it freezes in the middle of a look. */
  secondRotator: boolean;
  /** The rotation's record is deleted at the point. */
  losesRecord: boolean;
  /** Somebody removes the pending password in the portal at the point, and no timer fires for 25 minutes. */
  removesPending: boolean;
  /** All of these must be more than 0 in every scenario: else the fault was never in force. */
  shows: readonly (keyof Evidence)[];
}

const DAY = 86_400;
const HOUR = 3_600;
const MINUTE = 60;

const limits: PlanLimits = { proofs: 3, spreadSeconds: 60, orphanGraceSeconds: 20 * MINUTE };

const rotation: Rotation = {
  name: 'trainer-password',
  tenantId: 'tenant',
  clientId: 'trainer',
  application: 'trainer-object',
  rotateEverySeconds: 30 * DAY,
  lifetimeSeconds: 90 * DAY,
  overlapSeconds: HOUR,
};

/** Three passwords: current, previous, and a lost one that waits for its grace. */
const due: Scenario = {
  name: 'due',
  rotation,
  limits,
  start: 'due',
  pauseSeconds: 0,
  events: [],
  longestLifeSeconds: Number.POSITIVE_INFINITY,
  full: false,
  mostPasswords: 3,
  addsNone: false,
};
const shortOverlap: Rotation = { ...rotation, overlapSeconds: 20 };
const inOverlap = (what: EventKind): readonly Event[] => [{ afterSeconds: 10 * MINUTE, what }];

export const scenarios: readonly Scenario[] = [
  due,
  { ...due, name: 'due, next tick 25 min later', pauseSeconds: 25 * MINUTE },
  { ...due, name: 'due, overlap 20 s', rotation: shortOverlap },
  { ...due, name: 'due, overlap 20 s, next tick 25 min later', rotation: shortOverlap, pauseSeconds: 25 * MINUTE },
  // A second rotation begins in the first one's overlap.
  { ...due, name: 'asked for again in the overlap', events: inOverlap('requested'), mostPasswords: 4 },
  // Before the first one is at rest, and what it made goes soon.
  {
    ...due,
    name: 'asked for again at once, overlap 20 s',
    rotation: shortOverlap,
    events: [{ afterSeconds: 4 * MINUTE, what: 'requested' }],
    mostPasswords: 4,
  },
  { ...due, name: 'compromised in the overlap', events: inOverlap('compromised'), mostPasswords: 4 },
  { ...due, name: 'edited in the overlap', events: inOverlap('edited'), mostPasswords: 4 },
  { ...due, name: 'rolled back in the overlap', events: inOverlap('rolled back'), mostPasswords: 4 },
  { ...due, name: 'a lost password waits, overlap 20 s', rotation: shortOverlap, start: 'orphan', mostPasswords: 4 },
  { ...due, name: 'no secret yet', start: 'no secret' },
  { ...due, name: 'edited by hand', start: 'edited' },
  { ...due, name: 'imported', start: 'imported' },
  { ...due, name: 'expired', start: 'expired' },
  { ...due, name: 'pending left behind', start: 'pending left behind', addsNone: true },
  // An old password becomes current, and at once the next one takes its place as pending.
  {
    ...due,
    name: 'pending left behind, asked for meanwhile',
    start: 'pending left behind',
    events: [{ afterSeconds: MINUTE, what: 'requested' }],
    mostPasswords: 4,
  },
  { ...due, name: 'pending left behind without its password', start: 'pending without password', mostPasswords: 4 },
  { ...due, name: 'a shorter life demanded', longestLifeSeconds: 45 * DAY },
  { ...due, name: 'no room for a password', full: true, events: [{ afterSeconds: 5 * MINUTE, what: 'room' }] },
];

const none: Fault = {
  name: 'none',
  losesAnswer: false,
  propagationSeconds: 5,
  graphLagSeconds: 0,
  throttles: false,
  secondRotator: false,
  losesRecord: false,
  removesPending: false,
  shows: ['crashes'],
};

export const faults: readonly [Fault, ...Fault[]] = [
  none,
  { ...none, name: 'lost response', losesAnswer: true, shows: ['lostAnswers'] },
  { ...none, name: 'stale reads', graphLagSeconds: 120, shows: ['crashes', 'staleReads'] },
  { ...none, name: '60 s propagation', propagationSeconds: 60, shows: ['crashes', 'lateRefusals'] },
  { ...none, name: 'throttling', throttles: true, shows: ['crashes', 'throttled'] },
  {
    ...none,
    name: 'second rotator',
    secondRotator: true,
    shows: ['crashes', 'interleaved', 'conflicts', 'frozen'],
  },
  { ...none, name: 'lost record', losesRecord: true, shows: ['crashes', 'lostRecords'] },
  { ...none, name: 'pending removed by hand', removesPending: true, shows: ['crashes', 'removedByHand'] },
];
