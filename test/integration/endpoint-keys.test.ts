import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { READER_IDENTITY } from '../../sandbox/seed.ts';
import { asTokenCredential, createObtainToken } from '../../src/azure/credentials.ts';
import { createMachineLearning } from '../../src/azure/machine-learning.ts';
import { addSeconds } from '../../src/clock.ts';
import type { Identity } from '../../src/config/policy-schema.ts';
import { createAppTokens } from '../../src/issuing/app-tokens.ts';
import { createFindKeyInUse } from '../../src/rotation/key-in-use.ts';
import { rotateKeys } from '../../src/rotation/rotate-keys.ts';
import { withRun } from '../../src/rotation/runs.ts';
import { aRun, createKeyRecords, rotation as rotationOfDays } from '../rotation/key-in-memory.ts';
import { aFetchedWorkspace } from '../support/builders.ts';
import { createLogSpy } from '../support/ports.ts';
import { startAzure, type TestAzure } from './azure.ts';

/** The real plan, loop and SDK against the sandbox's Resource Manager and scoring; only the records are in memory. */

const arm = 'https://management.azure.com';
const rotation = { ...rotationOfDays, rotateEverySeconds: 3600, overlapSeconds: 600 };
const from = aFetchedWorkspace();

let azure: TestAzure;

beforeAll(async () => {
  azure = await startAzure({ SANDBOX_ACCESS_TOKEN_SECONDS: '86400' });
});
beforeEach(() => azure.reset());
afterAll(async () => {
  await azure.stop();
  vi.unstubAllEnvs();
});

function createWorld(sleep = async (seconds: number) => azure.advance(seconds)) {
  const { log } = createLogSpy();
  const clock = azure.now;
  const identities: Record<string, Identity> = {
    reader: { use: 'fetch', managedIdentity: { clientId: READER_IDENTITY.clientId } },
  };
  const readSecret = () => Promise.reject(new Error('no identity here has a secret'));
  const authorityHost = azure.endpoints.entra;
  const obtain = createObtainToken({
    ...{ identities, authorityHost, instanceDiscovery: false, readSecret },
    getClientAssertion: () => Promise.reject(new Error('no identity here is federated')),
  });
  const getAppToken = createAppTokens({ identities: ['reader'], obtain, clock, log });
  const machineLearning = createMachineLearning({
    armEndpoint: azure.endpoints.arm,
    armScope: `${arm}/.default`,
    credentialOf: (identity) => asTokenCredential(getAppToken, identity),
    clock,
    watched: (call) => call(),
    regenerationWait: { waitSeconds: 20, pollSeconds: 2, sleep },
  });
  const records = createKeyRecords();
  const workspaces = new Map([['prod', from]]);
  const options = { ports: { machineLearning, records, workspaces }, clock, newId: () => crypto.randomUUID(), log };
  const find = createFindKeyInUse({ rotations: [rotation], workspaces, records, clock, log });
  return {
    records,
    round: () => rotateKeys(rotation, addSeconds(clock(), 60), options),
    ask(reason: 'requested' | 'compromised') {
      const { runs } = records.peek();
      records.change({ runs: withRun(runs, aRun({ id: `run-${runs.length}`, reason, requestedAt: clock() })) });
    },
    /** What a caller would be given once the issuer has read the record again. */
    async handOut() {
      azure.advance(10);
      const { keyName, validUntil } =
        (await find(await machineLearning.getEndpoint(from.workspace, 'fraud-scorer'))) ?? {};
      const { primaryKey, secondaryKey } = await machineLearning.listKeys(from.workspace, 'fraud-scorer');
      return { keyName, validUntil, key: keyName === 'primary' ? primaryKey : secondaryKey };
    },
  };
}

/** The status with which the endpoint answers a caller who has this key. */
async function score(key: string): Promise<number> {
  const answer = await fetch(`${azure.endpoints.scoring}/ml-prod/fraud-scorer/score`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${key}`, 'Content-Type': 'application/json' },
    body: JSON.stringify({ data: [[1, 2, 3]] }),
  });
  await answer.arrayBuffer();
  return answer.status;
}

describe('endpoint keys by turns, against Resource Manager', () => {
  it('R1, R2: the key handed out before a turn works until its validUntil, the one after it works at once', async () => {
    const world = createWorld();
    await world.round();
    const first = await world.handOut();
    expect(first.keyName).toBe('primary');
    azure.advance(rotation.rotateEverySeconds);
    expect(await world.round()).toMatchObject({ reason: 'settled' });
    const second = await world.handOut();
    expect(second.keyName).toBe('secondary');
    expect([await score(first.key), await score(second.key)]).toEqual([200, 200]);

    world.ask('requested');
    expect(await world.round()).toMatchObject({ reason: 'key_promised' });
    azure.advance(rotation.overlapSeconds + 60);
    expect(azure.now() > (first.validUntil ?? azure.now())).toBe(true);
    expect(await world.round()).toMatchObject({ reason: 'settled' });
    const third = await world.handOut();
    expect(third.keyName).toBe('primary');
    expect([await score(first.key), await score(second.key), await score(third.key)]).toEqual([401, 200, 200]);
  });

  it('compromised: afterwards neither of the keys of before works', async () => {
    const world = createWorld();
    await world.round();
    const before = await world.handOut();
    world.ask('compromised');
    const asked = await world.handOut();
    expect(asked.validUntil && asked.validUntil <= azure.now()).toBe(true);
    expect(await world.round()).toMatchObject({ reason: 'settled' });
    const after = await world.handOut();
    expect([await score(before.key), await score(after.key)]).toEqual([401, 200]);
    expect(world.records.peek().runs).toMatchObject([{ reason: 'compromised', doneAt: expect.any(Date) }]);
  });

  it('R1: a regeneration whose answer is lost is finished a minute later, and not begun twice', async () => {
    const world = createWorld();
    await world.round();
    world.ask('requested');
    await azure.fault({ service: 'arm', match: 'regenerateKeys', commitThenDrop: true, times: 1 });
    expect(await world.round()).toMatchObject({ reason: 'step_failed' });
    azure.advance(60);
    expect(await world.round()).toMatchObject({ reason: 'settled' });
    expect((await world.handOut()).keyName).toBe('secondary');
    const calls = await azure.calls('arm');
    expect(calls.filter(({ path }) => path.endsWith('/regenerateKeys'))).toHaveLength(1);
  });

  it('one that never ends is noticed; the key in use goes on to work, and no second one is begun beside it', async () => {
    // The operation begins on a clock that is ahead, which then goes back.
    const AHEAD_SECONDS = 20_000;
    let isAhead = false;
    const world = createWorld(async () => {
      if (isAhead) azure.advance(-AHEAD_SECONDS);
      isAhead = false;
    });
    await world.round();
    const inUse = await world.handOut();
    world.ask('requested');
    azure.advance(AHEAD_SECONDS);
    isAhead = true;
    // The record's times are ahead too: put back with the clock.
    await world.round();
    const { regeneration } = world.records.peek();
    if (regeneration === undefined) throw new Error('a regeneration is under way');
    world.records.change({ regeneration: { ...regeneration, begunAt: azure.now(), triedAt: azure.now() } });

    azure.advance(890);
    expect(await world.round()).toMatchObject({ reason: 'key_regenerating' });
    azure.advance(10);
    expect(await world.round()).toMatchObject({ reason: 'regeneration_stuck' });
    expect(await score(inUse.key)).toBe(200);
    expect((await world.handOut()).key).toBe(inUse.key);
    azure.advance(2700);
    expect(await world.round()).toMatchObject({ reason: 'regeneration_stuck' });
    const calls = await azure.calls('arm');
    expect(calls.flatMap(({ path, status }) => (path.endsWith('/regenerateKeys') ? [status] : []))).toEqual([202, 409]);

    azure.advance(AHEAD_SECONDS);
    expect(await world.round()).toMatchObject({ reason: 'settled' });
    const next = await world.handOut();
    expect([next.keyName, await score(next.key), await score(inUse.key)]).toEqual(['secondary', 200, 200]);
  });

  it('what cannot be read is not concluded from: a throttled list, an endpoint without keys, one that is gone', async () => {
    const world = createWorld();
    await azure.fault({ service: 'arm', match: 'listKeys', status: 429, retryAfterSeconds: 30, times: 1 });
    expect(await world.round()).toMatchObject({ reason: 'unreadable' });
    await azure.operate('set-auth-mode', { workspace: 'prod', endpoint: 'fraud-scorer', authMode: 'AMLToken' });
    expect(await world.round()).toMatchObject({ reason: 'not_in_key_mode' });
    await azure.operate('delete-endpoint', { workspace: 'prod', endpoint: 'fraud-scorer' });
    expect(await world.round()).toMatchObject({ reason: 'endpoint_not_found' });
    await azure.fault({ service: 'arm', status: 403, code: 'AuthorizationFailed', times: 1 });
    expect(await world.round()).toMatchObject({ reason: 'endpoint_forbidden' });
    expect(world.records.peek().turn).toBeUndefined();
  });
});
