import type { Clock } from '../clock.ts';
import { UpstreamError } from '../errors.ts';
import type { Fact, Password, Rotation, RotationRecord } from '../rotation/facts.ts';
import type { Records, RotationPorts, Vault } from '../rotation/ports.ts';
import type { Reason } from '../rotation/reasons.ts';
import { withRun } from '../rotation/runs.ts';
import { pendingName } from '../rotation/take-step.ts';
import { CliError } from './cli-error.ts';
import { rotationOf } from './findings.ts';
import { quoted, reasonInWords, type Subject } from './words.ts';

/** A password, and the rotation that takes it over. */
export interface Target {
  rotation: Rotation;
  password: Password;
}

/** The named state behind a fact that does not say what is there. */
const reasonOf = {
  current: { forbidden: 'vault_forbidden', disabled: 'secret_disabled', deleted: 'secret_deleted' },
  pending: { forbidden: 'vault_forbidden', disabled: 'pending_disabled', deleted: 'pending_deleted' },
} as const satisfies Record<string, Partial<Record<Fact<never>['kind'], Reason>>>;

/** Ends the import with a named state and its way out. */
export function refuseFact(reason: Reason | undefined, subject: Subject): never {
  const { means, asks } = reasonInWords(reason ?? 'unreadable', subject);
  throw new CliError(1, `${means}\n${asks ?? 'Run the same import again in a minute.'}`);
}

/**
 * Another rotation looks after this password: adopting it too would retire the secret under that one's consumers.
 *
 * @throws CliError
 */
export async function checkOwner({ rotation, password }: Target, records: Records): Promise<void> {
  const knows = ({ adopted, replaced, promoted }: RotationRecord) =>
    [...adopted, ...replaced, promoted].includes(password.keyId);
  const record = (await records.list()).find((one) => one.rotation !== rotation.name && knows(one));
  const owner = record?.rotation ?? rotationOf(password);
  if (owner === undefined || owner === rotation.name) return;
  throw new CliError(
    1,
    `The password ${password.keyId} is of the rotation ${quoted(owner)}, which has it in hand. To have it replaced because it has been on a disk, ask for that: POST /rotations/{name}.`,
  );
}

/**
 * The name is free, or holds this very secret, or an earlier run of this import has rotated it already.
 *
 * @returns whether the secret has to be written
 */
export async function checkName(
  { rotation, password }: Target,
  secretText: string,
  { vault, records }: RotationPorts,
  subject: Subject,
): Promise<'write' | 'written' | 'rotated'> {
  const { name } = rotation;
  const { record } = await records.read(name);
  const [current, pending] = await Promise.all([vault.look(name), vault.look(pendingName(name))]);
  if (current.kind !== 'found' && current.kind !== 'not_found') {
    const reasons: Partial<Record<typeof current.kind, Reason>> = reasonOf.current;
    return refuseFact(reasons[current.kind], subject);
  }
  if (pending.kind !== 'found' && pending.kind !== 'not_found') {
    const reasons: Partial<Record<typeof pending.kind, Reason>> = reasonOf.pending;
    return refuseFact(reasons[pending.kind], subject);
  }
  if (pending.kind === 'found' && pending.value.rotation !== name) {
    throw new CliError(1, `The Key Vault secret ${pendingName(name)} is somebody else’s. Choose another --name.`);
  }
  if (current.kind === 'not_found') return 'write';
  const { version, keyId, rotation: of } = current.value;
  const tagged = of === name && keyId === password.keyId;
  if (tagged) return 'written';
  if (of === name && [...record.adopted, ...record.replaced].includes(password.keyId)) return 'rotated';
  if ((await vault.readValue(name, version)) === secretText) return 'write';
  throw new CliError(
    1,
    `The Key Vault secret ${name} holds something else. Choose another --name; or, where ${name} is rotated already and this password is a spare one, remove it when nobody uses it: az ad app credential delete --id ${rotation.application} --key-id ${password.keyId}`,
  );
}

/** The tags say which password it is, as those of a rotation's own step do. */
export const writeSecret = ({ rotation: { name }, password }: Target, value: string, vault: Vault): Promise<void> =>
  vault.write(name, {
    value,
    expiresOn: password.endsOn,
    keyId: password.keyId,
    rotation: name,
    rotationId: 'imported',
  });

/** Another rotator may write the same record; it is never at work on it without a pause. */
const WRITE_TRIES = 6;

/** Tells the broker that the password is its own to retire, and asks for a rotation. The same import asks once. */
export async function remember(
  { rotation, password }: Target,
  rotated: boolean,
  records: Records,
  clock: Clock,
): Promise<void> {
  const { keyId } = password;
  const id = `import-${keyId}`;
  for (let tries = 1; ; tries++) {
    const { record, etag } = await records.read(rotation.name);
    const asked = record.runs.find((run) => run.id === id);
    const adopted = record.adopted.includes(keyId);
    if (adopted && asked !== undefined && (asked.doneAt !== undefined || record.addRefused === undefined)) return;
    const reason = 'requested' as const;
    const run = { id, reason, requestedAt: clock(), rotationId: undefined, doneAt: undefined };
    const changed: RotationRecord = {
      ...record,
      adopted: [...new Set([...record.adopted, keyId])],
      promoted: rotated ? record.promoted : keyId,
      runs: asked === undefined ? withRun(record.runs, run) : record.runs,
      // Who runs it again has changed what was refused.
      addRefused: undefined,
    };
    try {
      await records.write(changed, etag);
      return;
    } catch (error) {
      if (!(error instanceof UpstreamError) || error.kind !== 'conflict' || tries >= WRITE_TRIES) throw error;
    }
  }
}
