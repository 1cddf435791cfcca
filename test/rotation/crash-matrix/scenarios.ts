import type { PlanLimits, Rotation } from '../../../src/rotation/facts.ts';

/** What is rotated, and how the timer comes back after a crash. */
export interface Scenario {
  name: string;
  rotation: Rotation;
  limits: PlanLimits;
  /** How long no timer fires after the crash; 0: the next tick is the first. */
  pauseSeconds: number;
  /** An operator asks for one more rotation so long after the start, inside the first one's overlap. */
  requestAfterSeconds: number | undefined;
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
  secondRotator: boolean;
  /** The rotation's record is deleted at the point. */
  losesRecord: boolean;
  /** Somebody removes the pending password in the portal at the point, and no timer fires for 25 minutes. */
  removesPending: boolean;
}

const DAY = 86_400;
const HOUR = 3_600;
const MINUTE = 60;

const limits: PlanLimits = { proofs: 3, spreadSeconds: 60, orphanGraceSeconds: 20 * MINUTE };

function scenario(
  name: string,
  overlapSeconds: number,
  pauseSeconds: number,
  requestAfterSeconds: number | undefined,
): Scenario {
  const rotation: Rotation = {
    name: 'trainer-password',
    tenantId: 'tenant',
    clientId: 'trainer',
    application: 'trainer-object',
    rotateEverySeconds: 30 * DAY,
    lifetimeSeconds: 90 * DAY,
    overlapSeconds,
  };
  return { name, rotation, limits, pauseSeconds, requestAfterSeconds };
}

export const scenarios: readonly Scenario[] = [
  scenario('overlap 1 h', HOUR, 0, undefined),
  scenario('overlap 1 h, next tick 25 min later', HOUR, 25 * MINUTE, undefined),
  scenario('overlap 20 s', 20, 0, undefined),
  scenario('overlap 20 s, next tick 25 min later', 20, 25 * MINUTE, undefined),
  scenario('a second rotation asked for in the overlap', HOUR, 0, 10 * MINUTE),
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
};

export const faults: readonly Fault[] = [
  none,
  { ...none, name: 'lost response', losesAnswer: true },
  { ...none, name: 'stale reads', graphLagSeconds: 120 },
  { ...none, name: '60 s propagation', propagationSeconds: 60 },
  { ...none, name: 'throttling', throttles: true },
  { ...none, name: 'second rotator', secondRotator: true },
  { ...none, name: 'lost record', losesRecord: true },
  { ...none, name: 'pending removed by hand', removesPending: true },
];
