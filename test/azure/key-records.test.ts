import { describe, expect, it } from 'vitest';
import { keyRecordSchema } from '../../src/azure/key-records.ts';
import { newKeyRecord } from '../../src/rotation/key-facts.ts';
import { aKeyRecord, aRegeneration, aRun, aTurn } from '../rotation/key-in-memory.ts';

/** As the row has it: what is undefined is null. */
const asStored = (record: object): unknown =>
  JSON.parse(JSON.stringify(record, (_, value) => (value === undefined ? null : value)));

describe('the record in its row', () => {
  it.each([
    ['a new one', newKeyRecord('fraud-keys')],
    [
      'a full one',
      aKeyRecord({
        promisedUntil: { primary: undefined, secondary: new Date(86_400_000) },
        regeneration: aRegeneration(),
        runs: [aRun(), aRun({ id: 'run-2', rotationId: 'r', doneAt: new Date(1) })],
        status: {
          at: new Date(2),
          reason: 'regeneration_stuck',
          nextAt: undefined,
          expiresOn: undefined,
          lastStep: { at: new Date(3), step: 'adopt' },
          error: undefined,
        },
      }),
    ],
  ])('%s reads as it was written', (_which, record) => {
    expect(keyRecordSchema.parse(asStored(record))).toEqual(record);
  });

  it.each([
    ['a key of another name', { turn: { ...aTurn(), inUse: 'tertiary' } }],
    ['a field that a newer broker wrote', { turnedBy: 'r' }],
    ['an instant that is none', { promisedUntil: { primary: 'soon' } }],
  ])('refuses %s', (_what, part) => {
    expect(keyRecordSchema.safeParse(asStored({ ...aKeyRecord(), ...part })).success).toBe(false);
  });
});
