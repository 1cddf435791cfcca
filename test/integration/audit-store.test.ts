import { randomUUID } from 'node:crypto';
import { TableClient } from '@azure/data-tables';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { AuditRecord } from '../../src/audit/record.ts';
import { createRecorder } from '../../src/audit/recorder.ts';
import { createAuditStore, keepAuditTables } from '../../src/azure/audit-store.ts';
import { managedIdentityCredential } from '../../src/azure/credentials.ts';
import { createTables } from '../../src/azure/tables.ts';
import { addSeconds } from '../../src/clock.ts';
import { aCaller, aRecord } from '../support/builders.ts';
import { createLogSpy } from '../support/ports.ts';
import { startAzure, type TestAzure, upstreamError } from './azure.ts';

const now = new Date('2026-11-22T10:00:00.000Z');

let azure: TestAzure;

beforeAll(async () => {
  azure = await startAzure();
});
beforeEach(async () => {
  await azure.reset();
  await keepAuditTables([accountOf('audit'), accountOf('tables')], now, 12);
  await azure.reset();
});
afterAll(() => azure.stop());

/** The sandbox has two storage accounts: the second one stands in for a second account of the audit. */
function accountOf(service: 'audit' | 'tables') {
  return createTables('audit store', azure.endpoints[service], managedIdentityCredential(undefined));
}

/** What one instance of the broker has of the audit, with one account or two. */
function anInstance(...services: ('audit' | 'tables')[]) {
  const instanceId = randomUUID();
  const { log, lines } = createLogSpy();
  const reports: string[] = [];
  const stores = services.map((service) =>
    createAuditStore({ tables: accountOf(service), name: service, instanceId, newId: randomUUID }),
  );
  const write = createRecorder({ stores, log, report: (ok, store) => reports.push(`${store} ${ok}`) });
  return { write, stores, instanceId, lines, reports };
}

async function rowsOf(service: 'audit' | 'tables', instanceId: string, table = 'audit202611') {
  const client = new TableClient(azure.endpoints[service], table, managedIdentityCredential(undefined));
  const rows = [];
  for await (const row of client.listEntities()) if (row.partitionKey?.endsWith(instanceId) === true) rows.push(row);
  return rows;
}

/** The body of a batch's answer with these answers to its rows. */
function partsOf(...answers: string[]): string {
  const head = 'Content-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n';
  const parts = answers.map((answer) => `--changesetresponse_1\r\n${head}${answer}\r\n\r\n`);
  return `--batchresponse_1\r\n\r\n${parts.join('')}--changesetresponse_1--\r\n--batchresponse_1--\r\n`;
}

const full = {
  at: now,
  correlationId: 'correlation',
  decision: 'issued',
  code: 'wrong_auth_mode',
  reason: 'because',
  caller: {
    issuer: 'contoso',
    class: 'app',
    tenantId: aCaller().tenantId,
    objectId: aCaller().objectId,
    appId: aCaller().appId,
    subject: 'subject-of-caller',
    tokenId: 'uti-of-caller',
  },
  target: 'prod/fraud-aml token',
  grant: 'checkout-scores-fraud',
  identity: 'reader',
  tokenSha256: 'a'.repeat(64),
  tokenId: 'uti-of-token',
  expiresOn: addSeconds(now, 3600),
  policyHash: 'b'.repeat(64),
} as const satisfies AuditRecord;

describe('audit store in Table Storage', () => {
  it('P1: a record lands with all its fields, flat, in the table of its month and the partition of its hour', async () => {
    const { write, instanceId, reports } = anInstance('audit');
    await write(full);
    const { caller: _, ...flat } = full;
    expect(await rowsOf('audit', instanceId)).toEqual([
      {
        ...flat,
        callerIssuer: 'contoso',
        callerClass: 'app',
        callerTenantId: aCaller().tenantId,
        callerObjectId: aCaller().objectId,
        callerAppId: aCaller().appId,
        callerSubject: 'subject-of-caller',
        callerTokenId: 'uti-of-caller',
        partitionKey: `2026-11-22T10-${instanceId}`,
        rowKey: expect.stringMatching(/^2026-11-22T10:00:00\.000Z-[0-9a-f-]{36}$/),
        etag: expect.any(String),
        timestamp: expect.any(String),
      },
    ]);
    expect(reports).toEqual(['audit true']);
  });

  it('P2: a row has no field that could hold a token: what the record does not name is not written', async () => {
    const { write, instanceId } = anInstance('audit');
    const { tokenId: _, ...caller } = full.caller;
    await write(aRecord({ caller: { ...caller, tokenId: undefined } }));
    const [row = {}] = await rowsOf('audit', instanceId);
    expect(Object.keys(row).sort()).toEqual([
      'at',
      'callerAppId',
      'callerClass',
      'callerIssuer',
      'callerObjectId',
      'callerSubject',
      'callerTenantId',
      'correlationId',
      'decision',
      'etag',
      'partitionKey',
      'policyHash',
      'rowKey',
      'timestamp',
    ]);
  });

  it('P1: 250 concurrent records land completely, in at most four writes', async () => {
    const { write, instanceId } = anInstance('audit');
    const names = Array.from({ length: 250 }, (_, index) => `request-${index}`);
    await Promise.all(names.map((correlationId) => write(aRecord({ at: now, correlationId }))));
    const written = (await rowsOf('audit', instanceId)).map(({ correlationId }) => correlationId);
    const calls = (await azure.calls('audit')).filter(({ method }) => method === 'POST');
    expect(written).toHaveLength(250);
    expect(new Set(written)).toEqual(new Set(names));
    expect(calls.map(({ path }) => path.replace(/\(.*/, ''))).toEqual([
      '/brokeraudit/audit202611',
      '/brokeraudit/$batch',
      '/brokeraudit/$batch',
      '/brokeraudit/$batch',
    ]);
  });

  it('P1: two instances that write the same instants keep all their rows', async () => {
    const [one, other] = [anInstance('audit'), anInstance('audit')];
    const records = Array.from({ length: 20 }, () => aRecord({ at: now }));
    await Promise.all([one, other].flatMap(({ write }) => records.map((record) => write(record))));
    expect(await rowsOf('audit', one.instanceId)).toHaveLength(20);
    expect(await rowsOf('audit', other.instanceId)).toHaveLength(20);
  });

  it('P1: one batch over the end of an hour and of a month lands in each partition and table', async () => {
    const { stores, instanceId } = anInstance('audit');
    const at = [
      '2026-11-30T22:59:59.999Z',
      '2026-11-30T23:00:00.000Z',
      '2026-11-30T23:59:59.999Z',
      '2026-12-01T00:00:00.000Z',
    ];
    await stores[0]?.append(at.map((instant) => aRecord({ at: new Date(instant) })));
    const november = (await rowsOf('audit', instanceId)).map(({ partitionKey }) => partitionKey);
    const december = (await rowsOf('audit', instanceId, 'audit202612')).map(({ partitionKey }) => partitionKey);
    expect(november).toEqual(
      ['2026-11-30T22', '2026-11-30T23', '2026-11-30T23'].map((hour) => `${hour}-${instanceId}`),
    );
    expect(december).toEqual([`2026-12-01T00-${instanceId}`]);
  });
});

describe('audit store: when an account does not accept', () => {
  it.each([
    ['one record', 1],
    ['a batch', 3],
  ])('P1: a month without its table takes nothing: %s is not_found', async (_case, size) => {
    const { stores } = anInstance('audit');
    const records = Array.from({ length: size }, () => aRecord({ at: new Date('2031-01-01T00:00:00.000Z') }));
    await expect(stores[0]?.append(records)).rejects.toMatchObject(
      upstreamError({ kind: 'not_found', upstreamCode: 'TableNotFound', service: 'audit store' }),
    );
  });

  it.each([
    ['one record', 1],
    ['a batch', 3],
  ])('P7: %s is refused at once, by what the account says, without a second try', async (_case, size) => {
    const { stores } = anInstance('audit');
    const append = () => stores[0]?.append(Array.from({ length: size }, () => aRecord({ at: now })));
    await azure.fault({ service: 'audit', status: 503, times: 1 });
    await expect(append()).rejects.toMatchObject(upstreamError({ kind: 'unavailable', status: 503 }));
    await azure.fault({ service: 'audit', status: 429, retryAfterSeconds: 9, times: 1 });
    await expect(append()).rejects.toMatchObject(upstreamError({ kind: 'throttled', retryAfterSeconds: 9 }));
    await azure.fault({ service: 'audit', status: 403, times: 1 });
    await expect(append()).rejects.toMatchObject(upstreamError({ kind: 'forbidden', status: 403 }));
    expect(await azure.outcomes('audit')).toEqual(['POST 503', 'POST 429', 'POST 403']);
  });

  it('P1: a batch is refused whole: one row that is there already keeps the others out', async () => {
    const instanceId = randomUUID();
    const newId = () => 'always-the-same';
    const store = createAuditStore({ tables: accountOf('audit'), name: 'audit', instanceId, newId });
    await store.append([aRecord({ at: now })]);
    const batch = [aRecord({ at: addSeconds(now, 1) }), aRecord({ at: now })];
    await expect(store.append(batch)).rejects.toMatchObject(upstreamError({ kind: 'conflict' }));
    expect(await rowsOf('audit', instanceId)).toHaveLength(1);
  });

  it.each([
    ['no batch answer at all', 200, '<html></html>'],
    ['no body', 202, ''],
    [
      'a part that refuses, without JSON',
      202,
      partsOf('HTTP/1.1 503 Service Unavailable', 'HTTP/1.1 503 Service Unavailable'),
    ],
    [
      'a part that refuses, with JSON over several lines',
      202,
      partsOf('HTTP/1.1 403 Forbidden\r\n\r\n{\n"odata.error":{"code":"AuthorizationFailure"}\n}'),
    ],
    ['fewer parts than rows', 202, partsOf('HTTP/1.1 204 No Content')],
  ])('P1: a batch whose answer does not accept every row counts as not accepted: %s', async (_case, status, text) => {
    const odd = await azure.serveOdd({
      status,
      headers: { 'content-type': 'multipart/mixed; boundary=batchresponse_1' },
      text,
    });
    const tables = createTables('audit store', `${odd.url}/brokeraudit`, managedIdentityCredential(undefined));
    const store = createAuditStore({ tables, name: 'odd', instanceId: randomUUID(), newId: randomUUID });
    const append = store.append([aRecord({ at: now }), aRecord({ at: now })]);
    await expect(append).rejects.toMatchObject({ name: 'UpstreamError' });
  });

  it('P1: the second account takes what the first does not; the log says which failed, without the record', async () => {
    const { write, instanceId, lines, reports } = anInstance('audit', 'tables');
    await azure.fault({ service: 'audit', status: 503 });
    await write(full);
    expect(await rowsOf('tables', instanceId)).toHaveLength(1);
    expect(reports).toEqual(['audit false', 'tables true']);
    expect(lines).toEqual([
      'error {"event":"audit_store_failed","store":"audit","records":1,"error":"audit store: unavailable (503 ServerBusy) < RestError"}',
    ]);
  });

  it('P1: the first account is asked again with the next record, and both share nothing', async () => {
    const { write, instanceId } = anInstance('audit', 'tables');
    await azure.fault({ service: 'audit', status: 500, times: 1 });
    await write(aRecord({ at: now, correlationId: 'first' }));
    await write(aRecord({ at: now, correlationId: 'second' }));
    expect(await rowsOf('tables', instanceId)).toMatchObject([{ correlationId: 'first' }]);
    expect(await rowsOf('audit', instanceId)).toMatchObject([{ correlationId: 'second' }]);
  });

  it('P1: no account accepts: every waiting record fails with audit_unavailable, and later ones are tried', async () => {
    const { write, instanceId } = anInstance('audit', 'tables');
    await azure.fault({ service: 'audit', status: 503 });
    await azure.fault({ service: 'tables', status: 503 });
    const outcomes = await Promise.allSettled(Array.from({ length: 5 }, () => write(aRecord({ at: now }))));
    const refused = { status: 'rejected', reason: { code: 'audit_unavailable', status: 503, retryAfterSeconds: 10 } };
    expect(outcomes).toMatchObject(Array.from({ length: 5 }, () => refused));

    await azure.clearFaults();
    await write(aRecord({ at: now }));
    expect(await rowsOf('audit', instanceId)).toHaveLength(1);
  });

  it.each([
    ['one record', 1],
    ['a batch', 3],
  ])('P1: a lost answer counts as not accepted, though %s landed', async (_case, size) => {
    const { write, stores, instanceId } = anInstance('audit');
    await azure.fault({ service: 'audit', commitThenDrop: true, times: 1 });
    const append = stores[0]?.append(Array.from({ length: size }, () => aRecord({ at: now })));
    await expect(append).rejects.toMatchObject(upstreamError({ kind: 'unavailable' }));
    expect(await rowsOf('audit', instanceId)).toHaveLength(size);

    await azure.fault({ service: 'audit', commitThenDrop: true, times: 1 });
    await expect(write(aRecord({ at: now }))).rejects.toMatchObject({ code: 'audit_unavailable' });
  });
});

describe('audit tables', () => {
  const names = (service: 'audit' | 'tables') => accountOf(service).list('audit');

  it('makes this month’s and the next month’s table in every account, and can be run again', async () => {
    const accounts = [accountOf('audit'), accountOf('tables')];
    await keepAuditTables(accounts, new Date('2027-12-31T23:59:59.999Z'), 120);
    await keepAuditTables(accounts, new Date('2027-12-31T23:59:59.999Z'), 120);
    expect(await names('audit')).toEqual(expect.arrayContaining(['audit202712', 'audit202801']));
    expect(await names('tables')).toEqual(expect.arrayContaining(['audit202712', 'audit202801']));
  });

  it('drops the months before the retention in every account, and no other table', async () => {
    const accounts = [accountOf('audit'), accountOf('tables')];
    const others = ['auditors', 'audit20240', 'audit2024011', 'endpointtokens', 'zebra'];
    for (const account of accounts) {
      for (const name of ['audit202401', 'audit202510', 'audit202511', ...others]) await account.ensure(name);
    }
    expect(await names('audit')).toEqual(expect.arrayContaining(['audit202401', 'auditors']));
    expect((await names('audit')).every((name) => name.startsWith('audit'))).toBe(true);
    await keepAuditTables(accounts, now, 12);
    for (const account of accounts) {
      const left = [
        ...(await account.list('audit')),
        ...(await account.list('endpoint')),
        ...(await account.list('z')),
      ];
      expect(left).toEqual(expect.arrayContaining(['audit202511', 'audit202611', 'audit202612', ...others]));
      expect(left).not.toContain('audit202401');
      expect(left).not.toContain('audit202510');
    }
  });

  it.each([
    ['audit', 'tables'],
    ['tables', 'audit'],
  ] as const)(
    'one failing account (%s) does not keep the other from being looked after, and is told',
    async (failing, other) => {
      const then = failing === 'audit' ? new Date('2029-01-15T00:00:00.000Z') : new Date('2029-03-15T00:00:00.000Z');
      const wanted = failing === 'audit' ? ['audit202901', 'audit202902'] : ['audit202903', 'audit202904'];
      await azure.fault({ service: failing, status: 503 });
      const keeping = keepAuditTables([accountOf('audit'), accountOf('tables')], then, 120);
      await expect(keeping).rejects.toMatchObject(upstreamError({ kind: 'unavailable', status: 503 }));
      await azure.clearFaults();
      expect(await names(other)).toEqual(expect.arrayContaining(wanted));
      expect(await names(failing)).not.toEqual(expect.arrayContaining([wanted[0]]));
    },
  );
});
