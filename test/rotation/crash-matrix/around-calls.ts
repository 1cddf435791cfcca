import type { UpstreamError } from '../../../src/errors.ts';
import type { RotationRecord } from '../../../src/rotation/facts.ts';
import type { RotationPorts, Stored } from '../../../src/rotation/ports.ts';

/**
 * Stands around every call of the ports, whatever it is: counts it, delays it, cuts it off. `perform` does the call. `name`
 * tells which; `asFact` turns a failure into the fact that the port answers with, where it has one.
 */
export type AroundCalls = <T>(
  name: string,
  perform: () => Promise<T>,
  asFact?: (error: UpstreamError) => T,
) => Promise<T>;

const unreadable = ({ retryAfterSeconds }: UpstreamError) => ({ kind: 'unreadable', retryAfterSeconds }) as const;

/** The fields that a write changes: what is not changed is the very value that was read. */
function changed(before: RotationRecord | undefined, after: RotationRecord): string {
  const old = new Map(Object.entries(before ?? {}));
  const names = Object.entries(after).flatMap(([name, value]) => (old.get(name) === value ? [] : [name]));
  return names.length === 0 ? 'nothing' : names.join('+');
}

/**
 * The same ports with `around` at every call. A port that gains a call does not compile until it is here. A write of
 * the record is named after what it changes: `records.write attempt+runs`.
 */
export function aroundCalls(ports: RotationPorts, around: AroundCalls): RotationPorts {
  const { applications, vault, records } = ports;
  const seen = new Map<string, RotationRecord>();
  const remember = (stored: Stored): Stored => {
    seen.set(stored.record.rotation, stored.record);
    return stored;
  };
  return {
    applications: {
      read: (id) => around('applications.read', () => applications.read(id), unreadable),
      addPassword: (id, wanted) => around('applications.addPassword', () => applications.addPassword(id, wanted)),
      removePassword: (id, key) => around('applications.removePassword', () => applications.removePassword(id, key)),
    },
    vault: {
      look: (name) => around(`vault.look ${name}`, () => vault.look(name), unreadable),
      readValue: (name, version) => around(`vault.readValue ${name}`, () => vault.readValue(name, version)),
      write: (name, secret) => around(`vault.write ${name}`, () => vault.write(name, secret)),
    },
    signIn: (principal, text) => around('signIn', () => ports.signIn(principal, text)),
    records: {
      list: () => around('records.list', () => records.list()),
      read: (rotation) => around('records.read', async () => remember(await records.read(rotation))),
      write: (record, etag) =>
        around(`records.write ${changed(seen.get(record.rotation), record)}`, async () =>
          remember(await records.write(record, etag)),
        ),
    },
  };
}
