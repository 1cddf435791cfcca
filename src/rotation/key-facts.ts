import type { AuthMode, KeyName } from '../freshness/ports.ts';
import type { Fact } from './facts.ts';
import type { Run, Status } from './runs.ts';

/** What one look shows of an endpoint whose keys rotate by turns. Keys are known by their hashes alone. */

/** One endpoint's keys and their schedule, as the policy has it. */
export interface KeyRotation {
  /** The name in the policy. */
  name: string;
  /** The workspace's name in the policy. */
  workspace: string;
  /** The endpoint's name, lower case. */
  endpoint: string;
  rotateEverySeconds: number;
  /** How long the key that was in use works on after the turn, at least. */
  overlapSeconds: number;
}

/** Which key is handed out, since when, and on what terms: what callers were told follows from this alone. */
export interface Turn {
  inUse: KeyName;
  since: Date;
  /** A namesake made later, or another endpoint under the rotation's name, has other keys. */
  endpoint: { id: string; createdAt: string };
  /** The policy's values that callers were promised by; a change of the policy is written here before it counts. */
  rotateEverySeconds: number;
  overlapSeconds: number;
}

/** One key on its way to another value. */
export interface Regeneration {
  id: string;
  key: KeyName;
  why: 'due' | Run['reason'];
  /** The key that was in use, renewed after a turn because it is compromised: nothing becomes current by it. */
  afterTurn: boolean;
  begunAt: Date;
  /** SHA-256 of the key's value before, hex: another value means that it is done, whoever saw the answer. */
  before: string;
  /** Written before Azure ML is asked. */
  triedAt: Date | undefined;
  /**
   * What the try came to: `running`: Azure ML took it; `ended`: its end was seen; `busy`: Azure ML was at work on the
   * endpoint; `forbidden`; `unknown`: no answer is in hand.
   */
  outcome: 'unknown' | 'running' | 'ended' | 'busy' | 'forbidden';
  /** A try before the last may have been taken too: then one change of the value may be its work, and another to come. */
  inDoubt: boolean;
}

/** What the broker remembers of an endpoint's keys between looks. */
export interface KeyRecord {
  rotation: string;
  /** Undefined until the first look. */
  turn: Turn | undefined;
  /** No key is regenerated before this instant: callers were told that it works until then. */
  promisedUntil: Readonly<Record<KeyName, Date | undefined>>;
  regeneration: Regeneration | undefined;
  /** Requests of operators, the oldest first. */
  runs: readonly Run[];
  status: Status | undefined;
}

/** What is remembered of a rotation that nothing is remembered of. */
export const newKeyRecord = (rotation: string): KeyRecord => ({
  rotation,
  turn: undefined,
  promisedUntil: { primary: undefined, secondary: undefined },
  regeneration: undefined,
  runs: [],
  status: undefined,
});

export const otherKey = (key: KeyName): KeyName => (key === 'primary' ? 'secondary' : 'primary');

type KeyFact<T> = Exclude<Fact<T>, { kind: 'disabled' | 'deleted' }>;

export interface SeenEndpoint {
  id: string;
  createdAt: string;
  authMode: AuthMode;
}

export interface KeyFacts {
  now: Date;
  rotation: KeyRotation;
  record: KeyRecord;
  endpoint: KeyFact<SeenEndpoint>;
  /** SHA-256 of each value, hex; undefined where the endpoint was not found in key mode. */
  keys: KeyFact<Readonly<Record<KeyName, string>>> | undefined;
}
