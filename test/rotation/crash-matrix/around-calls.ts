import type { UpstreamError } from '../../../src/errors.ts';
import type { RotationPorts } from '../../../src/rotation/ports.ts';

/** Stands around every call of the ports, whatever it is: counts it, delays it, cuts it off. */
export interface AroundCalls {
  /**
   * `perform` does the call. `name` tells which; `asFact` turns a failure into the fact that the port answers with,
   * where it has one.
   */
  <T>(name: string, perform: () => Promise<T>, asFact?: (error: UpstreamError) => T): Promise<T>;
}

const unreadable = ({ retryAfterSeconds }: UpstreamError) => ({ kind: 'unreadable', retryAfterSeconds }) as const;

/** The same ports with `around` at every call. A port that gains a call does not compile until it is here. */
export function aroundCalls(ports: RotationPorts, around: AroundCalls): RotationPorts {
  const { applications, vault, records } = ports;
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
      read: (rotation) => around('records.read', () => records.read(rotation)),
      write: (record, etag) => around('records.write', () => records.write(record, etag)),
    },
  };
}
