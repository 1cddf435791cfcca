import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import * as z from 'zod';
import { READER_IDENTITY } from '../../sandbox/seed.ts';
import { managedIdentityCredential } from '../../src/azure/credentials.ts';
import { createRecordRows } from '../../src/azure/record-rows.ts';
import { createRecords } from '../../src/azure/rotation-records.ts';
import { createTables } from '../../src/azure/tables.ts';
import { newRecord, type RotationRecord } from '../../src/rotation/facts.ts';
import { describeRecordsContract } from '../rotation/contract/records.ts';
import { startAzure, type TestAzure, upstreamError } from './azure.ts';

let azure: TestAzure;

beforeAll(async () => {
  azure = await startAzure();
});
beforeEach(() => azure.reset());
afterAll(() => azure?.stop());

const tablesOf = (clientId?: string, url = azure.endpoints.tables) =>
  createTables('rotation records', url, managedIdentityCredential(clientId));
const anInstance = () => createRecords(tablesOf());
const rows = () => tablesOf().table('rotations');

describeRecordsContract('Table Storage on the sandbox', async () => ({
  records: anInstance(),
  others: anInstance(),
  lose: async (rotation) => void (await rows().deleteEntity('secret', rotation)),
}));

/** The stored JSON of a row. */
async function textOf(rotation: string): Promise<string> {
  return z.looseObject({ record: z.string() }).parse(await rows().getEntity('secret', rotation)).record;
}

/** Replaces the stored row, as somebody would who may write the table. */
const overwrite = (rotation: string, columns: object) =>
  rows().upsertEntity({ partitionKey: 'secret', rowKey: rotation, ...columns }, 'Replace');

const aStored = async (rotation: string, changes: Partial<RotationRecord> = {}) =>
  anInstance().write({ ...newRecord(rotation), ...changes }, undefined);

const conflict = upstreamError({ kind: 'conflict' });

describe('rotation records: a row that cannot be read is not an empty one', () => {
  const edited = (change: (record: Record<string, unknown>) => object) => (text: string) => {
    const record = z.record(z.string(), z.unknown()).parse(JSON.parse(text));
    return { record: JSON.stringify(change(record)) };
  };

  it.each<[string, (text: string) => object]>([
    ['is no JSON', (text) => ({ record: text.slice(0, -1) })],
    ['is JSON but no record', () => ({ record: '[]' })],
    ['has no record', () => ({ other: 'column' })],
    ['has a record that is no text', () => ({ record: 42 })],
    ['lost a field', edited(({ replaced: _, ...rest }) => rest)],
    ['has a field of a newer broker', edited((record) => ({ ...record, successor: null }))],
    [
      'has a field of a newer broker inside',
      edited((record) => ({ ...record, shortened: { of: 1, to: 1, by: 'us' } })),
    ],
    ['has a time that is none', edited((record) => ({ ...record, attempt: { rotationId: 'x', begunAt: 'soon' } }))],
    ['is the row of another rotation', edited((record) => ({ ...record, rotation: 'another' }))],
  ])('%s', async (what, edit) => {
    const rotation = what.replaceAll(/\W+/g, '-');
    const { record, etag } = await aStored(rotation);
    await overwrite(rotation, edit(await textOf(rotation)));
    const records = anInstance();
    await expect(records.read(rotation)).rejects.toMatchObject(upstreamError({ kind: 'unexpected' }));
    // It is not overwritten either: not by a first write, nor with an old mark.
    await expect(records.write(record, undefined)).rejects.toMatchObject(conflict);
    await expect(records.write(record, etag)).rejects.toMatchObject(conflict);
  });

  it('and holds up no other: the list has all that can be read', async () => {
    await aStored('readable', { promoted: 'key-1' });
    await aStored('unreadable');
    await overwrite('unreadable', { record: '{' });
    const listed = new Map((await anInstance().list()).map((record) => [record.rotation, record]));
    expect(listed.get('readable')).toMatchObject({ promoted: 'key-1' });
    expect(listed.has('unreadable')).toBe(false);
  });

  it('but a status with a reason of another version is left out: nothing depends on it', async () => {
    const at = new Date('2026-11-22T10:00:00.000Z');
    const rest = { nextAt: at, expiresOn: undefined, lastStep: undefined, error: undefined };
    await aStored('old-reason', { promoted: 'key-1', status: { at, reason: 'settled', ...rest } });
    const text = await textOf('old-reason');
    await overwrite('old-reason', { record: text.replace('"settled"', '"resting"') });
    const { record } = await anInstance().read('old-reason');
    expect(record).toEqual({ ...newRecord('old-reason'), promoted: 'key-1' });
  });
});

describe('rotation records: what is not written', () => {
  it('is a record that does not fit a row: it fails by name, and the stored one stays', async () => {
    const { record, etag } = await aStored('large');
    const room = 32_768 - (await textOf('large')).length - 2;
    const filled = await anInstance().write({ ...record, replaced: ['x'.repeat(room)] }, etag);
    expect(await textOf('large')).toHaveLength(32_768);
    const tooLarge = { ...record, replaced: ['x'.repeat(room + 1)] };
    await expect(anInstance().write(tooLarge, filled.etag)).rejects.toMatchObject(
      upstreamError({ service: 'rotation records', kind: 'unexpected', upstreamCode: 'record_too_large' }),
    );
    expect(await anInstance().read('large')).toEqual(filled);
  });

  it('is a record that could not be read again', async () => {
    const shortened = { of: Number.NaN, to: 1 };
    await expect(aStored('not-a-number', { shortened })).rejects.toMatchObject(upstreamError({ kind: 'unexpected' }));
    expect(await anInstance().read('not-a-number')).toMatchObject({ etag: undefined });
  });
});

describe('rotation records: the table', () => {
  /** Takes the table away; making it again is then up to the writers. */
  const dropTable = async () => {
    await tablesOf().drop('rotations');
    await azure.reset();
  };

  it('is made by the first write; until then there are no records', async () => {
    const { record, etag } = await aStored('with-table');
    await dropTable();
    const records = anInstance();
    expect(await records.list()).toEqual([]);
    expect(await records.read('with-table')).toEqual({ record: newRecord('with-table'), etag: undefined });
    await expect(records.write(record, etag)).rejects.toMatchObject(conflict);
    expect((await azure.calls('tables')).some(({ method }) => method === 'POST')).toBe(false);
    const stored = await records.write(record, undefined);
    expect(await anInstance().read('with-table')).toEqual(stored);
  });

  it('is made by two first writers at once: one has the row, one a conflict', async () => {
    await dropTable();
    const writes = [anInstance(), anInstance()].map((records) => records.write(newRecord('both'), undefined));
    const outcomes = await Promise.allSettled(writes);
    expect(outcomes.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected']);
    expect(outcomes.find(({ status }) => status === 'rejected')).toMatchObject({ reason: conflict });
  });

  it('has the records of other kinds in partitions of their own', async () => {
    const other = createRecordRows({
      tables: tablesOf(),
      partition: 'endpoint-keys',
      schema: z.strictObject({ rotation: z.string(), turns: z.int() }),
      empty: (rotation) => ({ rotation, turns: 0 }),
    });
    await aStored('same-name');
    expect(await other.read('same-name')).toEqual({ record: { rotation: 'same-name', turns: 0 }, etag: undefined });
    const stored = await other.write({ rotation: 'same-name', turns: 1 }, undefined);
    expect(await other.list()).toEqual([stored.record]);
    expect((await anInstance().read('same-name')).record).toEqual(newRecord('same-name'));
  });
});

describe('rotation records: refusals are told apart', () => {
  it('forbidden: our identity has no role', async () => {
    const records = createRecords(tablesOf(READER_IDENTITY.clientId));
    for (const call of [records.list, () => records.read('any'), () => records.write(newRecord('any'), undefined)]) {
      await expect(call()).rejects.toMatchObject(upstreamError({ kind: 'forbidden', status: 403 }));
    }
  });

  it.each([
    ['throttled', { status: 429, retryAfterSeconds: 7 }, 7],
    ['unavailable', { status: 503, retryAfterSeconds: 9 }, 9],
    ['not_found', { status: 404, code: 'ResourceTypeNotFound' }, undefined],
  ] as const)('%s is never "no record"', async (kind, fault, retryAfterSeconds) => {
    await azure.fault({ service: 'tables', ...fault });
    const records = anInstance();
    for (const call of [records.list, () => records.read('any'), () => records.write(newRecord('any'), undefined)]) {
      await expect(call()).rejects.toMatchObject(upstreamError({ kind, status: fault.status, retryAfterSeconds }));
    }
  });

  it('a table that is being deleted is no conflict: nobody wrote', async () => {
    await azure.fault({ service: 'tables', match: 'POST', status: 409, code: 'TableBeingDeleted' });
    await expect(aStored('table-goes')).rejects.toMatchObject(
      upstreamError({ kind: 'unavailable', status: 409, upstreamCode: 'TableBeingDeleted' }),
    );
  });

  it('a write whose answer is lost fails, and its mark is not good for another', async () => {
    const { record, etag } = await aStored('lost-answer');
    await azure.fault({ service: 'tables', match: 'PUT', commitThenDrop: true });
    const changed = { ...record, promoted: 'key-1' };
    await expect(anInstance().write(changed, etag)).rejects.toMatchObject(upstreamError({ kind: 'unavailable' }));
    await azure.clearFaults();
    expect(await anInstance().read('lost-answer')).toMatchObject({ record: changed });
    await expect(anInstance().write(changed, etag)).rejects.toMatchObject(conflict);
  });
});
