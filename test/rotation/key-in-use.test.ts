import { describe, expect, it } from 'vitest';
import type { KeyRecord } from '../../src/rotation/key-facts.ts';
import { createFindKeyInUse } from '../../src/rotation/key-in-use.ts';
import { aFetchedWorkspace, anEndpoint, upstream } from '../support/builders.ts';
import { createMovableClock } from '../support/clock.ts';
import { createLogSpy, rejectionOf } from '../support/ports.ts';
import { aKeyRecord, aRun, aTurn, createKeyRecords, DAY, endpoint, fromStart, rotation } from './key-in-memory.ts';

function setUp(record?: KeyRecord) {
  const time = createMovableClock();
  const records = createKeyRecords(record);
  const { log, lines } = createLogSpy();
  const workspaces = new Map([['prod', aFetchedWorkspace()]]);
  const find = createFindKeyInUse({ rotations: [rotation], workspaces, records, clock: time.clock, log });
  return { time, records, lines, find };
}

describe('the key in use', () => {
  it('is nobody’s business where no rotation is of the endpoint, and the store is not asked', async () => {
    const { find, records } = setUp();
    expect(await find(anEndpoint({ name: 'another', authMode: 'key' }))).toBeUndefined();
    expect(records.reads).toBe(0);
  });

  it.each([
    ['no record', undefined],
    ['a record that only has a request', aKeyRecord({ turn: undefined, runs: [aRun()] })],
    [
      'the record of another endpoint',
      aKeyRecord({ turn: aTurn({ inUse: 'secondary', endpoint: { id: 'another', createdAt: '' } }) }),
    ],
  ])('R2: with %s, it is primary, for the overlap', async (_what, record) => {
    const { find, time } = setUp(record);
    expect(await find(endpoint)).toEqual({ keyName: 'primary', validUntil: time.in(DAY) });
  });

  it.each(['primary', 'secondary'] as const)(
    'R2: %s is valid until its turn is over, and the overlap after it',
    async (inUse) => {
      const { find } = setUp(aKeyRecord({ turn: aTurn({ inUse }) }));
      expect(await find(endpoint)).toEqual({ keyName: inUse, validUntil: fromStart(31 * DAY) });
    },
  );

  it('R2: a turn that is overdue leaves the overlap from now on', async () => {
    const { find, time } = setUp(aKeyRecord());
    time.advance(40 * DAY);
    expect(await find(endpoint)).toEqual({ keyName: 'primary', validUntil: time.in(DAY) });
  });

  it('R2: what was promised before the policy changed still holds', async () => {
    const promisedUntil = { primary: fromStart(31 * DAY), secondary: undefined };
    const turn = aTurn({ rotateEverySeconds: DAY, overlapSeconds: 60 });
    const { find } = setUp(aKeyRecord({ turn, promisedUntil }));
    expect(await find(endpoint)).toEqual({ keyName: 'primary', validUntil: fromStart(31 * DAY) });
  });

  it('R2: of an endpoint made anew, the rotator has yet to learn: the same key, for the overlap', async () => {
    const { find, time } = setUp(aKeyRecord({ turn: aTurn({ inUse: 'secondary' }) }));
    const answer = await find({ ...endpoint, createdAt: '2026-11-22T09:59:00.000Z' });
    expect(answer).toEqual({ keyName: 'secondary', validUntil: time.in(DAY) });
  });

  it.each([
    ['known', aTurn()],
    ['not looked at yet', undefined],
  ])('a compromised key (%s) is given without a promise until its run is done', async (_what, turn) => {
    const runs = [aRun({ reason: 'compromised', rotationId: 'r' })];
    const { find, time, records } = setUp(aKeyRecord({ turn, runs }));
    expect(await find(endpoint)).toEqual({ keyName: 'primary', validUntil: time.clock() });
    records.change({ turn: aTurn(), runs: [aRun({ reason: 'compromised', rotationId: 'r', doneAt: time.clock() })] });
    time.advance(10);
    expect(await find(endpoint)).toEqual({ keyName: 'primary', validUntil: fromStart(31 * DAY) });
  });
});

describe('the record behind the key in use', () => {
  it('is read once for many callers, and not again for ten seconds', async () => {
    const { find, records, time } = setUp(aKeyRecord());
    await Promise.all([find(endpoint), find(endpoint), find(endpoint)]);
    time.advance(9.9);
    await find(endpoint);
    expect(records.reads).toBe(1);
    records.change({ turn: aTurn({ inUse: 'secondary' }) });
    time.advance(0.1);
    expect(await find(endpoint)).toMatchObject({ keyName: 'secondary' });
    expect(records.reads).toBe(2);
  });

  it('P7: fails where it cannot be read and none is remembered: any key could be about to change', async () => {
    const { find, records } = setUp();
    records.fault = upstream('unavailable');
    expect(await rejectionOf(find(endpoint))).toBe(records.fault);
    records.fault = undefined;
    expect(await find(endpoint)).toMatchObject({ keyName: 'primary' });
  });

  it('R2: a remembered one serves while the store is out of reach, with what it promised when it was read', async () => {
    const { find, records, time, lines } = setUp(aKeyRecord());
    time.advance(29 * DAY);
    await find(endpoint);
    records.fault = upstream('unavailable');
    time.advance(DAY - 1);
    expect(await find(endpoint)).toEqual({ keyName: 'primary', validUntil: fromStart(31 * DAY) });
    expect(lines).toEqual([expect.stringMatching(/^warn .*key_record_read_failed/)]);
  });

  it('asks a store that is out of reach at most every five seconds', async () => {
    const { find, records, time } = setUp(aKeyRecord());
    await find(endpoint);
    records.fault = upstream('throttled');
    time.advance(10);
    await find(endpoint);
    await find(endpoint);
    expect(records.reads).toBe(2);
    time.advance(5);
    await find(endpoint);
    expect(records.reads).toBe(3);
  });

  it('P7: a remembered one whose turn is due says nothing of today: the other key may be in use by now', async () => {
    const { find, records, time } = setUp(aKeyRecord());
    await find(endpoint);
    records.fault = upstream('unavailable');
    time.advance(30 * DAY);
    expect(await rejectionOf(find(endpoint))).toBe(records.fault);
  });

  it.each(['forbidden', 'unexpected'] as const)('P7: a store that answers %s is not out of reach', async (kind) => {
    const { find, records, time } = setUp(aKeyRecord());
    await find(endpoint);
    records.fault = upstream(kind);
    time.advance(10);
    expect(await rejectionOf(find(endpoint))).toBe(records.fault);
  });
});
