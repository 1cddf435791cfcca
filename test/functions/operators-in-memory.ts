import type { HttpRequestInit } from '@azure/functions';
import { createRecorder } from '../../src/audit/recorder.ts';
import { refuseToken } from '../../src/callers/bearer.ts';
import type { VerifyCaller } from '../../src/callers/verify.ts';
import { type PolicyDocument, policySchema } from '../../src/config/policy-schema.ts';
import { toRotations } from '../../src/config/rotations.ts';
import { UpstreamError } from '../../src/errors.ts';
import { listRotations } from '../../src/functions/list-rotations.ts';
import { requestRotation } from '../../src/functions/request-rotation.ts';
import { rotation } from '../../src/functions/rotation.ts';
import { rotationRun } from '../../src/functions/rotation-run.ts';
import { createOperators } from '../../src/grants/operators.ts';
import { createRefuse } from '../../src/issuing/refuse.ts';
import { createRotationGroup, type RequestRecord, type RequestRecords } from '../../src/rotation/request-records.ts';
import { createRotationRequests } from '../../src/rotation/requests.ts';
import { finishRuns, joinRuns } from '../../src/rotation/runs.ts';
import { keyDetails, secretDetails } from '../../src/rotation/state.ts';
import { createRecords } from '../rotation/in-memory/records.ts';
import { aCaller, aPolicy } from '../support/builders.ts';
import { createMovableClock } from '../support/clock.ts';
import { createLogSpy, createMemoryAuditStore } from '../support/ports.ts';
import { callerToken, invoke } from './invoke.ts';

const application = 'd0000000-0000-4000-8000-0000000000a1';

/** Two secrets and one endpoint's keys to rotate; operators are apps with the role Operator. */
export function aRotationPolicy(
  parts: Partial<Pick<PolicyDocument, 'operators'>> & { deny?: object[] } = {},
): PolicyDocument {
  const { rotations } = policySchema.parse({
    issuers: {},
    rotations: {
      'trainer-password': {
        tenantId: '11111111-1111-4111-8111-111111111111',
        clientId: 'd0000000-0000-4000-8000-000000000001',
        application,
        rotateEvery: '30d',
        overlap: '20s',
      },
      'other-password': {
        tenantId: '11111111-1111-4111-8111-111111111111',
        clientId: 'd0000000-0000-4000-8000-000000000001',
        application,
        rotateEvery: '30d',
      },
      'fraud-keys': { endpointKeys: 'prod/fraud-scorer', rotateEvery: '7d' },
    },
  });
  const operators: PolicyDocument['operators'] = [{ issuer: 'contoso', class: 'app', roles: ['Operator'] }];
  return { ...aPolicy({ deny: parts.deny ?? [] }), rotations, operators: parts.operators ?? operators };
}

interface KeyRecord extends RequestRecord {
  turn: { inUse: string; since: Date } | undefined;
  /** `before` stands for whatever else a record holds: it is not shown. */
  regeneration: { key: string; why: string; begunAt: Date; before: string } | undefined;
}

/** Key records in memory; the store of the secrets' records stands beside the other doubles of rotation. */
function createKeyRecords(now: Date): RequestRecords<KeyRecord> {
  const rows = new Map<string, { record: KeyRecord; etag: string }>();
  return {
    list: async () => [...rows.values()].map(({ record }) => record),
    read: async (name) =>
      rows.get(name) ?? {
        record: {
          rotation: name,
          runs: [],
          status: undefined,
          turn: { inUse: 'primary', since: now },
          regeneration: { key: 'secondary', why: 'due', begunAt: now, before: 'hash-of-a-key' },
        },
        etag: undefined,
      },
    async write(record, etag) {
      if (rows.get(record.rotation)?.etag !== etag) throw new UpstreamError({ kind: 'conflict', service: 'tables' });
      rows.set(record.rotation, { record, etag: `key-etag-${rows.size + 1}-${record.runs.length}` });
    },
  };
}

/** The operators' functions on stores in memory, put together as main does. Whoever calls is an operator. */
export function setUpOperators(policy = aRotationPolicy()) {
  const time = createMovableClock();
  const { clock } = time;
  const { log, lines } = createLogSpy();
  const audit = createMemoryAuditStore();
  const writeAudit = createRecorder({ stores: [audit], log, report: () => undefined });
  const policyHash = 'hash-of-the-policy';
  const { secrets, endpointKeys } = toRotations(policy);
  const records = createRecords();
  const store = {
    /** Awaited before every call; may throw. */
    before: async (_call: 'list' | 'read' | 'write') => {},
    /** Awaited after every write that was done; may throw, as when its answer is lost. */
    afterWrite: async () => {},
    calls: [] as string[],
  };
  const take = async (call: 'list' | 'read' | 'write') => {
    store.calls.push(call);
    await store.before(call);
  };
  const watched: typeof records = {
    ...records,
    list: async () => take('list').then(() => records.list()),
    read: async (name) => take('read').then(() => records.read(name)),
    async write(record, etag) {
      await take('write');
      const stored = await records.write(record, etag);
      await store.afterWrite();
      return stored;
    },
  };
  const state = { caller: aCaller({ roles: ['Operator'] }), ids: 0 };
  const verifyCaller: VerifyCaller = async (token) => {
    if (token !== callerToken) throw refuseToken('signature');
    return state.caller;
  };
  const rotations = createRotationRequests({
    decideOperator: createOperators(policy),
    refuse: createRefuse({ policyHash, writeAudit, clock, log }),
    writeAudit,
    policyHash,
    groups: [
      createRotationGroup({ kind: 'secret', rotations: secrets, records: watched, details: secretDetails }),
      createRotationGroup({
        kind: 'endpointKeys',
        rotations: endpointKeys,
        records: createKeyRecords(clock()),
        details: keyDetails,
      }),
    ],
    publicUrl: 'https://broker.example',
    clock,
    newId: () => `00000000-0000-4000-8000-${String(++state.ids).padStart(12, '0')}`,
  });
  const broker = async () => ({ verifyCaller, rotations });
  const world = {
    time,
    lines,
    audit,
    state,
    store,
    records,
    rows: () => audit.batches.flat(),
    listRotations: listRotations(broker),
    rotation: rotation(broker),
    requestRotation: requestRotation(broker),
    rotationRun: rotationRun(broker),
    /** The rotator begins and ends a rotation: what is asked for by then is done. */
    rotate(name: string, rotationId: string) {
      records.change(name, { runs: joinRuns(records.peek(name).runs, rotationId) });
      records.change(name, { runs: finishRuns(records.peek(name).runs, rotationId, clock()) });
    },
    request: (name: string, key?: string, body: object = {}) =>
      invoke(world.requestRotation, aRequest({ rotation: name }, body, key)),
    run: (name: string, id: string) => invoke(world.rotationRun, aRead({ rotation: name, run: id })),
    show: (name: string) => invoke(world.rotation, aRead({ rotation: name })),
  };
  return world;
}

const authorization = `Bearer ${callerToken}`;

export function aRequest(params: Record<string, string>, body: object = {}, key?: string): HttpRequestInit {
  return {
    method: 'POST',
    params,
    headers: {
      authorization,
      'content-type': 'application/json',
      ...(key === undefined ? {} : { 'idempotency-key': key }),
    },
    body: { string: JSON.stringify(body) },
  };
}

export function aRead(params: Record<string, string> = {}): HttpRequestInit {
  return { method: 'GET', params, headers: { authorization } };
}
