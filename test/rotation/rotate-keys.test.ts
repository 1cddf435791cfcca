import { createHash } from 'node:crypto';
import { beforeEach, describe, expect, it } from 'vitest';
import { addSeconds } from '../../src/clock.ts';
import { type KeyRecord, type KeyRotation, newKeyRecord } from '../../src/rotation/key-facts.ts';
import { createKeyRound } from '../../src/rotation/key-round.ts';
import { rotateKeys } from '../../src/rotation/rotate-keys.ts';
import { withRun } from '../../src/rotation/runs.ts';
import { aFetchedWorkspace, upstream } from '../support/builders.ts';
import { createMovableClock } from '../support/clock.ts';
import { createFakeMachineLearning, createLogSpy, rejectionOf } from '../support/ports.ts';
import { aKeyRecord, aRegeneration, aRun, aTurn, createKeyRecords, DAY, endpoint, rotation } from './key-in-memory.ts';

function createWorld(record?: KeyRecord) {
  const time = createMovableClock();
  const machineLearning = createFakeMachineLearning(time.clock);
  machineLearning.endpoints.set('ml-prod', [endpoint]);
  const records = createKeyRecords(record);
  const { log, lines } = createLogSpy();
  const ports = { machineLearning, records, workspaces: new Map([['prod', aFetchedWorkspace()]]) };
  let ids = 0;
  const newId = () => `regeneration-${++ids}`;
  const options = { ports, clock: time.clock, newId, log };
  return {
    time,
    machineLearning,
    records,
    lines,
    options,
    round: (of: KeyRotation = rotation) => rotateKeys(of, time.in(60), options),
    ask(reason: 'requested' | 'compromised', id = 'run-1') {
      const { runs } = records.peek();
      records.change({ runs: withRun(runs, aRun({ id, reason, requestedAt: time.clock() })) });
    },
    /** What was regenerated since the last look at it. */
    regenerations: () =>
      machineLearning.calls.splice(0).flatMap((call) => (call.startsWith('regenerateKey') ? [call.split(' ')[2]] : [])),
  };
}

let world: ReturnType<typeof createWorld>;
beforeEach(() => {
  world = createWorld();
});

describe('endpoint keys by turns', () => {
  it('the first look takes primary for the key in use and regenerates nothing', async () => {
    expect(await world.round()).toMatchObject({ reason: 'settled' });
    expect(world.records.peek().turn).toEqual(aTurn({ since: world.time.clock() }));
    expect(world.regenerations()).toEqual([]);
  });

  it('R1, R2: each turn takes the other key, and leaves the one before alone for as long as it was promised', async () => {
    await world.round();
    const since = world.time.clock();
    world.time.advance(30 * DAY);
    expect(await world.round()).toMatchObject({ reason: 'settled' });
    expect(world.regenerations()).toEqual(['secondary']);
    expect(world.records.peek()).toMatchObject({
      turn: { inUse: 'secondary', since: world.time.clock() },
      promisedUntil: { primary: addSeconds(since, 31 * DAY), secondary: undefined },
      regeneration: undefined,
    });
    world.time.advance(30 * DAY);
    await world.round();
    expect(world.regenerations()).toEqual(['primary']);
    expect(world.records.peek().turn?.inUse).toBe('primary');
  });

  it('R2: a turn that comes late promises from then on', async () => {
    await world.round();
    world.time.advance(45 * DAY);
    await world.round();
    expect(world.records.peek().promisedUntil.primary).toEqual(world.time.in(DAY));
  });

  it('a request is done when the new key is in use; the next one waits for the promise', async () => {
    await world.round();
    const since = world.time.clock();
    world.time.advance(DAY);
    world.ask('requested');
    await world.round();
    expect(world.records.peek().runs).toEqual([
      expect.objectContaining({ id: 'run-1', rotationId: 'regeneration-1', doneAt: world.time.clock() }),
    ]);
    world.time.advance(DAY);
    world.ask('requested', 'run-2');
    expect(await world.round()).toEqual({
      reason: 'key_promised',
      step: { do: 'nothing', until: addSeconds(since, 31 * DAY + 60) },
    });
    expect(world.regenerations()).toEqual(['secondary']);
  });

  it('compromised renews both keys, the one in use last, whatever was promised; then its run is done', async () => {
    await world.round();
    world.ask('requested');
    await world.round();
    world.regenerations();
    world.ask('compromised', 'run-2');
    expect(await world.round()).toMatchObject({ reason: 'settled' });
    expect(world.regenerations()).toEqual(['primary', 'secondary']);
    expect(world.records.peek()).toMatchObject({ turn: { inUse: 'primary' }, regeneration: undefined });
    expect(world.records.peek().runs[1]).toMatchObject({ id: 'run-2', doneAt: world.time.clock() });
  });

  it('a compromised run is not done while only one key is renewed', async () => {
    await world.round();
    world.ask('compromised');
    const { regenerateKey } = world.machineLearning;
    world.machineLearning.regenerateKey = async (workspace, name, key) => {
      if (key === 'primary') throw upstream('unavailable');
      return regenerateKey(workspace, name, key);
    };
    expect(await world.round()).toMatchObject({ reason: 'step_failed' });
    expect(world.records.peek()).toMatchObject({
      turn: { inUse: 'secondary' },
      regeneration: { key: 'primary', afterTurn: true },
      runs: [{ doneAt: undefined }],
    });
    world.machineLearning.regenerateKey = regenerateKey;
    world.time.advance(60);
    await world.round();
    expect(world.records.peek()).toMatchObject({ regeneration: undefined, runs: [{ doneAt: world.time.clock() }] });
  });

  it('P2: remembers keys as hashes only, and logs neither', async () => {
    await world.round();
    world.machineLearning.regeneration = 'running';
    world.ask('requested');
    await world.round();
    const hash = createHash('sha256').update('secondary-key-of-fraud-scorer').digest('hex');
    expect(world.records.peek().regeneration?.before).toBe(hash);
    expect(JSON.stringify(world.records.peek())).not.toContain('key-of-fraud');
    expect(world.lines.join()).not.toMatch(/key-of-fraud|[0-9a-f]{64}/);
  });
});

describe('endpoint keys: what goes wrong', () => {
  it('R1: a lost answer is mended by the key’s value alone, a minute later', async () => {
    await world.round();
    world.ask('requested');
    const { regenerateKey } = world.machineLearning;
    world.machineLearning.regenerateKey = async (...given) => {
      await regenerateKey(...given);
      throw upstream('unavailable');
    };
    expect(await world.round()).toMatchObject({ reason: 'step_failed' });
    expect(world.records.peek().status?.error).toMatchObject({
      step: 'regenerate',
      what: expect.stringContaining('unavailable'),
    });
    world.time.advance(30);
    expect(await world.round()).toMatchObject({ reason: 'key_regenerating' });
    expect(world.records.peek().turn?.inUse).toBe('primary');
    world.time.advance(30);
    await world.round();
    expect(world.records.peek().turn?.inUse).toBe('secondary');
    expect(world.records.peek().status?.error).toBeUndefined();
    expect(world.regenerations()).toEqual(['secondary']);
  });

  it('an operation that never ends is named after 15 minutes; the key in use stays, and Azure ML is asked once an hour', async () => {
    await world.round();
    world.ask('requested');
    world.machineLearning.regeneration = 'running';
    const reasons = new Set<string>();
    for (let minutes = 0; minutes < 119; minutes++) {
      reasons.add((await world.round()).reason);
      world.time.advance(60);
    }
    expect([...reasons]).toEqual(['key_regenerating', 'regeneration_stuck']);
    expect(world.records.peek().turn?.inUse).toBe('primary');
    expect(world.regenerations()).toEqual(['secondary', 'secondary']);

    world.machineLearning.regeneration = 'ended';
    world.time.advance(60);
    await world.round();
    expect(world.records.peek()).toMatchObject({
      turn: { inUse: 'secondary' },
      runs: [{ doneAt: world.time.clock() }],
    });
  });

  it('while Azure ML is at work on the endpoint, it is asked again every minute', async () => {
    await world.round();
    world.ask('requested');
    world.machineLearning.regeneration = 'busy';
    for (let minutes = 0; minutes < 3; minutes++) {
      await world.round();
      world.time.advance(60);
    }
    expect(world.regenerations()).toEqual(['secondary', 'secondary', 'secondary']);
    world.machineLearning.regeneration = 'ended';
    expect(await world.round()).toMatchObject({ reason: 'settled' });
  });

  it('a role that may list and not regenerate is endpoint_forbidden, and nothing is switched', async () => {
    await world.round();
    world.ask('requested');
    world.machineLearning.regenerateKey = () => Promise.reject(upstream('forbidden', { status: 403 }));
    expect(await world.round()).toMatchObject({ reason: 'endpoint_forbidden' });
    world.time.advance(60);
    expect(await world.round()).toMatchObject({ reason: 'endpoint_forbidden', step: { do: 'nothing' } });
    expect(world.records.peek().turn?.inUse).toBe('primary');
  });

  it('an endpoint made anew goes on with the key that was in use, which nobody was promised to lose, and with what was under way', async () => {
    const runs = [aRun({ rotationId: 'regeneration-1' })];
    const regeneration = aRegeneration({ key: 'primary', before: 'hash before' });
    world = createWorld(aKeyRecord({ turn: aTurn({ inUse: 'secondary' }), regeneration, runs }));
    world.machineLearning.endpoints.set('ml-prod', [{ ...endpoint, createdAt: '2026-11-22T09:59:00.000Z' }]);
    world.time.advance(DAY);
    await world.round();
    expect(world.records.peek()).toMatchObject({ turn: { inUse: 'primary' }, runs: [{ doneAt: world.time.clock() }] });
    expect(world.records.peek().promisedUntil.secondary).toEqual(world.time.in(31 * DAY));
    expect(world.regenerations()).toEqual(['primary']);
  });

  it('another endpoint under the rotation’s name begins anew: primary, no promise, runs that wait', async () => {
    const turn = aTurn({ inUse: 'secondary', endpoint: { id: 'another', createdAt: endpoint.createdAt } });
    const runs = [aRun({ rotationId: 'regeneration-1' }), aRun({ id: 'over', rotationId: 'r', doneAt: new Date(0) })];
    world = createWorld(aKeyRecord({ turn, regeneration: aRegeneration({ key: 'primary' }), runs }));
    world.machineLearning.fault = undefined;
    await rotateKeys(rotation, world.time.clock(), world.options);
    expect(world.regenerations()).toEqual([]);
    await world.round();
    expect(world.regenerations()).toEqual(['secondary']);
    expect(world.records.peek().runs.map(({ id, doneAt }) => [id, doneAt])).toEqual([
      ['run-1', world.time.clock()],
      ['over', new Date(0)],
    ]);
  });

  it('R2: a shorter rotateEvery makes the turn due, and keeps what callers were told before', async () => {
    await world.round();
    const since = world.time.clock();
    world.time.advance(10 * DAY);
    const shorter = { ...rotation, rotateEverySeconds: 7 * DAY, overlapSeconds: 3600 };
    await world.round(shorter);
    expect(world.records.peek()).toMatchObject({
      turn: { inUse: 'secondary', rotateEverySeconds: 7 * DAY, overlapSeconds: 3600 },
      promisedUntil: { primary: addSeconds(since, 31 * DAY) },
    });
  });

  it('a workspace without a fetch identity has no endpoint to be found', async () => {
    expect(await world.round({ ...rotation, workspace: 'elsewhere' })).toMatchObject({ reason: 'endpoint_not_found' });
    expect(world.machineLearning.calls).toEqual([]);
  });

  it('R1: a try that is taken after one in doubt counts from the value of that moment: what was tried before is over', async () => {
    const regeneration = aRegeneration({ before: 'hash before', inDoubt: true, triedAt: world.time.clock() });
    world = createWorld(aKeyRecord({ regeneration }));
    world.machineLearning.regeneration = 'running';
    world.machineLearning.before = async () => {
      // The operation of before ends just when the next one is taken.
      if (world.machineLearning.calls.at(-1)?.startsWith('regenerateKey')) {
        world.machineLearning.regenerated.set('fraud-scorer secondary', 1);
      }
    };
    world.time.advance(60);
    expect(await world.round()).toMatchObject({ reason: 'key_regenerating' });
    const before = createHash('sha256').update('secondary-key-of-fraud-scorer-2').digest('hex');
    expect(world.records.peek().regeneration).toMatchObject({ before, inDoubt: false, outcome: 'running' });
    world.time.advance(120);
    await world.round();
    expect(world.records.peek().turn?.inUse).toBe('primary');
    world.machineLearning.regenerated.set('fraud-scorer secondary', 2);
    await world.round();
    expect(world.records.peek().turn?.inUse).toBe('secondary');
  });

  it('of two rotators at the same moment, one makes the turn', async () => {
    await world.round();
    world.ask('requested');
    await Promise.all([world.round(), world.round()]);
    expect(world.regenerations()).toEqual(['secondary']);
    expect(world.records.peek()).toMatchObject({ turn: { inUse: 'secondary' }, regeneration: undefined });
  });

  it('a request that is stored while Azure ML is at work does not lose the outcome', async () => {
    await world.round();
    world.ask('requested');
    world.machineLearning.before = async () => {
      if (world.machineLearning.calls.at(-1)?.startsWith('regenerateKey')) world.ask('requested', 'run-2');
    };
    await world.round();
    expect(world.records.peek().turn?.inUse).toBe('secondary');
    expect(world.records.peek().runs.map(({ id, doneAt }) => [id, doneAt !== undefined])).toEqual([
      ['run-1', true],
      ['run-2', false],
    ]);
  });

  it('a rotator that was held up after its write does not call Azure ML any more', async () => {
    await world.round();
    world.ask('requested');
    const { write } = world.records;
    world.records.write = async (record, etag) => {
      const stored = await write(record, etag);
      if (record.regeneration?.outcome === 'unknown') world.time.advance(16);
      return stored;
    };
    await world.round();
    expect(world.regenerations()).toEqual([]);
    expect(world.records.peek().turn?.inUse).toBe('primary');
  });

  it('a look that is too old decides nothing', async () => {
    await world.round();
    world.ask('requested');
    let slow = true;
    world.machineLearning.before = async () => {
      if (slow && world.machineLearning.calls.at(-1)?.startsWith('listKeys')) world.time.advance(16);
      slow = false;
    };
    slow = true;
    await world.round();
    expect(world.records.peek().turn?.inUse).toBe('secondary');
  });

  it('fails where the record cannot be read: nothing is known then', async () => {
    world.records.fault = upstream('unavailable');
    expect(await rejectionOf(world.round())).toBe(world.records.fault);
    expect(world.machineLearning.calls).toEqual([]);
  });
});

describe('a round over endpoint keys', () => {
  const roundOf = (of: readonly KeyRotation[]) =>
    createKeyRound({ ...world.options, rotations: of, lookSeconds: 600 })(world.time.in(60));

  it('R5: leaves alone what rests, and looks again when it is time, or when somebody asks', async () => {
    await roundOf([rotation]);
    expect(world.records.peek().status).toMatchObject({ reason: 'settled', lastStep: { step: 'adopt' } });
    world.machineLearning.calls.splice(0);
    world.time.advance(599);
    await roundOf([rotation]);
    expect(world.machineLearning.calls).toEqual([]);
    world.time.advance(1);
    await roundOf([rotation]);
    expect(world.machineLearning.calls).not.toEqual([]);
    world.machineLearning.calls.splice(0);
    world.ask('requested');
    await roundOf([rotation]);
    expect(world.regenerations()).toEqual(['secondary']);
  });

  it('R5: what waits for a person is looked at again after half a minute', async () => {
    world.machineLearning.endpoints.set('ml-prod', []);
    await roundOf([rotation]);
    expect(world.records.peek().status).toMatchObject({ reason: 'endpoint_not_found', nextAt: undefined });
    world.machineLearning.calls.splice(0);
    world.time.advance(29);
    await roundOf([rotation]);
    expect(world.machineLearning.calls).toEqual([]);
    world.time.advance(1);
    await roundOf([rotation]);
    expect(world.machineLearning.calls).not.toEqual([]);
  });

  it('one that fails does not stop the others, and compromised ones go first', async () => {
    const order: string[] = [];
    const { read } = world.records;
    world.records.list = async () => [{ ...newKeyRecord('third'), runs: [aRun({ reason: 'compromised' })] }];
    world.records.read = async (name) => {
      order.push(name);
      if (name === 'third') throw upstream('unavailable');
      return read(name);
    };
    const named = (name: string) => ({ ...rotation, name, endpoint: `endpoint-of-${name}` });
    await roundOf([named('first'), named('second'), named('third')]);
    expect(order.slice(0, 3)).toEqual(['third', 'first', 'second']);
    expect(world.lines.filter((line) => line.includes('rotation_not_read'))).toHaveLength(1);
  });
});
