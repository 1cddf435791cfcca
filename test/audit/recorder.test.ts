import { describe, expect, it } from 'vitest';
import { createRecorder, tryEachStore } from '../../src/audit/recorder.ts';
import { aRecord, upstream } from '../support/builders.ts';
import { createDeferred, createLogSpy, createMemoryAuditStore, rejectionOf, settle } from '../support/ports.ts';

function setUp(storeCount = 1) {
  const stores = Array.from({ length: storeCount }, (_, index) => createMemoryAuditStore(`audit ${index + 1}`));
  const [first, second] = stores;
  if (first === undefined) throw new Error('at least one store is needed');
  const { log, lines } = createLogSpy();
  const reports: string[] = [];
  const options = {
    stores,
    log,
    report: (ok: boolean, store: string) => reports.push(`${store} ${ok ? 'ok' : 'failed'}`),
  };
  const write = createRecorder(options);
  return { options, write, first, second: second ?? first, lines, reports };
}

const record = (serial: number) => aRecord({ correlationId: `correlation-${serial}` });
const records = (count: number) => Array.from({ length: count }, (_, index) => record(index));

describe('the recorder', () => {
  it('writes a lone record at once, by itself', async () => {
    const { write, first } = setUp();
    const written = write(record(1));
    expect(first.attempts).toEqual([1]);
    await written;
    expect(first.batches).toEqual([[record(1)]]);
  });

  it('writes each of successive records at once', async () => {
    const { write, first } = setUp();
    for (let serial = 0; serial < 3; serial++) await write(record(serial));
    expect(first.batches).toEqual([[record(0)], [record(1)], [record(2)]]);
  });

  it('writes what gathered during a write together', async () => {
    const { write, first } = setUp();
    const gate = createDeferred();
    first.before = () => gate.promise;
    const all = Promise.all(records(50).map(write));
    await settle();
    expect(first.attempts).toEqual([1]);
    gate.resolve();
    await all;
    expect(first.attempts).toEqual([1, 49]);
    expect(first.batches.flat()).toEqual(records(50));
  });

  it('puts at most 100 records into one batch, and leaves none out', async () => {
    const { write, first } = setUp();
    await Promise.all(records(350).map(write));
    expect(Math.max(...first.attempts)).toBe(100);
    expect(first.attempts).toEqual([1, 100, 100, 100, 49]);
    expect(first.batches.flat()).toEqual(records(350));
  });

  it('P1: tells a caller of success only after the store has accepted that caller’s batch', async () => {
    const { write, first } = setUp();
    const gates = [createDeferred(), createDeferred()];
    first.before = async () => gates[first.attempts.length - 1]?.promise;
    const done: number[] = [];
    const all = Promise.all([0, 1, 2].map((serial) => write(record(serial)).then(() => done.push(serial))));
    await settle();
    expect(done).toEqual([]);
    gates[0]?.resolve();
    await settle();
    expect(done).toEqual([0]);
    gates[1]?.resolve();
    await all;
    expect(done).toEqual([0, 1, 2]);
  });

  it('P1: says audit_unavailable to exactly the records of the batch that no store accepted', async () => {
    const { write, first, second, lines, reports } = setUp(2);
    first.before = async () => {
      const third = first.attempts.length === 3;
      first.fault = third ? undefined : upstream('unavailable', { service: 'audit store' });
      second.fault = first.fault;
    };
    const lone = rejectionOf(write(record(0)));
    const together = [1, 2].map((serial) => rejectionOf(write(record(serial))));
    for (const failure of [await lone, ...(await Promise.all(together))]) {
      expect(failure).toMatchObject({ code: 'audit_unavailable', retryAfterSeconds: 10 });
    }
    await write(record(3));
    expect(first.batches).toEqual([[record(3)]]);
    expect(second.batches).toEqual([]);
    expect(reports).toEqual(['audit 1 failed', 'audit 2 failed', 'audit 1 failed', 'audit 2 failed', 'audit 1 ok']);
    expect(lines).toHaveLength(4);
  });

  it('a failed batch does not take along the one that gathered meanwhile', async () => {
    const { write, first } = setUp();
    const gate = createDeferred();
    first.before = async () => {
      await gate.promise;
      first.fault = first.attempts.length === 1 ? upstream('unavailable') : undefined;
    };
    const lone = rejectionOf(write(record(0)));
    const next = write(record(1));
    gate.resolve();
    expect(await lone).toMatchObject({ code: 'audit_unavailable' });
    await next;
    expect(first.batches).toEqual([[record(1)]]);
  });

  it('asks the second store when the first does not accept, with the same records', async () => {
    const { write, first, second, reports, lines } = setUp(2);
    first.fault = upstream('forbidden', { service: 'audit store', status: 403 });
    await Promise.all(records(3).map(write));
    expect(first.batches).toEqual([]);
    expect(second.batches).toEqual([[record(0)], [record(1), record(2)]]);
    expect(reports).toEqual(['audit 1 failed', 'audit 2 ok', 'audit 1 failed', 'audit 2 ok']);
    expect(lines[0]).toMatch(/^error .*"audit_store_failed".*"audit 1"/);
  });

  it('does not ask the second store while the first accepts', async () => {
    const { write, second } = setUp(2);
    await write(record(1));
    expect(second.attempts).toEqual([]);
  });

  it('goes back to the first store by itself', async () => {
    const { write, first } = setUp(2);
    first.fault = upstream('unavailable');
    await write(record(1));
    first.fault = undefined;
    await write(record(2));
    expect(first.batches).toEqual([[record(2)]]);
  });

  it('P2: logs a failed store without what was to be recorded and without the error’s text', async () => {
    const { write, first, lines } = setUp();
    first.fault = new TypeError('the-text-of-the-error');
    await rejectionOf(write(aRecord({ correlationId: 'correlation-of-the-record', tokenSha256: 'the-hash' })));
    expect(lines).toEqual([expect.stringContaining('TypeError')]);
    expect(lines.join()).not.toMatch(/the-text-of-the-error|the-hash/);
  });
});

describe('tryEachStore', () => {
  const checked = aRecord({ decision: 'checked' });

  it('writes the record to every store and reports each', async () => {
    const { options, first, second, reports, lines } = setUp(2);
    await tryEachStore(options, checked);
    expect([first.batches, second.batches]).toEqual([[[checked]], [[checked]]]);
    expect(reports.sort()).toEqual(['audit 1 ok', 'audit 2 ok']);
    expect(lines).toEqual([]);
  });

  it.each([0, 1])('tells which store does not accept (%d), and tries the other all the same', async (broken) => {
    const { options, first, second, reports, lines } = setUp(2);
    const [failing, working] = broken === 0 ? [first, second] : [second, first];
    failing.fault = upstream('forbidden', { service: 'audit store', status: 403 });
    await tryEachStore(options, checked);
    expect(working.batches).toEqual([[checked]]);
    expect(reports.sort()).toEqual([`${failing.name} failed`, `${working.name} ok`].sort());
    expect(lines).toEqual([expect.stringMatching(new RegExp(`^error .*"audit_store_failed".*"${failing.name}"`))]);
  });

  it('does not reject when no store accepts: the reports tell', async () => {
    const { options, first, reports } = setUp();
    first.fault = upstream('unavailable');
    await expect(tryEachStore(options, checked)).resolves.toBeUndefined();
    expect(reports).toEqual(['audit 1 failed']);
  });

  it('does not wait for one store before it tries the next', async () => {
    const { options, first, second } = setUp(2);
    const gate = createDeferred();
    first.before = () => gate.promise;
    const tried = tryEachStore(options, checked);
    await settle();
    expect(second.batches).toEqual([[checked]]);
    gate.resolve();
    await tried;
  });
});
