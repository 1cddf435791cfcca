import { describe, expect, it } from 'vitest';
import type { KeyFacts } from '../../src/rotation/key-facts.ts';
import { planKeys } from '../../src/rotation/key-plan.ts';
import {
  aKeyRecord,
  aRegeneration,
  aRun,
  aTurn,
  DAY,
  fromStart,
  HOUR,
  hashes,
  rotation,
  someFacts,
  start,
} from './key-in-memory.ts';

const plan = (overrides: Partial<KeyFacts>) => planKeys(someFacts(overrides));
const rest = (reason: string, until: Date | undefined) => ({ reason, step: { do: 'nothing', until } });
const changed = { kind: 'found', value: { ...hashes, secondary: 'another hash' } } as const;

describe('the plan of endpoint keys: what ends a look', () => {
  it.each([
    ['endpoint', { endpoint: { kind: 'unreadable', retryAfterSeconds: undefined } }, 'unreadable', fromStart(60)],
    ['endpoint', { endpoint: { kind: 'unreadable', retryAfterSeconds: 7 } }, 'unreadable', fromStart(7)],
    ['endpoint', { endpoint: { kind: 'not_found' }, keys: undefined }, 'endpoint_not_found', undefined],
    ['endpoint', { endpoint: { kind: 'forbidden' }, keys: undefined }, 'endpoint_forbidden', undefined],
    ['keys', { keys: { kind: 'unreadable', retryAfterSeconds: 9 } }, 'unreadable', fromStart(9)],
    ['keys', { keys: { kind: 'not_found' } }, 'endpoint_not_found', undefined],
    ['keys', { keys: { kind: 'forbidden' } }, 'endpoint_forbidden', undefined],
  ] as const)('%s that are %j: nothing is done, and the reason is %s', (_what, facts, reason, until) => {
    const due = { now: start, record: aKeyRecord({ turn: aTurn({ since: fromStart(-40 * DAY) }) }) };
    expect(plan({ ...due, ...facts })).toEqual(rest(reason, until));
  });

  it.each(['aml_token', 'aad_token'] as const)('an endpoint in %s mode is left alone', (authMode) => {
    const { endpoint } = someFacts();
    if (endpoint.kind !== 'found') throw new Error('the endpoint is found');
    const facts = { endpoint: { kind: 'found', value: { ...endpoint.value, authMode } }, keys: undefined } as const;
    expect(plan(facts)).toEqual(rest('not_in_key_mode', undefined));
  });
});

describe('the plan of endpoint keys: turns', () => {
  it('the first look records which key is in use and touches none, whoever asks', () => {
    expect(plan({ record: aKeyRecord({ turn: undefined }) }).step).toEqual({ do: 'adopt' });
    expect(plan({ record: aKeyRecord({ turn: undefined, runs: [aRun()] }) }).step).toEqual({ do: 'adopt' });
  });

  it.each([
    ['an endpoint made anew', { turn: aTurn({ endpoint: { id: aTurn().endpoint.id, createdAt: 'before' } }) }],
    ['another endpoint', { turn: aTurn({ endpoint: { id: 'another', createdAt: aTurn().endpoint.createdAt } }) }],
    ['another rotateEvery', { turn: aTurn({ rotateEverySeconds: 7 * DAY }) }],
    ['another overlap', { turn: aTurn({ overlapSeconds: HOUR }) }],
  ])('%s is recorded before anything else', (_what, record) => {
    expect(plan({ now: fromStart(90 * DAY), record: aKeyRecord(record) }).step).toEqual({ do: 'adopt' });
  });

  it('rests until rotateEvery is over, and looks every ten minutes for what is done by hand', () => {
    expect(plan({ now: fromStart(30 * DAY - 100) })).toEqual(rest('settled', fromStart(30 * DAY)));
    expect(plan({ now: fromStart(DAY) })).toEqual(rest('settled', fromStart(DAY + 600)));
  });

  it.each(['primary', 'secondary'] as const)(
    'regenerates the other key when %s has been in use for rotateEvery',
    (inUse) => {
      const key = inUse === 'primary' ? 'secondary' : 'primary';
      expect(plan({ now: fromStart(30 * DAY), record: aKeyRecord({ turn: aTurn({ inUse }) }) })).toEqual({
        reason: 'key_turn_due',
        step: { do: 'regenerate', key, why: 'due' },
      });
    },
  );

  it.each(['requested', 'compromised'] as const)('regenerates it at once when an operator says %s', (reason) => {
    expect(plan({ now: fromStart(1), record: aKeyRecord({ runs: [aRun({ reason })] }) })).toEqual({
      reason,
      step: { do: 'regenerate', key: 'secondary', why: reason },
    });
  });

  it('R2: a key that was promised is left alone until a minute after its time, for whatever reason but compromised', () => {
    const promisedUntil = { primary: undefined, secondary: fromStart(31 * DAY) };
    const held = (more: object, now = fromStart(30 * DAY)) =>
      plan({ now, record: aKeyRecord({ promisedUntil, ...more }) });
    expect(held({})).toEqual(rest('key_promised', fromStart(31 * DAY + 60)));
    expect(held({ runs: [aRun()] })).toEqual(rest('key_promised', fromStart(31 * DAY + 60)));
    expect(held({}, fromStart(31 * DAY + 59)).step.do).toBe('nothing');
    expect(held({}, fromStart(31 * DAY + 60)).step.do).toBe('regenerate');
    expect(held({ runs: [aRun({ reason: 'compromised' })] }).step.do).toBe('regenerate');
  });

  it('a run that is over, or that a regeneration answers, asks for nothing', () => {
    const runs = [aRun({ rotationId: 'r', doneAt: start }), aRun({ id: 'run-2', rotationId: 'r' })];
    expect(plan({ now: fromStart(1), record: aKeyRecord({ runs }) }).reason).toBe('settled');
  });
});

describe('the plan of endpoint keys: a regeneration', () => {
  const under = (
    regeneration: Parameters<typeof aRegeneration>[0],
    now: Date,
    keys: KeyFacts['keys'],
    runs = [aRun()],
  ) => plan({ now, record: aKeyRecord({ regeneration: aRegeneration(regeneration), runs }), ...(keys && { keys }) });
  const joined = [aRun({ rotationId: 'regeneration-1' })];

  it.each(['ended', 'busy', 'forbidden'] as const)(
    'R1: another value is in use at once where the last try is known to be over (%s)',
    (outcome) => {
      expect(under({ outcome }, fromStart(1), changed)).toEqual({ reason: 'key_regenerating', step: { do: 'switch' } });
    },
  );

  it.each(['unknown', 'running'] as const)(
    'R1: another value is in use a minute after a try that is %s, as its call may still arrive',
    (outcome) => {
      expect(under({ outcome }, fromStart(59), changed)).toEqual(rest('key_regenerating', fromStart(60)));
      expect(under({ outcome }, fromStart(60), changed).step).toEqual({ do: 'switch' });
    },
  );

  it('R1: where two tries may have been taken, one change does not tell that both are over: it is tried until one is seen', () => {
    const inDoubt = true;
    expect(under({ inDoubt }, fromStart(59), changed).step.do).toBe('nothing');
    expect(under({ inDoubt }, fromStart(60), changed).step).toEqual({ do: 'regenerate', key: 'secondary', why: 'due' });
    expect(under({ inDoubt, outcome: 'ended' }, fromStart(60), changed).step.do).toBe('switch');
    expect(under({ inDoubt, outcome: 'busy' }, fromStart(60), changed).step.do).toBe('switch');
  });

  it('the second key of a compromised pair is finished, not taken into use', () => {
    const second = { key: 'secondary', afterTurn: true, why: 'compromised', outcome: 'ended' } as const;
    expect(under(second, fromStart(1), changed).step).toEqual({ do: 'finish' });
  });

  it.each([
    ['unknown', 60],
    ['busy', 60],
    ['ended', 60],
    ['forbidden', 600],
  ] as const)('the old value after a try that is %s: it is tried again after %i s', (outcome, seconds) => {
    expect(under({ outcome }, fromStart(seconds - 1), undefined, joined).step.do).toBe('nothing');
    expect(under({ outcome }, fromStart(seconds), undefined, joined).step.do).toBe('regenerate');
  });

  it('what was planned and not tried yet is tried now', () => {
    expect(under({ triedAt: undefined }, start, undefined, joined).step.do).toBe('regenerate');
  });

  it('one that Azure ML has taken is stuck after 15 minutes, and tried again after an hour, not sooner', () => {
    const taken = (seconds: number) => under({ outcome: 'running' }, fromStart(seconds), undefined, joined);
    expect(taken(899)).toEqual(rest('key_regenerating', fromStart(909)));
    expect(taken(900)).toEqual(rest('regeneration_stuck', fromStart(910)));
    expect(taken(3599)).toEqual(rest('regeneration_stuck', fromStart(3600)));
    expect(taken(3600)).toEqual({
      reason: 'regeneration_stuck',
      step: { do: 'regenerate', key: 'secondary', why: 'due' },
    });
  });

  it.each(['unknown', 'busy', 'ended'] as const)(
    'one that is tried in vain (%s) is stuck after 15 minutes too, and then tried every hour',
    (outcome) => {
      const tried = { outcome, triedAt: fromStart(890) } as const;
      expect(under(tried, fromStart(950), undefined, joined).reason).toBe('regeneration_stuck');
      expect(under(tried, fromStart(950), undefined, joined).step.do).toBe('nothing');
      expect(under(tried, fromStart(890 + 3600), undefined, joined).step.do).toBe('regenerate');
    },
  );

  it('an operator’s request is one more try at a stuck one, a minute after the last', () => {
    const stuck = { outcome: 'running', triedAt: fromStart(1000) } as const;
    expect(under(stuck, fromStart(1059), undefined).step.do).toBe('nothing');
    expect(under(stuck, fromStart(1060), undefined).step).toEqual({
      do: 'regenerate',
      key: 'secondary',
      why: 'requested',
    });
  });

  it('a regeneration of a compromised key stays one, whatever is requested', () => {
    expect(under({ why: 'compromised' }, fromStart(60), undefined).step).toMatchObject({ why: 'compromised' });
    expect(under({}, fromStart(60), undefined, [aRun({ reason: 'compromised' })]).step).toMatchObject({
      why: 'compromised',
    });
  });

  it('a request does not hurry the second key of a compromised pair: it asks for a turn of its own', () => {
    const second = {
      key: 'primary',
      before: hashes.primary,
      afterTurn: true,
      why: 'compromised',
      outcome: 'running',
    } as const;
    expect(under(second, fromStart(70), undefined).step.do).toBe('nothing');
  });

  it('what the role forbids is named, and stays so', () => {
    expect(under({ outcome: 'forbidden' }, fromStart(1000), undefined, joined).reason).toBe('endpoint_forbidden');
  });

  it('is not begun while another is under way, however due the next turn is', () => {
    expect(under({ outcome: 'running' }, fromStart(rotation.rotateEverySeconds), undefined, joined).step).toMatchObject(
      {
        do: 'regenerate',
        key: 'secondary',
      },
    );
  });
});
