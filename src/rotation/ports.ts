import type { Application, Fact, Password, RotationRecord, SecretVersion } from './facts.ts';

/** What rotation needs of Azure, in its own words. Every call may fail with UpstreamError. */

/** Graph: the passwords of one application. Reads may lag writes. */
export interface Applications {
  read(objectId: string): Promise<Fact<Application>>;
  /**
   * Makes a password; Graph picks its text and shows it this once. Not idempotent: a lost answer leaves a password whose
   * text nobody knows. `lifetime_refused`: the tenant's policy allows no such life; `no_room`: the application holds too
   * many credentials already. Both mean that nothing was made.
   */
  addPassword(
    objectId: string,
    wanted: { displayName: string; endsOn: Date },
  ): Promise<{ made: Password; secretText: string } | 'lifetime_refused' | 'no_room'>;
  /** One that is gone already counts as removed. */
  removePassword(objectId: string, keyId: string): Promise<void>;
}

/** A secret's version to be written. */
export interface SecretWrite {
  value: string;
  expiresOn: Date;
  keyId: string;
  rotation: string;
  rotationId: string;
}

/** Key Vault: no conditional writes, so the last writer wins. */
export interface Vault {
  /** The current version; never its value. */
  look(name: string): Promise<Fact<SecretVersion>>;
  /** The value of exactly this version, or undefined where another is current by now. */
  readValue(name: string, version: string): Promise<string | undefined>;
  write(name: string, secret: SecretWrite): Promise<void>;
}

/** Entra: one sign-in on a connection of its own. Throws where the answer says nothing about the secret. */
export type SignIn = (
  principal: { tenantId: string; clientId: string },
  secretText: string,
) => Promise<'signed_in' | 'unknown' | 'expired'>;

/** A record and the mark that a write of it must match. */
export interface Stored {
  record: RotationRecord;
  etag: string | undefined;
}

/** The shared store of records: writes are conditional, so of two rotators only one moves a rotation on. */
export interface Records {
  /** All records, in one call; those of rotations that the policy no longer has are among them. */
  list(): Promise<readonly RotationRecord[]>;
  /** The record; a new, empty one without a mark where none is stored. */
  read(rotation: string): Promise<Stored>;
  /** @throws UpstreamError `conflict` when another wrote since the read */
  write(record: RotationRecord, etag: string | undefined): Promise<Stored>;
}

export interface RotationPorts {
  applications: Applications;
  vault: Vault;
  signIn: SignIn;
  records: Records;
}
