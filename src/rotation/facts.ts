import type { Run, Status } from './runs.ts';

/** What one look shows of a rotation. The plan decides on this and nothing else; no secret text is in it. */

/** One service principal secret and its schedule, as the policy has it. */
export interface Rotation {
  /** The name in the policy: also the Key Vault secret's. */
  name: string;
  tenantId: string;
  clientId: string;
  /** Object id of the application in Graph. */
  application: string;
  rotateEverySeconds: number;
  /** Life asked for a new password. */
  lifetimeSeconds: number;
  /** How long the previous secret keeps signing in after its successor became current. */
  overlapSeconds: number;
}

/** A password as Graph lists it: never with its text. */
export interface Password {
  keyId: string;
  displayName: string | undefined;
  startsOn: Date;
  endsOn: Date;
}

export interface Application {
  appId: string;
  passwords: readonly Password[];
}

/** A secret's current version, without its value. */
export interface SecretVersion {
  version: string;
  createdOn: Date;
  expiresOn: Date | undefined;
  /** Tags that the broker writes; absent where somebody else wrote the version. */
  keyId: string | undefined;
  rotation: string | undefined;
  rotationId: string | undefined;
  /** How many versions the secret has, as counted when this one was written; undefined where somebody else wrote it. */
  versions: number | undefined;
}

/**
 * "There is none", "it is disabled", "it is soft-deleted", "we may not" and "it could not be read" are different facts:
 * only the first one means that something does not exist.
 */
export type Fact<T> =
  | { kind: 'found'; value: T }
  | { kind: 'not_found' }
  | { kind: 'disabled' }
  | { kind: 'deleted' }
  | { kind: 'forbidden' }
  | { kind: 'unreadable'; retryAfterSeconds: number | undefined };

/** Sign-ins with one password, each on a connection of its own. */
export interface Proof {
  keyId: string;
  /** `pending`: before the password becomes current; `current`: read back after. */
  of: 'pending' | 'current';
  /** In a row; a refusal begins the count again, not the rotation. */
  successes: number;
  firstAt: Date | undefined;
  lastTriedAt: Date | undefined;
  /** The last try was refused as expired or unknown. */
  refused: 'unknown' | 'expired' | undefined;
}

export type Why =
  | 'requested'
  | 'compromised'
  | 'first'
  | 'edited'
  | 'gone'
  | 'expired'
  | 'expiring'
  | 'due'
  | 'text_lost';

/** One try at a new password. */
export interface Attempt {
  rotationId: string;
  why: Why;
  begunAt: Date;
  /** Written before addPassword is called: whether Graph committed is not known until pending carries the id. */
  addTriedAt: Date | undefined;
}

/** What the broker remembers of a rotation between looks. Losing it costs time, never safety. */
export interface RotationRecord {
  rotation: string;
  attempt: Attempt | undefined;
  proof: Proof | undefined;
  /** Requests of operators, the oldest first. */
  runs: readonly Run[];
  /** The password whose promotion was last written down; the current version names it unless this record is older. */
  promoted: string | undefined;
  /** Passwords that have been current before: their overlap counts from their successor. */
  replaced: readonly string[];
  /** Passwords that the broker was told to retire although another made them. */
  adopted: readonly string[];
  /** The tenant's policy refused a life of `of` seconds (the config's); `to` is tried instead. */
  shortened: { of: number; to: number } | undefined;
  /** Graph would not make the attempt's password, and a person has to act; `of`: the config's lifetime then. */
  addRefused: { why: 'lifetime_refused' | 'too_many_passwords'; of: number; at: Date } | undefined;
  /** What the last look found, for people and for the order of the next round. */
  status: Status | undefined;
}

/** What is remembered of a rotation that nothing is remembered of. */
export const newRecord = (rotation: string): RotationRecord => ({
  rotation,
  attempt: undefined,
  proof: undefined,
  runs: [],
  promoted: undefined,
  replaced: [],
  adopted: [],
  shortened: undefined,
  addRefused: undefined,
  status: undefined,
});

export interface Facts {
  now: Date;
  rotation: Rotation;
  record: RotationRecord;
  application: Fact<Application>;
  current: Fact<SecretVersion>;
  pending: Fact<SecretVersion>;
}

export interface PlanLimits {
  /** K, at least 1. */
  proofs: number;
  /** PROOF_SPREAD_SECONDS: from the first to the last of the K sign-ins. */
  spreadSeconds: number;
  /** Twice functionTimeout: no step of an older attempt can still be under way. */
  orphanGraceSeconds: number;
}

/** The display name's part that all passwords of a rotation share. */
export const markOf = (rotation: string): string => `aml-token-broker/${rotation}/`;
