import { addSeconds, type Clock } from '../../src/clock.ts';
import { UpstreamError } from '../../src/errors.ts';
import type { FetchedWorkspace } from '../../src/freshness/fetched-workspaces.ts';
import { endpointId, type KeyName } from '../../src/freshness/ports.ts';
import { type KeyRecord, type KeyRotation, newKeyRecord } from '../../src/rotation/key-facts.ts';
import { createFindKeyInUse, type KeyInUse } from '../../src/rotation/key-in-use.ts';
import type { KeyPorts, KeyRecords } from '../../src/rotation/key-ports.ts';
import { rotateKeys } from '../../src/rotation/rotate-keys.ts';
import { withRun } from '../../src/rotation/runs.ts';
import { aFetchedWorkspace, anEndpoint, upstream } from '../support/builders.ts';
import { createLogSpy } from '../support/ports.ts';
import { createRandom } from './in-memory/random.ts';
import { createVirtualTime } from './in-memory/virtual-time.ts';

/** One endpoint in key mode with its rotators, issuers, callers and operators, on one virtual clock. */

export const START = new Date('2026-11-22T10:00:00.000Z');
const HOUR = 3600;

/** Two sets of terms, between which the policy changes. */
const terms = [
  { rotateEverySeconds: 2 * HOUR, overlapSeconds: 1200 },
  { rotateEverySeconds: HOUR, overlapSeconds: 600 },
] as const;

export type WorldEvent = { atSeconds: number } & (
  | { do: 'request'; reason: 'requested' | 'compromised' }
  /** The rotator dies at its call after so many more; whatever the call does is done. */
  | { do: 'crash'; rotator: 0 | 1; afterCalls: number }
  /** So many calls do their work and lose their answer. */
  | { do: 'lose_answers'; times: number }
  | { do: 'outage'; of: 'machine_learning' | 'records'; seconds: number }
  /** The next operations of Azure ML take so long. */
  | { do: 'operations_take'; seconds: number }
  /** The next calls for a regeneration reach Azure ML only after so long. */
  | { do: 'calls_are_late'; seconds: number }
  | { do: 'recreate' }
  | { do: 'terms'; index: 0 | 1 }
);

interface HandedOut extends KeyInUse {
  value: string;
  at: Date;
}

/** A value that stopped working. */
interface Death {
  at: Date;
  key: KeyName;
  value: string;
}

/** A client gives a call up after this; the call itself may go on. */
const TIMEOUT_SECONDS = 10;
/** The adapter follows an operation for so long. */
const FOLLOW_SECONDS = 20;
/** How far an issuer's clock may be wrong. */
const SKEW_SECONDS = 10;
/** From a word in the store to every issuer's ear: its cache, answers that are lost, and a clock that is wrong. */
const HEARD_SECONDS = 90;

export async function runKeyWorld(seed: number, events: readonly WorldEvent[], quietFromSeconds: number) {
  const random = createRandom(seed);
  const time = createVirtualTime(START);
  const { clock } = time;
  const from = aFetchedWorkspace();
  const workspaces = new Map<string, FetchedWorkspace>([['prod', from]]);
  const { log } = createLogSpy();
  const violations: string[] = [];
  const say = (text: string) => {
    if (violations.length < 5) violations.push(`${(clock().getTime() - START.getTime()) / 1000} s: ${text}`);
  };
  const first: KeyRotation = { name: 'fraud-keys', workspace: 'prod', endpoint: 'fraud-scorer', ...terms[0] };
  const state = {
    rotation: first,
    losing: 0,
    outages: { machine_learning: START, records: START },
    operationSeconds: 5,
    lateSeconds: 0,
    over: false,
  };
  const sleep = (seconds: number) => time.sleep(seconds * 1000);

  // Azure ML
  let serial = 0;
  const newValue = (key: KeyName) => `${key}-${++serial}`;
  let endpoint = anEndpoint({ id: endpointId(from.workspace, 'fraud-scorer'), name: 'fraud-scorer', authMode: 'key' });
  let keys: Record<KeyName, string> = { primary: newValue('primary'), secondary: newValue('secondary') };
  let operation: { endsAt: Date } | undefined;
  const deaths: Death[] = [];
  const endOf = new Map<string, Date>();
  const handedOut: HandedOut[] = [];

  const recordOutages: { startsAt: Date; endsAt: Date }[] = [];
  const compromised: { requestedAt: Date; id: string; values: string[] }[] = [];
  /**
   * The one exception: values that die while an operator's word is being followed, handed out before the issuer could
   * hear of it: for as long as the store is out of reach it goes on with the record that it has.
   */
  const isExcused = (at: Date, handedAt: Date) =>
    compromised.some(({ requestedAt, id }) => {
      const { doneAt } = rows.get(state.rotation.name)?.record.runs.find((run) => run.id === id) ?? {};
      const reachableAt = recordOutages.reduce(
        (heardAt, { startsAt, endsAt }) =>
          startsAt <= addSeconds(heardAt, HEARD_SECONDS) && endsAt > heardAt ? endsAt : heardAt,
        requestedAt,
      );
      const heardAt = addSeconds(reachableAt, HEARD_SECONDS);
      return requestedAt <= at && (doneAt === undefined || at <= doneAt) && handedAt <= heardAt;
    });
  const changeKey = (key: KeyName) => {
    const value = keys[key];
    const death = { at: clock(), key, value };
    endOf.set(value, death.at);
    keys = { ...keys, [key]: newValue(key) };
    for (const handed of handedOut) {
      if (handed.value !== value || handed.validUntil <= clock() || isExcused(clock(), handed.at)) continue;
      say(`R2: ${value}, handed out until ${handed.validUntil.toISOString()}, stopped working`);
    }
    const before = deaths.at(-1);
    if (before !== undefined && before.key !== key && !isExcused(clock(), START)) {
      const gap = (clock().getTime() - before.at.getTime()) / 1000;
      if (gap < terms[1].overlapSeconds) say(`R2: both keys changed within ${gap} s`);
    }
    deaths.push(death);
  };

  const call = async <T>(of: 'machine_learning' | 'records', act: () => T): Promise<T> => {
    await sleep(random.between(0.01, 0.5));
    if (clock() < state.outages[of]) throw upstream('unavailable');
    const result = act();
    if (state.losing > 0) {
      state.losing -= 1;
      await sleep(TIMEOUT_SECONDS);
      throw upstream('unavailable');
    }
    await sleep(random.between(0.01, 0.5));
    return result;
  };

  const begin = (key: KeyName): { endsAt: Date } | undefined => {
    if (operation !== undefined) return undefined;
    const of = endpoint;
    const begun = { endsAt: addSeconds(clock(), state.operationSeconds) };
    operation = begun;
    time.at(begun.endsAt, () => {
      if (operation === begun) operation = undefined;
      if (endpoint === of) changeKey(key);
    });
    return begun;
  };
  const machineLearning: KeyPorts['machineLearning'] = {
    getEndpoint: () => call('machine_learning', () => endpoint),
    listKeys: () => call('machine_learning', () => ({ primaryKey: keys.primary, secondaryKey: keys.secondary })),
    async regenerateKey(_workspace, _name, key) {
      if (state.lateSeconds > 0) {
        // Held up on its way: its sender has given up before it arrives.
        time.at(addSeconds(clock(), state.lateSeconds), () => void begin(key));
        await sleep(TIMEOUT_SECONDS);
        throw upstream('unavailable');
      }
      const begun = await call('machine_learning', () => begin(key));
      if (begun === undefined) return 'busy';
      await sleep(Math.min(FOLLOW_SECONDS, Math.max(0, (begun.endsAt.getTime() - clock().getTime()) / 1000)));
      return begun.endsAt <= clock() ? 'ended' : 'running';
    },
  };

  // The store of records
  const rows = new Map<string, { record: KeyRecord; etag: string }>();
  let writes = 0;
  const records: KeyRecords = {
    list: () => call('records', () => [...rows.values()].map(({ record }) => record)),
    read: (name) => call('records', () => rows.get(name) ?? { record: newKeyRecord(name), etag: undefined }),
    write: (record, etag) =>
      call('records', () => {
        if (rows.get(record.rotation)?.etag !== etag) throw upstream('conflict');
        const row = { record, etag: `etag-${++writes}` };
        rows.set(record.rotation, row);
        return row;
      }),
  };

  // Rotators: each dies where it is told to, and begins anew a while later.
  const deathsLeft: [number, number] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
  const mortal =
    (rotator: 0 | 1, died: () => void) =>
    async <T>(act: () => Promise<T>): Promise<T> => {
      const result = await act();
      deathsLeft[rotator] -= 1;
      if (deathsLeft[rotator] >= 0) return result;
      deathsLeft[rotator] = Number.POSITIVE_INFINITY;
      died();
      return new Promise<T>(() => undefined);
    };
  const runRotator = async (rotator: 0 | 1): Promise<void> => {
    while (!state.over) {
      await sleep(random.between(5, 60));
      const death = Promise.withResolvers<void>();
      const live = mortal(rotator, death.resolve);
      const ports: KeyPorts = {
        workspaces,
        machineLearning: {
          getEndpoint: (...given) => live(() => machineLearning.getEndpoint(...given)),
          listKeys: (...given) => live(() => machineLearning.listKeys(...given)),
          regenerateKey: (...given) => live(() => machineLearning.regenerateKey(...given)),
        },
        records: {
          list: () => live(() => records.list()),
          read: (name) => live(() => records.read(name)),
          write: (...given) => live(() => records.write(...given)),
        },
      };
      const newId = () => `regeneration-${++serial}`;
      const round = rotateKeys(state.rotation, addSeconds(clock(), 60), { ports, clock, newId, log });
      await Promise.race([round.catch(ignoreUpstream), death.promise]);
    }
  };

  // Issuers, each with a clock of its own, and the callers who ask them.
  const runIssuer = async (skewSeconds: number): Promise<void> => {
    const skewed: Clock = () => addSeconds(clock(), skewSeconds);
    const find = createFindKeyInUse({ rotations: [state.rotation], workspaces, records, clock: skewed, log });
    while (!state.over) {
      await sleep(random.between(1, 120));
      try {
        const answer = await find(endpoint);
        if (answer === undefined) throw new Error('the rotation is of this endpoint');
        const seen = await machineLearning.listKeys(from.workspace, 'fraud-scorer');
        const value = answer.keyName === 'primary' ? seen.primaryKey : seen.secondaryKey;
        const works = Object.values(keys).includes(value);
        if (!works && !isExcused(clock(), START) && !recreated()) say(`R1: ${value} was handed out and does not work`);
        // An answer that promises nothing, by a clock that may be fast.
        const promises = answer.validUntil > addSeconds(clock(), SKEW_SECONDS);
        if (works && promises) handedOut.push({ ...answer, value, at: clock() });
      } catch (error) {
        ignoreUpstream(error);
      }
    }
  };
  let recreatedAt = START;
  const recreated = () => clock() < addSeconds(recreatedAt, TIMEOUT_SECONDS);

  // Operators
  const request = async (reason: 'requested' | 'compromised', id: string): Promise<void> => {
    const requestedAt = clock();
    if (reason === 'compromised') compromised.push({ requestedAt, id, values: Object.values(keys) });
    for (let done = false; !done && !state.over; ) {
      try {
        const { record, etag } = await records.read(state.rotation.name);
        const run = { id, reason, requestedAt, rotationId: undefined, doneAt: undefined };
        const isThere = record.runs.some((one) => one.id === id);
        if (!isThere) await records.write({ ...record, runs: withRun(record.runs, run) }, etag);
        done = true;
      } catch (error) {
        ignoreUpstream(error);
        await sleep(1);
      }
    }
  };

  const happen = (event: WorldEvent): void => {
    switch (event.do) {
      case 'request':
        void request(event.reason, `run-${++serial}`);
        return;
      case 'crash':
        deathsLeft[event.rotator] = event.afterCalls;
        return;
      case 'lose_answers':
        state.losing += event.times;
        return;
      case 'outage':
        state.outages[event.of] = addSeconds(clock(), event.seconds);
        if (event.of === 'records') recordOutages.push({ startsAt: clock(), endsAt: state.outages.records });
        return;
      case 'operations_take':
        state.operationSeconds = event.seconds;
        return;
      case 'calls_are_late':
        state.lateSeconds = event.seconds;
        return;
      case 'recreate':
        recreatedAt = clock();
        for (const value of Object.values(keys)) endOf.set(value, recreatedAt);
        endpoint = { ...endpoint, createdAt: clock().toISOString() };
        keys = { primary: newValue('primary'), secondary: newValue('secondary') };
        operation = undefined;
        handedOut.splice(0);
        deaths.splice(0);
        return;
      case 'terms':
        state.rotation = { ...state.rotation, ...terms[event.index] };
        return;
    }
  };

  for (const event of events) time.at(addSeconds(START, event.atSeconds), () => happen(event));
  time.at(addSeconds(START, quietFromSeconds), () => {
    Object.assign(state, { losing: 0, operationSeconds: 5, lateSeconds: 0 });
    state.outages = { machine_learning: START, records: START };
  });
  // Long enough for every promise to end, for a stuck operation to be asked for again, and for the turns after it.
  const endsAt = addSeconds(START, quietFromSeconds + 8 * HOUR);
  time.at(endsAt, () => {
    state.over = true;
  });
  void runRotator(0);
  void runRotator(1);
  void runIssuer(SKEW_SECONDS);
  void runIssuer(-SKEW_SECONDS);
  await time.run(
    () => undefined,
    () => clock() >= endsAt,
  );
  const record = rows.get(state.rotation.name)?.record ?? newKeyRecord(state.rotation.name);
  for (const { id, values } of compromised) {
    const doneAt = record.runs.find((run) => run.id === id)?.doneAt;
    for (const value of values) {
      const diedAt = endOf.get(value);
      if (doneAt !== undefined && (diedAt === undefined || diedAt > doneAt)) say(`${value} outlived ${id}`);
    }
  }
  return { violations, record, deaths, handedOut, now: clock(), keys };
}

function ignoreUpstream(error: unknown): void {
  if (!(error instanceof UpstreamError)) throw error;
}
