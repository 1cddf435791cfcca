import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newRecord, type RotationRecord } from '../../../src/rotation/facts.ts';
import type { Records } from '../../../src/rotation/ports.ts';

/** A store of records, in memory or real, with nothing in it. */
export interface RecordsUnderTest {
  records: Records;
  /** The same store, as another instance of the broker has it. */
  others: Records;
  /** Somebody deletes the row. */
  lose(rotation: string): Promise<void>;
  stop?(): Promise<void>;
}

const at = (second: number) => new Date(Date.UTC(2026, 10, 22, 10, 0, second, 123));

/** A record of which every field is set. */
const aFullRecord = (rotation: string): RotationRecord => ({
  rotation,
  attempt: { rotationId: 'rotation-2', why: 'compromised', begunAt: at(1), addTriedAt: at(2) },
  proof: { keyId: 'key-2', of: 'pending', successes: 2, firstAt: at(3), lastTriedAt: at(4), refused: 'expired' },
  runs: [
    { id: 'run-1', reason: 'requested', requestedAt: at(5), rotationId: 'rotation-1', doneAt: at(6) },
    { id: 'run-2 "ü\n', reason: 'compromised', requestedAt: at(7), rotationId: undefined, doneAt: undefined },
  ],
  promoted: 'key-1',
  replaced: ['key-0', 'key-00'],
  adopted: ['key-imported'],
  shortened: { of: 7_776_000, to: 3_888_000 },
  addRefused: { why: 'too_many_passwords', of: 7_776_000, at: at(8) },
  status: {
    at: at(9),
    reason: 'step_failed',
    nextAt: at(10),
    expiresOn: at(11),
    lastStep: { at: at(12), step: 'add' },
    error: { at: at(13), step: 'prove', what: 'entra: unavailable (503)' },
  },
});

const conflict = { name: 'UpstreamError', kind: 'conflict' };

/** Every statement of the port `Records`, for any implementation of it. `start` is called once. */
export function describeRecordsContract(name: string, start: () => Promise<RecordsUnderTest>): void {
  describe(`${name} as Records`, () => {
    let subject: RecordsUnderTest;
    let count = 0;
    beforeAll(async () => {
      subject = await start();
    });
    afterAll(() => subject?.stop?.());

    /** A rotation that no other statement uses. */
    const aName = () => {
      count += 1;
      return `contract-rotation-${count}`;
    };
    const listed = async () => (await subject.records.list()).map(({ rotation }) => rotation);

    it('has none at first, and an empty one without a mark for every name', async () => {
      expect(await subject.records.list()).toEqual([]);
      const rotation = aName();
      expect(await subject.records.read(rotation)).toEqual({ record: newRecord(rotation), etag: undefined });
    });

    it.each([
      ['with nothing in it', newRecord],
      ['with every field set', aFullRecord],
    ])('gives another instance the record that was written, %s', async (_case, make) => {
      const record = make(aName());
      const stored = await subject.records.write(record, undefined);
      expect(stored).toEqual({ record, etag: expect.stringMatching(/./) });
      expect(await subject.others.read(record.rotation)).toEqual(stored);
    });

    it('replaces a record as a whole: what is not in the new one is gone', async () => {
      const rotation = aName();
      const { etag } = await subject.records.write(aFullRecord(rotation), undefined);
      await subject.records.write(newRecord(rotation), etag);
      expect((await subject.others.read(rotation)).record).toEqual(newRecord(rotation));
    });

    it('marks each write anew, and takes the mark of a write for the next one', async () => {
      const record = newRecord(aName());
      const first = await subject.records.write(record, undefined);
      const second = await subject.records.write({ ...record, promoted: 'one' }, first.etag);
      const third = await subject.records.write({ ...record, promoted: 'two' }, second.etag);
      expect(new Set([first.etag, second.etag, third.etag]).size).toBe(3);
      expect(await subject.records.read(record.rotation)).toEqual(third);
    });

    it('refuses a first write where there is a record already', async () => {
      const record = newRecord(aName());
      const stored = await subject.others.write({ ...record, promoted: 'theirs' }, undefined);
      await expect(subject.records.write(record, undefined)).rejects.toMatchObject(conflict);
      expect(await subject.records.read(record.rotation)).toEqual(stored);
    });

    it('refuses a write with the mark of an older one', async () => {
      const record = newRecord(aName());
      const { etag } = await subject.records.write(record, undefined);
      const stored = await subject.others.write({ ...record, promoted: 'theirs' }, etag);
      await expect(subject.records.write({ ...record, promoted: 'mine' }, etag)).rejects.toMatchObject(conflict);
      expect(await subject.records.read(record.rotation)).toEqual(stored);
    });

    it.each(['a first one', 'a later one'])('of two writers at once one has a conflict: %s', async (which) => {
      const record = newRecord(aName());
      const etag = which === 'a first one' ? undefined : (await subject.records.write(record, undefined)).etag;
      const writers = [subject.records, subject.others].map((records, index) =>
        records.write({ ...record, promoted: `writer ${index}` }, etag),
      );
      const outcomes = await Promise.allSettled(writers);
      const won = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []));
      const lost = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason] : []));
      expect(won).toHaveLength(1);
      expect(lost).toMatchObject([conflict]);
      expect(await subject.records.read(record.rotation)).toEqual(won[0]);
    });

    it('lists every record whole, also one that no policy names', async () => {
      const [one, two] = [aFullRecord(aName()), { ...newRecord(aName()), promoted: 'two' }];
      for (const record of [one, two]) await subject.records.write(record, undefined);
      const all = await subject.others.list();
      expect(all).toEqual(expect.arrayContaining([one, two]));
      expect(new Set(all.map(({ rotation }) => rotation)).size).toBe(all.length);
    });

    it('begins anew where the record was lost: it is empty, not listed, and its mark is no longer good', async () => {
      const record = aFullRecord(aName());
      const { etag } = await subject.records.write(record, undefined);
      await subject.lose(record.rotation);
      expect(await subject.records.read(record.rotation)).toEqual({
        record: newRecord(record.rotation),
        etag: undefined,
      });
      expect(await listed()).not.toContain(record.rotation);
      await expect(subject.records.write(record, etag)).rejects.toMatchObject(conflict);
      await subject.records.write(record, undefined);
      expect(await listed()).toContain(record.rotation);
    });
  });
}
