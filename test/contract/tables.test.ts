import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { odata, TableClient, TableServiceClient, TableTransaction } from '@azure/data-tables';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import * as z from 'zod';
import { startCoreToolsStorage } from '../../sandbox/azurite/core-tools-storage.ts';
import { startAzurite } from '../../sandbox/azurite/start-azurite.ts';
import { BROKER_IDENTITY, READER_IDENTITY } from '../../sandbox/seed.ts';
import { startTables, type Tables } from '../../sandbox/tables/start-tables.ts';
import { callPlain, createLocalAzure, type LocalAzure } from './local-azure.ts';

const audience = 'https://storage.azure.com';
const broker = { appId: BROKER_IDENTITY.clientId, oid: BROKER_IDENTITY.oid };
const stranger = { appId: READER_IDENTITY.clientId, oid: READER_IDENTITY.oid };

let azure: LocalAzure;
let tables: Tables;
let tableCount = 0;

beforeAll(async () => {
  azure = await createLocalAzure();
  const { folder, keys: entra, calls, faults, clock, certificates } = azure;
  const ports = { tables: 0, audit: 0, azurite: 0 };
  tables = azure.keep(await startTables({ ports, folder, tls: certificates.tls, entra, calls, faults, clock }));
});
afterAll(() => azure.stop());
beforeEach(() => {
  azure.faults.clear();
  azure.calls.clear();
});

function client(table: string, url = tables.tables): TableClient {
  return new TableClient(url, table, azure.credential(broker), { retryOptions: { maxRetries: 0 } });
}

/** A client of a new table. */
async function newTable(url = tables.tables): Promise<TableClient> {
  tableCount += 1;
  const made = client(`table${tableCount}`, url);
  await made.createTable();
  return made;
}

const refusedWith = (code: string) => ({ details: { odataError: { code } } });

describe('Table Storage: through @azure/data-tables', () => {
  it('opens by a token for https://storage.azure.com, at 127.0.0.1 and an account in the path', async () => {
    const credential = azure.credential(broker);
    await new TableClient(tables.tables, 'tokens', credential).createTable();
    expect(credential.scopes).toEqual(['https://storage.azure.com/.default']);
    expect(tables.tables).toMatch(/^https:\/\/127\.0\.0\.1:\d+\/brokertokens$/);
    expect(tables.audit).toMatch(/^https:\/\/127\.0\.0\.1:\d+\/brokeraudit$/);
  });

  it('keeps the two accounts apart', async () => {
    await newTable(tables.audit);
    await client('onlyTokens').createTable();
    const names = [];
    const service = new TableServiceClient(tables.audit, azure.credential(broker));
    for await (const { name } of service.listTables()) names.push(name);
    expect(names).not.toContain('onlyTokens');
    expect(names).toHaveLength(1);
  });

  it('inserts once: the second insert of a key is 409 EntityAlreadyExists', async () => {
    const table = await newTable();
    const entity = { partitionKey: 'a', rowKey: '1', big: 12_345_678_901n, at: new Date(0), text: 'x' };
    await table.createEntity(entity);
    expect(await table.getEntity('a', '1')).toMatchObject({ big: 12_345_678_901n, at: new Date(0), text: 'x' });
    await expect(table.createEntity(entity)).rejects.toMatchObject({
      statusCode: 409,
      ...refusedWith('EntityAlreadyExists'),
    });
  });

  it('refuses an update with a stale ETag: 412 UpdateConditionNotSatisfied', async () => {
    const table = await newTable();
    const entity = { partitionKey: 'a', rowKey: '1', n: 1 };
    const { etag = '' } = await table.createEntity(entity);
    await table.updateEntity({ ...entity, n: 2 }, 'Merge', { etag });
    await expect(table.updateEntity({ ...entity, n: 3 }, 'Merge', { etag })).rejects.toMatchObject({
      statusCode: 412,
      ...refusedWith('UpdateConditionNotSatisfied'),
    });
    expect(await table.getEntity('a', '1')).toMatchObject({ n: 2 });
  });

  it('answers 404 ResourceNotFound for an entity that is not there', async () => {
    const table = await newTable();
    await expect(table.getEntity('a', 'none')).rejects.toMatchObject({
      statusCode: 404,
      ...refusedWith('ResourceNotFound'),
    });
  });

  it('passes filters and keys with special characters unchanged', async () => {
    const table = await newTable();
    const rowKey = "it's + 100% ümlaut";
    await table.createEntity({ partitionKey: 'a b', rowKey, due: new Date(5000) });
    await table.createEntity({ partitionKey: 'a b', rowKey: 'later', due: new Date(50_000) });
    expect((await table.getEntity('a b', rowKey)).rowKey).toBe(rowKey);
    const found = [];
    const filter = odata`PartitionKey eq ${'a b'} and due le ${new Date(6000)}`;
    for await (const entity of table.listEntities({ queryOptions: { filter } })) found.push(entity.rowKey);
    expect(found).toEqual([rowKey]);
  });

  it('continues a list over pages', async () => {
    const table = await newTable();
    for (const rowKey of ['1', '2', '3']) await table.createEntity({ partitionKey: 'a', rowKey });
    const sizes = [];
    for await (const page of table.listEntities().byPage({ maxPageSize: 2 })) sizes.push(page.length);
    expect(sizes).toEqual([2, 1]);
  });

  it('runs a transaction as a whole: a conflict in it writes nothing', async () => {
    const table = await newTable();
    const both = (first: string, second: string) =>
      new TableTransaction([
        ['create', { partitionKey: 'a', rowKey: first }],
        ['create', { partitionKey: 'a', rowKey: second }],
      ]).actions;
    expect((await table.submitTransaction(both('1', '2'))).status).toBe(202);
    await expect(table.submitTransaction(both('3', '1'))).rejects.toMatchObject({ statusCode: 409 });
    await expect(table.getEntity('a', '3')).rejects.toMatchObject({ statusCode: 404 });
  });

  it('names itself in the links of its answers, not the address behind', async () => {
    const token = await azure.token(broker, audience);
    const headers = { accept: 'application/json;odata=fullmetadata', 'x-ms-version': '2019-02-02' };
    const answer = await callPlain('GET', `${tables.tables}/Tables`, { token, headers });
    expect(answer.status).toBe(200);
    expect(answer.body).toMatchObject({ 'odata.metadata': `${tables.tables}/$metadata#Tables` });
  });
});

describe('Table Storage: who may call', () => {
  const readTables = (input: { token?: string; headers?: Record<string, string> }, url = tables.tables) =>
    callPlain('GET', `${url}/Tables`, { ...input, headers: { 'x-ms-version': '2019-02-02', ...input.headers } });

  it('refuses a call without token, with an account key and with a foreign signature with 401', async () => {
    const token = await azure.token(broker, audience);
    const byKey = { authorization: `SharedKeyLite brokertokens:${Buffer.from('signature').toString('base64')}` };
    const refused = { status: 401, body: { 'odata.error': { code: 'InvalidAuthenticationInfo' } } };
    expect(await readTables({})).toMatchObject(refused);
    expect(await readTables({ headers: byKey })).toMatchObject(refused);
    expect(await readTables({ token: `${token.slice(0, -10)}AAAAAAAAAA` })).toMatchObject(refused);
    expect(await readTables({ token: await azure.token(broker, audience, -600) })).toMatchObject(refused);
    expect(await readTables({ token: await azure.token(broker, 'https://vault.azure.net') })).toMatchObject(refused);
  });

  it('refuses a principal without role with 403 AuthorizationPermissionMismatch', async () => {
    expect(await readTables({ token: await azure.token(stranger, audience) })).toMatchObject({
      status: 403,
      body: { 'odata.error': { code: 'AuthorizationPermissionMismatch' } },
    });
  });

  it('serves one account per address', async () => {
    const otherAccount = tables.tables.replace('brokertokens', 'brokeraudit');
    const answer = await readTables({ token: await azure.token(broker, audience) }, otherAccount);
    expect(answer.status).toBe(404);
  });
});

describe('Table Storage: calls and faults', () => {
  it('records each call under its service, with path, status and application, without secrets', async () => {
    const table = await newTable(tables.audit);
    await table.createEntity({ partitionKey: 'a', rowKey: '1', text: 'hidden-text' });
    const calls = azure.calls.list();
    expect(calls).toMatchObject([
      { service: 'audit', method: 'POST', path: '/brokeraudit/Tables', status: 201, client: broker.appId },
      { service: 'audit', method: 'POST', path: `/brokeraudit/${table.tableName}`, status: 204 },
    ]);
    expect(JSON.stringify(calls)).not.toMatch(/hidden-text|eyJ/);
  });

  it('refuses as planned, with a code in the shape of storage, and only in the service that is meant', async () => {
    const [table, audit] = [await newTable(), await newTable(tables.audit)];
    azure.faults.add({ service: 'tables', match: /^POST /, status: 503, code: 'ServerBusy', retryAfterSeconds: 7 });
    const entity = { partitionKey: 'a', rowKey: '1' };
    const refused = await table.createEntity(entity).catch((error: unknown) => error);
    expect(refused).toMatchObject({ statusCode: 503, ...refusedWith('ServerBusy') });
    const answered = z.object({ response: z.object({ headers: z.instanceof(Object) }) }).parse(refused);
    expect(JSON.stringify(answered.response.headers)).toContain('"retry-after":"7"');
    await audit.createEntity(entity);
    await expect(table.getEntity('a', '1')).rejects.toMatchObject({ statusCode: 404 });
  });

  it('loses an answer on purpose after the row was written', async () => {
    const table = await newTable();
    azure.faults.add({ service: 'tables', match: /^POST /, commitThenDrop: true, times: 1 });
    await expect(table.createEntity({ partitionKey: 'a', rowKey: '1' })).rejects.toThrow();
    expect((await table.getEntity('a', '1')).rowKey).toBe('1');
    expect(azure.calls.list().at(-2)).toMatchObject({ method: 'POST', status: 204 });
  });

  it('waits as planned, then works', async () => {
    const table = await newTable();
    azure.faults.add({ service: 'tables', delayMs: 60, times: 1 });
    const started = performance.now();
    await table.createEntity({ partitionKey: 'a', rowKey: '1' });
    expect(performance.now() - started).toBeGreaterThanOrEqual(55);
  });
});

describe('Azurite as a child process', () => {
  it('says which port is in use and what to do', async () => {
    const folder = join(azure.folder, 'second');
    const first = azure.keep(await startAzurite({ service: 'table', port: 0, folder, accounts: { a: 'a2V5' } }));
    const second = startAzurite({ service: 'table', port: first.port, folder, accounts: { a: 'a2V5' } });
    await expect(second).rejects.toThrow(`Port ${first.port}, for Azurite's table service, is in use. Free it, or set`);
  });

  it('leaves no file behind besides its certificate', async () => {
    expect((await readdir(join(azure.folder, 'azurite'))).toSorted()).toEqual(['server-key.pem', 'server.pem']);
  });

  it('ends when its parent is killed', async () => {
    const script = `
      const { startAzurite } = await import(${JSON.stringify(join(import.meta.dirname, '../../sandbox/azurite/start-azurite.ts'))});
      const options = { service: 'table', port: 0, folder: ${JSON.stringify(join(azure.folder, 'third'))}, accounts: { a: 'a2V5' } };
      console.log((await startAzurite(options)).port);`;
    const stdio: ['ignore', 'pipe', 'inherit'] = ['ignore', 'pipe', 'inherit'];
    const parent = spawn(process.execPath, ['--input-type=module', '--eval', script], { stdio });
    const [line] = await once(parent.stdout, 'data');
    const port = Number(String(line).trim());
    expect(await isListening(port)).toBe(true);
    parent.kill('SIGKILL');
    await once(parent, 'exit');
    await expect.poll(() => isListening(port), { timeout: 3000 }).toBe(false);
  });

  it('serves blobs and queues for the Functions host over plain HTTP on loopback', async () => {
    const folder = join(azure.folder, 'host');
    const storage = azure.keep(await startCoreToolsStorage({ folder, blobPort: 0, queuePort: 0 }));
    const parts = Object.fromEntries(storage.connectionString.split(';').map((part) => part.split(/=(.*)/, 2)));
    expect(parts).toMatchObject({ DefaultEndpointsProtocol: 'http', AccountName: 'devstoreaccount1' });
    for (const endpoint of [parts.BlobEndpoint, parts.QueueEndpoint]) {
      expect(endpoint).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/devstoreaccount1$/);
      expect((await fetch(`${endpoint}?comp=list`)).status).toBe(403);
    }
    expect(await readdir(folder)).toEqual([]);
  });
});

async function isListening(port: number): Promise<boolean> {
  const socket = createConnection({ host: '127.0.0.1', port });
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
