import { describe, expect, it } from 'vitest';
import { addSeconds } from '../../src/clock.ts';
import { UpstreamError } from '../../src/errors.ts';
import { newRecord, type Rotation } from '../../src/rotation/facts.ts';
import type { RotationPorts } from '../../src/rotation/ports.ts';
import { look, rotate } from '../../src/rotation/rotate.ts';
import { createWriteBudget, GRAPH_WRITES, type WriteBudget } from '../../src/rotation/write-budget.ts';
import { createMovableClock } from '../support/clock.ts';
import { createLogSpy } from '../support/ports.ts';
import { createRecords } from './in-memory/records.ts';

const DAY = 86_400;
const rotation: Rotation = {
  name: 'trainer-password',
  tenantId: 'tenant',
  clientId: 'client',
  application: 'object',
  rotateEverySeconds: 30 * DAY,
  lifetimeSeconds: 90 * DAY,
  overlapSeconds: DAY,
};
const limits = { proofs: 1, spreadSeconds: 0, orphanGraceSeconds: 1200 };

/** A settled rotation whose previous password may go, in an Azure that answers the same for ever. */
function setUp(change: Partial<RotationPorts['applications']> = {}, budget?: WriteBudget) {
  const time = createMovableClock();
  const { clock } = time;
  const ago = (seconds: number) => addSeconds(clock(), -seconds);
  const { log, lines } = createLogSpy();
  const calls: string[] = [];
  const records = createRecords();
  const password = (keyId: string, days: number) => ({
    keyId,
    displayName: `aml-token-broker/${rotation.name}/${keyId}`,
    startsOn: ago(days * DAY),
    endsOn: addSeconds(ago(days * DAY), 90 * DAY),
  });
  records.change(rotation.name, {
    ...newRecord(rotation.name),
    promoted: 'k1',
    replaced: ['k0'],
    proof: { keyId: 'k1', of: 'current', successes: 1, firstAt: ago(9), lastTriedAt: ago(9), refused: undefined },
  });
  const ports: RotationPorts = {
    applications: {
      async read() {
        calls.push('applications.read');
        return { kind: 'found', value: { appId: 'client', passwords: [password('k1', 5), password('k0', 35)] } };
      },
      addPassword: () => Promise.reject(new Error('nothing is due')),
      async removePassword(_objectId, keyId) {
        calls.push(`remove ${keyId}`);
      },
      ...change,
    },
    vault: {
      async look(name) {
        calls.push(`look ${name}`);
        return {
          kind: 'found',
          value: {
            version: 'v1',
            createdOn: ago(5 * DAY),
            expiresOn: addSeconds(clock(), 85 * DAY),
            keyId: 'k1',
            rotation: rotation.name,
            rotationId: 'r1',
            versions: 2,
          },
        };
      },
      readValue: () => Promise.reject(new Error('nothing is to be proved')),
      write: () => Promise.reject(new Error('nothing is to be written')),
    },
    signIn: () => Promise.reject(new Error('nothing is to be proved')),
    records,
  };
  const options = {
    ports,
    limits,
    clock,
    log,
    newId: () => 'id',
    budget: budget ?? createWriteBudget({ clock, ...GRAPH_WRITES }),
  };
  return { time, ports, calls, records, lines, options, until: addSeconds(clock(), 60) };
}

describe('a look', () => {
  it('R1: reads pending before current and both before Graph, so that a password on its way is seen somewhere', async () => {
    const { ports, calls, options } = setUp();
    await look(rotation, ports, options.clock);
    expect(calls).toEqual([`look ${rotation.name}-pending`, `look ${rotation.name}`, 'applications.read']);
  });
});

describe('rotate', () => {
  it('removes a password once, and waits where Graph’s list still shows it', async () => {
    const { calls, records, options, until } = setUp();
    const planned = await rotate(rotation, until, options);
    expect(calls.filter((call) => call.startsWith('remove'))).toEqual(['remove k0']);
    expect(planned).toEqual({
      reason: 'overlap_over',
      step: { do: 'nothing', until: addSeconds(options.clock(), 10) },
    });
    expect(records.peek(rotation.name).status).toMatchObject({
      reason: 'overlap_over',
      lastStep: { step: 'remove' },
      error: undefined,
    });
  });

  it('R5: writes down which step failed and why, and tries again when Azure says', async () => {
    const { records, lines, options, until } = setUp({
      removePassword: () =>
        Promise.reject(new UpstreamError({ service: 'graph', kind: 'throttled', status: 429, retryAfterSeconds: 33 })),
    });
    const planned = await rotate(rotation, until, options);
    const again = addSeconds(options.clock(), 33);
    expect(planned).toEqual({ reason: 'step_failed', step: { do: 'nothing', until: again } });
    expect(records.peek(rotation.name).status).toMatchObject({
      reason: 'step_failed',
      nextAt: again,
      lastStep: undefined,
      error: { step: 'remove', what: 'graph: throttled (429)' },
    });
    expect(lines.join()).toContain('rotation_step_failed');
  });

  it('writes nothing to Graph while the allowance is used up, and says when it goes on', async () => {
    const free = new Date('2030-01-01T00:00:00.000Z');
    const { calls, options, until } = setUp({}, { take: () => free, pauseUntil() {} });
    expect(await rotate(rotation, until, options)).toEqual({
      reason: 'write_budget',
      step: { do: 'nothing', until: free },
    });
    expect(calls.filter((call) => call.startsWith('remove'))).toEqual([]);
  });

  it('takes no step after its time, and says that it is due', async () => {
    const { calls, records, options } = setUp();
    const over = options.clock();
    expect(await rotate(rotation, over, options)).toMatchObject({ step: { do: 'remove' } });
    expect(calls.filter((call) => call.startsWith('remove'))).toEqual([]);
    expect(records.peek(rotation.name).status).toMatchObject({ reason: 'overlap_over', nextAt: over });
  });

  it('R5: a status that does not change is written again after ten minutes, not before', async () => {
    const { time, records, options } = setUp({ read: async () => ({ kind: 'forbidden' }) });
    const later = () => addSeconds(options.clock(), 60);
    const at: (Date | undefined)[] = [];
    for (const seconds of [0, 30, 569, 1]) {
      time.advance(seconds);
      await rotate(rotation, later(), options);
      at.push(records.peek(rotation.name).status?.at);
    }
    expect(at[1]).toEqual(at[0]);
    expect(at[2]).toEqual(at[0]);
    expect(at[3]).toEqual(options.clock());
    expect(records.peek(rotation.name).status).toMatchObject({ reason: 'not_owned', nextAt: undefined });
  });
});
