import { TableClient, type TableEntity, type TransactionAction } from '@azure/data-tables';
import { describe, expect, it } from 'vitest';
import { createAuditStore, keepAuditTables } from '../../src/azure/audit-store.ts';
import type { Tables } from '../../src/azure/tables.ts';
import { aCaller, aRecord, upstream } from '../support/builders.ts';
import { rejectionOf } from '../support/ports.ts';

/** What was written: `create` or `transaction`, the table, and the rows. */
type Write = ['create' | 'transaction', string, object[]];

/** How a transaction of so many rows is answered, row by row. */
type RowStatuses = (rows: number) => number[];

class RecordingTable extends TableClient {
  readonly writes: Write[];
  readonly rowStatuses: RowStatuses;

  constructor(name: string, writes: Write[], rowStatuses: RowStatuses) {
    super('https://account.table.core.windows.net', name, { getToken: async () => null });
    this.writes = writes;
    this.rowStatuses = rowStatuses;
  }

  override async createEntity<T extends object>(entity: TableEntity<T>) {
    this.writes.push(['create', this.tableName, [entity]]);
    return {};
  }

  override async submitTransaction(actions: TransactionAction[]) {
    const rows = actions.map(([kind, entity]) => {
      expect(kind).toBe('create');
      return entity;
    });
    this.writes.push(['transaction', this.tableName, rows]);
    const subResponses = this.rowStatuses(rows.length).map((status) => ({ status }));
    return { status: 202, subResponses, getResponseForEntity: () => undefined };
  }
}

interface FakeTables extends Tables {
  writes: Write[];
  rowStatuses: RowStatuses;
  existing: string[];
  /** `ensure audit202611`, `drop …`, in their order. */
  kept: string[];
  fault: Error | undefined;
}

function createFakeTables(existing: string[] = []): FakeTables {
  const writes: Write[] = [];
  const keep = async (what: string) => {
    if (tables.fault !== undefined) throw tables.fault;
    tables.kept.push(what);
  };
  const tables: FakeTables = {
    writes,
    rowStatuses: (rows) => Array(rows).fill(204),
    existing,
    kept: [],
    fault: undefined,
    table: (name) => new RecordingTable(name, writes, tables.rowStatuses),
    ensure: (name) => keep(`ensure ${name}`),
    drop: (name) => keep(`drop ${name}`),
    list: async (prefix) => tables.existing.filter((name) => name.startsWith(prefix)),
  };
  return tables;
}

function setUp() {
  const tables = createFakeTables();
  let serial = 0;
  const store = createAuditStore({
    tables,
    name: 'audit 1',
    instanceId: 'instance-1',
    newId: () => `id-${++serial}`,
  });
  return { store, tables, writes: tables.writes };
}

const at = (text: string) => new Date(text);

describe('audit rows', () => {
  it('are flat, with the caller’s ids beside what was decided', async () => {
    const { store, writes } = setUp();
    const { issuer, class: callerClass, objectId, appId, subject, tenantId, tokenId } = aCaller();
    const record = aRecord({
      at: at('2026-11-22T10:11:12.345Z'),
      caller: { issuer, class: callerClass, objectId, appId, subject, tenantId, tokenId },
      target: 'prod/fraud-aml token',
      grant: 'checkout-uses-fraud',
      identity: 'reader',
      tokenSha256: 'ab'.repeat(32),
      tokenId: 'uti',
      expiresOn: at('2026-11-22T11:00:00.000Z'),
    });
    await store.append([record]);
    expect(writes).toEqual([
      [
        'create',
        'audit202611',
        [
          {
            partitionKey: '2026-11-22T10-instance-1',
            rowKey: '2026-11-22T10:11:12.345Z-id-1',
            at: record.at,
            correlationId: 'correlation',
            decision: 'issued',
            target: 'prod/fraud-aml token',
            grant: 'checkout-uses-fraud',
            identity: 'reader',
            tokenSha256: 'ab'.repeat(32),
            tokenId: 'uti',
            expiresOn: record.expiresOn,
            policyHash: 'hash-of-the-policy',
            callerIssuer: issuer,
            callerClass,
            callerTenantId: tenantId,
            callerObjectId: objectId,
            callerAppId: appId,
            callerSubject: subject,
            callerTokenId: tokenId,
          },
        ],
      ],
    ]);
  });

  it('leave out what is not known: Table Storage has no such thing as undefined', async () => {
    const { store, writes } = setUp();
    const { issuer, class: callerClass, objectId, appId, subject, tenantId } = aCaller();
    const caller = { issuer, class: callerClass, objectId, appId, subject, tenantId, tokenId: undefined };
    await store.append([aRecord({ decision: 'refused', caller })]);
    await store.append([aRecord({ decision: 'checked' })]);
    const rows = writes.flatMap(([, , written]) => written);
    expect(rows).toHaveLength(2);
    for (const row of rows) expect(Object.values(row)).not.toContain(undefined);
    expect(Object.keys(rows[1] ?? {}).filter((name) => name.startsWith('caller'))).toEqual([]);
  });

  it('of one hour go in one transaction, each with a key of its own', async () => {
    const { store, writes } = setUp();
    const instant = at('2026-11-22T10:00:00.000Z');
    await store.append([aRecord({ at: instant }), aRecord({ at: instant }), aRecord({ at: instant })]);
    expect(writes).toHaveLength(1);
    expect(writes[0]).toMatchObject([
      'transaction',
      'audit202611',
      ['id-1', 'id-2', 'id-3'].map((id) => ({
        partitionKey: '2026-11-22T10-instance-1',
        rowKey: `2026-11-22T10:00:00.000Z-${id}`,
      })),
    ]);
  });

  it('of two hours go in two, because a transaction has one partition', async () => {
    const { store, writes } = setUp();
    await store.append([
      aRecord({ at: at('2026-11-22T10:59:59.999Z') }),
      aRecord({ at: at('2026-11-22T11:00:00.000Z') }),
      aRecord({ at: at('2026-11-22T10:59:59.998Z') }),
    ]);
    expect(writes).toMatchObject([
      ['transaction', 'audit202611', [{ partitionKey: '2026-11-22T10-instance-1' }, {}]],
      ['create', 'audit202611', [{ partitionKey: '2026-11-22T11-instance-1' }]],
    ]);
  });

  it('go to the table of their month, over the end of a year', async () => {
    const { store, writes } = setUp();
    await store.append([
      aRecord({ at: at('2026-12-31T23:59:59.999Z') }),
      aRecord({ at: at('2027-01-01T00:00:00.000Z') }),
    ]);
    expect(writes.map(([, table]) => table)).toEqual(['audit202612', 'audit202701']);
  });

  it('have keys that Table Storage takes', async () => {
    const { store, writes } = setUp();
    await store.append([aRecord(), aRecord()]);
    for (const row of writes.flatMap(([, , rows]) => rows)) {
      expect(row).toMatchObject({
        partitionKey: expect.stringMatching(/^[^/\\#?]{1,512}$/),
        rowKey: expect.stringMatching(/^[^/\\#?]{1,512}$/),
      });
    }
  });

  it.each([
    ['201', [201, 201]],
    ['204', [204, 204]],
    ['either', [201, 204]],
  ])('are accepted where Table Storage says %s for each', async (_what, statuses) => {
    const { store, tables } = setUp();
    tables.rowStatuses = () => statuses;
    await expect(store.append([aRecord(), aRecord()])).resolves.toBeUndefined();
  });

  it.each([
    ['one is refused', [204, 503]],
    ['one is only taken for later', [202, 204]],
    ['one is missing', [204]],
    ['all are missing', []],
  ])('P1: are not accepted when the answer is good as a whole and %s', async (_what, statuses) => {
    const { store, tables } = setUp();
    tables.rowStatuses = () => statuses;
    expect(await rejectionOf(store.append([aRecord(), aRecord()]))).toMatchObject({
      name: 'UpstreamError',
      kind: 'unexpected',
      service: 'audit store',
      upstreamCode: 'batch_not_accepted',
    });
  });

  it('are none for no records', async () => {
    const { store, writes } = setUp();
    await store.append([]);
    expect(writes).toEqual([]);
  });
});

describe('keepAuditTables', () => {
  const now = at('2026-12-31T23:59:59Z');

  it('makes this month’s and the next table, then drops those past the retention, and no other', async () => {
    const tables = createFakeTables(['audit202510', 'audit202511', 'audit202612', 'auditlog', 'endpointtokens']);
    await keepAuditTables([tables], now, 13);
    expect(tables.kept).toEqual(['ensure audit202612', 'ensure audit202701', 'drop audit202510']);
  });

  it('looks after every account, and tells the failure of one in the end', async () => {
    const broken = createFakeTables();
    broken.fault = upstream('unavailable', { service: 'audit store' });
    const working = createFakeTables(['audit202001']);
    expect(await rejectionOf(keepAuditTables([broken, working], now, 13))).toBe(broken.fault);
    expect(working.kept).toEqual(['ensure audit202612', 'ensure audit202701', 'drop audit202001']);
  });
});
