import type { AuditRecord } from '../../src/audit/record.ts';
import type { AuditStore } from '../../src/audit/recorder.ts';
import { addSeconds, type Clock } from '../../src/clock.ts';
import type {
  Endpoint,
  EndpointToken,
  KeyName,
  MachineLearning,
  StoredToken,
  TokenStore,
} from '../../src/freshness/ports.ts';
import { createLog, type Log } from '../../src/log.ts';
import { upstream } from './builders.ts';

export interface Deferred {
  promise: Promise<void>;
  resolve(): void;
}

/** A promise that the test settles. */
export function createDeferred(): Deferred {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { promise, resolve: () => resolve() };
}

/** Lets everything run that needs nothing but its turn. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 50; turn++) await Promise.resolve();
}

export interface LogSpy {
  log: Log;
  /** What was written, one line an event, each after its level. */
  lines: string[];
}

export function createLogSpy(): LogSpy {
  const lines: string[] = [];
  const write = (level: string) => (line: string) => {
    lines.push(`${level} ${line}`);
  };
  return { log: createLog({ info: write('info'), warn: write('warn'), error: write('error') }), lines };
}

export interface FakeMachineLearning extends MachineLearning {
  /** Which endpoints there are, by workspace_name. */
  endpoints: Map<string, Endpoint[]>;
  /** Thrown by every call while it is set. */
  fault: Error | undefined;
  /** Awaited by every call before it answers. */
  before: () => Promise<unknown>;
  tokenSeconds: number;
  refreshAfterSeconds: number;
  /** The text of the next tokens, instead of one that says which it is. */
  tokenText: ((name: string, serial: number) => string) | undefined;
  /** `operation name`, in the order of the calls. */
  calls: string[];
  issued: EndpointToken[];
  /** How often each key was regenerated, by `name key`. */
  regenerated: Map<string, number>;
  /** What the next regenerations come to; only `ended` changes the key. */
  regeneration: 'ended' | 'running' | 'busy';
}

/** Azure ML in memory: knows its endpoints, gives a new token on every call, and keeps keys until they are regenerated. */
export function createFakeMachineLearning(clock: Clock): FakeMachineLearning {
  const answer = async (call: string) => {
    fake.calls.push(call);
    await fake.before();
    if (fake.fault !== undefined) throw fake.fault;
  };
  const keyOf = (name: string, key: KeyName) => {
    const times = fake.regenerated.get(`${name} ${key}`) ?? 0;
    return `${key}-key-of-${name}${times === 0 ? '' : `-${times + 1}`}`;
  };
  const fake: FakeMachineLearning = {
    endpoints: new Map(),
    fault: undefined,
    before: async () => undefined,
    tokenSeconds: 3600,
    refreshAfterSeconds: 1800,
    tokenText: undefined,
    calls: [],
    issued: [],
    regenerated: new Map(),
    regeneration: 'ended',
    async listEndpoints({ workspace_name: workspace }) {
      await answer(`listEndpoints ${workspace}`);
      return [...(fake.endpoints.get(workspace) ?? [])];
    },
    async getEndpoint({ workspace_name: workspace }, name) {
      await answer(`getEndpoint ${name}`);
      const found = fake.endpoints.get(workspace)?.find((endpoint) => endpoint.name === name);
      if (found === undefined) throw upstream('not_found', { status: 404 });
      return found;
    },
    async getToken(_workspace, name) {
      await answer(`getToken ${name}`);
      const obtainedAt = clock();
      const serial = fake.issued.length + 1;
      const token = {
        accessToken: fake.tokenText?.(name, serial) ?? `secret-token-${serial}-of-${name}`,
        obtainedAt,
        refreshBy: addSeconds(obtainedAt, fake.refreshAfterSeconds),
        expiresOn: addSeconds(obtainedAt, fake.tokenSeconds),
      };
      fake.issued.push(token);
      return token;
    },
    async listKeys(_workspace, name) {
      await answer(`listKeys ${name}`);
      return { primaryKey: keyOf(name, 'primary'), secondaryKey: keyOf(name, 'secondary') };
    },
    async regenerateKey(_workspace, name, key) {
      await answer(`regenerateKey ${name} ${key}`);
      const times = fake.regenerated.get(`${name} ${key}`) ?? 0;
      if (fake.regeneration === 'ended') fake.regenerated.set(`${name} ${key}`, times + 1);
      return fake.regeneration;
    },
  };
  return fake;
}

export interface MemoryTokenStore extends TokenStore {
  rows: Map<string, StoredToken>;
  /** Thrown by every call while it is set. */
  fault: Error | undefined;
  /** Awaited by every call before it touches a row. */
  before: () => Promise<unknown>;
  /** The operations, in the order of the calls. */
  calls: ('read' | 'write' | 'remove')[];
}

/** The shared store without sealing: one row for each endpoint and identity, the last write wins. */
export function createMemoryTokenStore(): MemoryTokenStore {
  const keyOf = (endpointId: string, identity: string) => `${endpointId} ${identity}`;
  const take = async (call: 'read' | 'write' | 'remove') => {
    store.calls.push(call);
    await store.before();
    if (store.fault !== undefined) throw store.fault;
  };
  const store: MemoryTokenStore = {
    rows: new Map(),
    fault: undefined,
    before: async () => undefined,
    calls: [],
    async read(endpointId, identity) {
      await take('read');
      return store.rows.get(keyOf(endpointId, identity));
    },
    async write(stored) {
      await take('write');
      store.rows.set(keyOf(stored.endpoint.id, stored.identity), stored);
    },
    async remove(endpointId, identity) {
      await take('remove');
      store.rows.delete(keyOf(endpointId, identity));
    },
  };
  return store;
}

export interface MemoryAuditStore extends AuditStore {
  fault: Error | undefined;
  before: () => Promise<unknown>;
  /** What was accepted, batch by batch. */
  batches: AuditRecord[][];
  /** How many records each attempt held, accepted or not. */
  attempts: number[];
}

export function createMemoryAuditStore(name = 'audit 1'): MemoryAuditStore {
  const store: MemoryAuditStore = {
    name,
    fault: undefined,
    before: async () => undefined,
    batches: [],
    attempts: [],
    async append(records) {
      store.attempts.push(records.length);
      await store.before();
      if (store.fault !== undefined) throw store.fault;
      store.batches.push([...records]);
    },
  };
  return store;
}

/** What a promise was rejected with; the test fails here when it was not. */
export async function rejectionOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    (value) => {
      throw new Error(`resolved with ${JSON.stringify(value)} instead of a rejection`);
    },
    (error: unknown) => error,
  );
}
