import { beforeEach, describe, expect, it } from 'vitest';
import { addSeconds } from '../../src/clock.ts';
import { UpstreamError, type UpstreamKind } from '../../src/errors.ts';
import type { Rotation } from '../../src/rotation/facts.ts';
import type { Step } from '../../src/rotation/plan.ts';
import type { RotationPorts } from '../../src/rotation/ports.ts';
import { look } from '../../src/rotation/rotate.ts';
import type { Run } from '../../src/rotation/runs.ts';
import { pendingName, takeStep } from '../../src/rotation/take-step.ts';
import { createRandom } from './in-memory/random.ts';
import { createVirtualTime } from './in-memory/virtual-time.ts';
import { createWorld, type World } from './in-memory/world.ts';

const START = new Date('2026-11-22T10:00:00.000Z');
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

const PENDING = pendingName(rotation.name);

const attempt = { rotationId: 'r1', why: 'due', begunAt: START, addTriedAt: undefined } as const;
const aRun = (more: Partial<Run> = {}): Run => ({
  id: 'run',
  reason: 'requested',
  requestedAt: START,
  rotationId: undefined,
  doneAt: undefined,
  ...more,
});
const refused = (kind: UpstreamKind) => new UpstreamError({ kind, service: 'graph' });

let world: World;
/** What the ports were asked, in order; reads left out. */
let calls: string[];
let ports: RotationPorts;
let clock: () => Date;

beforeEach(() => {
  const time = createVirtualTime(START);
  const random = createRandom(1);
  world = createWorld({
    ...{ time, random, rotation, propagationSeconds: 0, graphLagSeconds: 0, vaultClockSkewSeconds: 0 },
    onAdded: () => undefined,
    onRemoved: () => undefined,
  });
  clock = time.clock;
  calls = [];
  const { applications, vault, records } = world.ports;
  ports = {
    ...world.ports,
    applications: {
      read: (id) => applications.read(id),
      addPassword: (id, wanted) => {
        calls.push(`add ${wanted.displayName} until ${wanted.endsOn.toISOString()}`);
        return applications.addPassword(id, wanted);
      },
      removePassword: (id, keyId) => {
        calls.push(`remove ${keyId}`);
        return applications.removePassword(id, keyId);
      },
    },
    vault: {
      look: (name) => vault.look(name),
      readValue: (name, version) => vault.readValue(name, version),
      write: (name, secret) => {
        calls.push(`write ${name} ${secret.keyId}`);
        return vault.write(name, secret);
      },
    },
    records: {
      list: () => records.list(),
      read: (name) => records.read(name),
      write: (record, etag) => {
        calls.push('record');
        return records.write(record, etag);
      },
    },
  };
});

const take = async (step: Step) => {
  const { facts, etag } = await look(rotation, ports, clock);
  return takeStep(step, facts, etag, { ports, clock, newId: () => 'r2' });
};
const record = () => world.records.peek(rotation.name);
const change = (changed: Parameters<World['records']['change']>[1]) => world.records.change(rotation.name, changed);

/** A password with its text in a version of a secret. */
function store(name: string, rotationId: string, at = addSeconds(START, -10)) {
  const endsOn = addSeconds(START, 90 * DAY);
  const { keyId, text } = world.graph.seed({
    displayName: `aml-token-broker/${rotation.name}/${rotationId}`,
    startsOn: at,
    endsOn,
  });
  world.vault.seed(name, { value: text, expiresOn: endsOn, keyId, rotation: rotation.name, rotationId }, at);
  return { keyId, text, endsOn };
}

describe('begin', () => {
  it('writes the attempt down, and every open run with it', async () => {
    change({
      runs: [aRun({ id: 'over', doneAt: START, rotationId: 'r0' }), aRun(), aRun({ id: 'two', rotationId: 'r1' })],
    });
    expect(await take({ do: 'begin', why: 'due' })).toBe(true);
    expect(record().attempt).toEqual({ rotationId: 'r2', why: 'due', begunAt: START, addTriedAt: undefined });
    expect(record().runs.map(({ id, rotationId }) => `${id} ${rotationId}`)).toEqual(['over r0', 'run r2', 'two r2']);
  });

  it.each([
    ['requested', undefined],
    ['compromised', undefined],
    ['due', { of: 90 * DAY, to: 45 * DAY }],
  ] as const)('%s: what was refused before is tried again only for an operator', async (why, shortened) => {
    const before = { of: 90 * DAY, to: 45 * DAY };
    change({ shortened: before, addRefused: { why: 'too_many_passwords', of: 90 * DAY, at: START } });
    await take({ do: 'begin', why });
    expect(record().shortened).toEqual(shortened);
    expect(record().addRefused === undefined).toBe(why !== 'due');
  });
});

describe('add', () => {
  it('writes down that it tries, adds with the mark and the life, and stores the text at once', async () => {
    change({ attempt });
    expect(await take({ do: 'add', rotationId: 'r1' })).toBe(true);
    const end = addSeconds(START, 90 * DAY).toISOString();
    expect(calls).toEqual([
      'record',
      `add aml-token-broker/trainer-password/r1 until ${end}`,
      `write ${PENDING} key-1`,
    ]);
    expect(record().attempt?.addTriedAt).toEqual(START);
    expect(world.vault.versions(PENDING).at(-1)?.told).toMatchObject({
      keyId: 'key-1',
      rotation: rotation.name,
      rotationId: 'r1',
      expiresOn: addSeconds(START, 90 * DAY),
    });
  });

  it('does nothing without an attempt, and nothing when another rotator moved the record on', async () => {
    expect(await take({ do: 'add', rotationId: 'r1' })).toBe(false);
    change({ attempt });
    const { facts, etag } = await look(rotation, ports, clock);
    change({ attempt });
    await expect(
      takeStep({ do: 'add', rotationId: 'r1' }, facts, etag, { ports, clock, newId: () => 'r2' }),
    ).rejects.toMatchObject({ kind: 'conflict' });
    expect(calls).toEqual(['record']);
  });

  it('does nothing on a look that is older than 15 s', async () => {
    change({ attempt });
    const { facts, etag } = await look(rotation, ports, clock);
    const late = () => addSeconds(clock(), 15.001);
    const step = { do: 'add', rotationId: 'r1' } as const;
    expect(await takeStep(step, facts, etag, { ports, clock: late, newId: () => 'r2' })).toBe(false);
    expect(calls).toEqual([]);
    const inTime = () => addSeconds(clock(), 15);
    expect(await takeStep(step, facts, etag, { ports, clock: inTime, newId: () => 'r2' })).toBe(true);
  });

  it('adds nothing when writing the try down took too long', async () => {
    change({ attempt });
    const { facts, etag } = await look(rotation, ports, clock);
    let now = clock();
    const { write } = ports.records;
    ports.records.write = (...written) => {
      now = addSeconds(now, 16);
      return write(...written);
    };
    const step = { do: 'add', rotationId: 'r1' } as const;
    expect(await takeStep(step, facts, etag, { ports, clock: () => now, newId: () => 'r2' })).toBe(false);
    expect(calls).toEqual(['record']);
  });

  it.each(['throttled', 'forbidden', 'not_found', 'credential_refused'] as const)(
    'may try again at once where Graph made nothing: %s',
    async (kind) => {
      change({ attempt });
      ports.applications.addPassword = () => Promise.reject(refused(kind));
      await expect(take({ do: 'add', rotationId: 'r1' })).rejects.toMatchObject({ kind });
      expect(record().attempt).toEqual(attempt);
    },
  );

  it.each(['unavailable', 'unexpected', 'conflict'] as const)(
    'leaves the try on record where Graph may have made one: %s',
    async (kind) => {
      change({ attempt });
      ports.applications.addPassword = () => Promise.reject(refused(kind));
      await expect(take({ do: 'add', rotationId: 'r1' })).rejects.toMatchObject({ kind });
      expect(record().attempt?.addTriedAt).toEqual(START);
    },
  );

  it('offers the only copy of the text to Key Vault three times', async () => {
    change({ attempt });
    let tries = 0;
    const { write } = ports.vault;
    ports.vault.write = (...written) => {
      tries += 1;
      return tries < 3 ? Promise.reject(refused('unavailable')) : write(...written);
    };
    await take({ do: 'add', rotationId: 'r1' });
    expect(world.vault.versions(PENDING)).toHaveLength(1);
    tries = -1;
    ports.vault.write = () => {
      tries += 1;
      return Promise.reject(refused('unavailable'));
    };
    change({ attempt });
    await expect(take({ do: 'add', rotationId: 'r1' })).rejects.toMatchObject({ kind: 'unavailable' });
    expect(tries).toBe(2);
  });

  it('asks for half the life after a refusal, as long as that covers a period and the overlap', async () => {
    change({ attempt });
    ports.applications.addPassword = async () => 'lifetime_refused';
    await take({ do: 'add', rotationId: 'r1' });
    expect(record()).toMatchObject({ shortened: { of: 90 * DAY, to: 45 * DAY }, attempt, addRefused: undefined });
    await take({ do: 'add', rotationId: 'r1' });
    expect(record()).toMatchObject({
      shortened: { of: 90 * DAY, to: 45 * DAY },
      attempt,
      addRefused: { why: 'lifetime_refused', of: 90 * DAY, at: START },
    });
  });

  it('asks for the shortened life only while the config asks for the life that was refused', async () => {
    change({ attempt, shortened: { of: 90 * DAY, to: 40 * DAY } });
    await take({ do: 'add', rotationId: 'r1' });
    change({ attempt, shortened: { of: 80 * DAY, to: 40 * DAY } });
    await take({ do: 'add', rotationId: 'r1' });
    expect(calls.filter((call) => call.startsWith('add')).map((call) => call.slice(-24))).toEqual(
      [40, 90].map((days) => addSeconds(START, days * DAY).toISOString()),
    );
  });

  it('writes down that the application has no room', async () => {
    change({ attempt });
    ports.applications.addPassword = async () => 'no_room';
    expect(await take({ do: 'add', rotationId: 'r1' })).toBe(true);
    expect(record()).toMatchObject({
      attempt,
      shortened: undefined,
      addRefused: { why: 'too_many_passwords', of: 90 * DAY, at: START },
    });
  });
});

describe('prove', () => {
  it('signs in with exactly the version that was looked at', async () => {
    const { keyId } = store(PENDING, 'r1');
    expect(await take({ do: 'prove', of: 'pending', keyId, version: 'v1' })).toBe(true);
    expect(record().proof).toMatchObject({ keyId, of: 'pending', successes: 1, refused: undefined });
    expect(await take({ do: 'prove', of: 'pending', keyId, version: 'v0' })).toBe(false);
    expect(record().proof).toMatchObject({ successes: 1 });
  });

  it('ends the runs of the attempt whose secret is current, and no other run', async () => {
    const { keyId } = store(rotation.name, 'r1');
    change({ runs: [aRun({ rotationId: 'r1' }), aRun({ id: 'next', rotationId: 'r2' }), aRun({ id: 'open' })] });
    await take({ do: 'prove', of: 'current', keyId, version: 'v1' });
    expect(record().runs.map(({ doneAt }) => doneAt)).toEqual([START, undefined, undefined]);
  });

  it('ends no run by a proof of pending', async () => {
    store(rotation.name, 'r1');
    const { keyId } = store(PENDING, 'r1');
    change({ runs: [aRun({ rotationId: 'r1' })] });
    await take({ do: 'prove', of: 'pending', keyId, version: 'v1' });
    expect(record().runs[0]?.doneAt).toBeUndefined();
  });
});

describe('promote', () => {
  const promote = (keyId: string, version = 'v1'): Step => ({
    do: 'promote',
    keyId,
    rotationId: 'r1',
    version,
    expiresOn: addSeconds(START, 90 * DAY),
  });

  it('R2: writes down whom it replaces before it writes the secret, and ends the attempt’s runs after it', async () => {
    const before = store(rotation.name, 'r0', addSeconds(START, -100));
    const { keyId, text } = store(PENDING, 'r1');
    const addRefused = { why: 'too_many_passwords', of: 1, at: START } as const;
    change({ promoted: before.keyId, runs: [aRun({ rotationId: 'r1' })], addRefused });
    expect(await take(promote(keyId))).toBe(true);
    expect(calls).toEqual(['record', `write ${rotation.name} ${keyId}`, 'record']);
    expect(record()).toMatchObject({
      promoted: keyId,
      replaced: [before.keyId],
      proof: undefined,
      addRefused: undefined,
    });
    expect(record().runs[0]?.doneAt).toEqual(START);
    expect(world.vault.versions(rotation.name).at(-1)).toMatchObject({
      value: text,
      told: { keyId, rotation: rotation.name, rotationId: 'r1', expiresOn: addSeconds(START, 90 * DAY) },
    });
  });

  it('writes the record once where nobody waits for it', async () => {
    const { keyId } = store(PENDING, 'r1');
    await take(promote(keyId));
    expect(calls).toEqual(['record', `write ${rotation.name} ${keyId}`]);
    expect(record().replaced).toEqual([]);
  });

  it('does nothing where another version is pending by now', async () => {
    const { keyId } = store(PENDING, 'r1');
    expect(await take(promote(keyId, 'v0'))).toBe(false);
    expect(calls).toEqual([]);
  });

  it('does not write the secret when writing the record took too long', async () => {
    const { keyId } = store(PENDING, 'r1');
    const { facts, etag } = await look(rotation, ports, clock);
    let now = clock();
    const { write } = ports.records;
    ports.records.write = (...written) => {
      now = addSeconds(now, 16);
      return write(...written);
    };
    expect(await takeStep(promote(keyId), facts, etag, { ports, clock: () => now, newId: () => 'r2' })).toBe(false);
    expect(world.vault.versions(rotation.name)).toEqual([]);
  });

  it('gives the version the configured life where Graph’s end is not known', async () => {
    const { keyId } = store(PENDING, 'r1');
    const { facts, etag } = await look(rotation, ports, clock);
    const step = { do: 'promote', keyId, rotationId: 'r1', version: 'v1', expiresOn: undefined } as const;
    await takeStep(step, facts, etag, { ports, clock, newId: () => 'r2' });
    expect(world.vault.versions(rotation.name).at(-1)?.told.expiresOn).toEqual(addSeconds(START, 90 * DAY));
  });

  it('R2: a record that did not see the current one become current counts all of ours from before as predecessors', async () => {
    const older = store('elsewhere', 'r-1', addSeconds(START, -200));
    const before = store(rotation.name, 'r0', addSeconds(START, -100));
    const younger = store('elsewhere', 'r-2', addSeconds(START, -50));
    const foreign = world.graph.seed({
      displayName: 'by hand',
      startsOn: addSeconds(START, -200),
      endsOn: addSeconds(START, DAY),
    });
    const { keyId } = store(PENDING, 'r1');
    await take(promote(keyId));
    expect(record().replaced.toSorted()).toEqual([before.keyId, older.keyId].sort());
    expect(record().replaced).not.toContain(younger.keyId);
    expect(record().replaced).not.toContain(foreign.keyId);
  });

  it('keeps the listed predecessors and forgets those that are gone', async () => {
    const older = store('elsewhere', 'r-1', addSeconds(START, -200));
    const before = store(rotation.name, 'r0', addSeconds(START, -100));
    const { keyId } = store(PENDING, 'r1');
    change({ promoted: before.keyId, replaced: [older.keyId, 'long gone', keyId] });
    await take(promote(keyId));
    expect(record().replaced.toSorted()).toEqual([before.keyId, older.keyId].sort());
  });
});

describe('remove, and nothing', () => {
  it('removes the one password', async () => {
    const { keyId } = store('elsewhere', 'r0');
    expect(await take({ do: 'remove', keyId })).toBe(true);
    expect(calls).toEqual([`remove ${keyId}`]);
    expect(world.graph.passwords()).toEqual([]);
  });

  it('does nothing where there is nothing to do', async () => {
    expect(await take({ do: 'nothing', until: undefined })).toBe(false);
    expect(calls).toEqual([]);
  });
});
