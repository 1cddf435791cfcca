import { describe, expect, it } from 'vitest';
import type { UpstreamKind } from '../src/errors.ts';
import { createHealth, type Part, type Report, type State, watch } from '../src/health.ts';
import { upstream } from './support/builders.ts';
import { createMovableClock } from './support/clock.ts';
import { createDeferred, rejectionOf, settle } from './support/ports.ts';

const allOk = {
  policy: 'ok',
  callerKeys: 'ok',
  auditStore: 'ok',
  tokenStore: 'ok',
  tokenCacheKey: 'ok',
  keyVault: 'ok',
  identities: 'ok',
  machineLearning: 'ok',
};

/** Every part works and reports, unless its entry in `failing` says otherwise. */
function setUp() {
  const time = createMovableClock();
  const failing = new Set<Part>();
  const tried: Part[] = [];
  const probe = (part: Part) => async () => {
    tried.push(part);
    health.report(part, failing.has(part) ? 'down' : 'ok');
    if (failing.has(part)) throw new Error('no');
  };
  const probes: Record<Part, () => Promise<unknown>> = {
    policy: probe('policy'),
    callerKeys: probe('callerKeys'),
    auditStore: probe('auditStore'),
    tokenStore: probe('tokenStore'),
    tokenCacheKey: probe('tokenCacheKey'),
    keyVault: probe('keyVault'),
    identities: probe('identities'),
    machineLearning: probe('machineLearning'),
  };
  const health = createHealth({ probes, clock: time.clock });
  return { time, failing, tried, probes, health };
}

describe('readiness', () => {
  it('tries every part once, at the first question, and waits for the outcome', async () => {
    const { health, tried, probes } = setUp();
    const gate = createDeferred();
    const { tokenStore } = probes;
    probes.tokenStore = async () => {
      await gate.promise;
      return tokenStore();
    };
    let told = false;
    const both = Promise.all([health.readiness(), health.readiness()]).then((answers) => {
      told = true;
      return answers;
    });
    await settle();
    expect(told).toBe(false);
    gate.resolve();
    expect(await both).toEqual([
      { ready: true, parts: allOk },
      { ready: true, parts: allOk },
    ]);
    expect(await health.readiness()).toEqual({ ready: true, parts: allOk });
    expect(tried.sort()).toEqual(Object.keys(allOk).sort());
  });

  it.each<Part>(['policy', 'tokenStore', 'tokenCacheKey', 'keyVault', 'identities', 'machineLearning'])(
    'is true without %s, which reads degraded',
    async (part) => {
      const { health, failing } = setUp();
      failing.add(part);
      expect(await health.readiness()).toEqual({ ready: true, parts: { ...allOk, [part]: 'degraded' } });
    },
  );

  it.each<Part>(['callerKeys', 'auditStore'])('is false without %s', async (part) => {
    const { health, failing } = setUp();
    failing.add(part);
    expect(await health.readiness()).toEqual({ ready: false, parts: { ...allOk, [part]: 'degraded' } });
  });

  it('tells the last known state, not a new trial', async () => {
    const { health, tried } = setUp();
    await health.readiness();
    health.report('auditStore', 'down');
    expect(await health.readiness()).toMatchObject({ ready: false, parts: { auditStore: 'degraded' } });
    health.report('auditStore', 'ok');
    expect(await health.readiness()).toEqual({ ready: true, parts: allOk });
    expect(tried).toHaveLength(8);
  });

  it('counts a probe that throws before anybody reports as a failure of the part', async () => {
    const { health, probes } = setUp();
    probes.callerKeys = () => Promise.reject(new Error('no'));
    expect(await health.readiness()).toMatchObject({ ready: false, parts: { callerKeys: 'degraded' } });
    health.report('callerKeys', 'ok', 'tenant-1');
    expect(await health.readiness()).toEqual({ ready: true, parts: allOk });
  });

  it('counts a probe with nothing to report as a success', async () => {
    const { health, probes } = setUp();
    probes.identities = () => Promise.all([]);
    expect(await health.readiness()).toEqual({ ready: true, parts: allOk });
  });
});

describe('a part that fails and that nobody uses', () => {
  it('is tried again when readiness is asked 10 seconds later, and the next question tells', async () => {
    const { health, failing, tried, time } = setUp();
    failing.add('auditStore');
    await health.readiness();
    failing.delete('auditStore');
    time.advance(9.999);
    expect(await health.readiness()).toMatchObject({ ready: false });
    await settle();
    expect(tried.filter((part) => part === 'auditStore')).toHaveLength(1);
    time.advance(0.001);
    await health.readiness();
    await settle();
    expect(tried.filter((part) => part === 'auditStore')).toHaveLength(2);
    expect(await health.readiness()).toEqual({ ready: true, parts: allOk });
  });

  it('does not hold up the answer while it is tried again', async () => {
    const { health, failing, probes, time } = setUp();
    failing.add('auditStore');
    await health.readiness();
    probes.auditStore = () => new Promise(() => undefined);
    time.advance(10);
    expect(await health.readiness()).toMatchObject({ ready: false });
  });

  it('is tried once for many questions in the same 10 seconds', async () => {
    const { health, failing, tried, time } = setUp();
    failing.add('tokenStore');
    await health.readiness();
    time.advance(10);
    await Promise.all(Array.from({ length: 20 }, () => health.readiness()));
    expect(tried.filter((part) => part === 'tokenStore')).toHaveLength(2);
  });

  it('leaves the parts that work alone', async () => {
    const { health, failing, tried, time } = setUp();
    failing.add('tokenStore');
    await health.readiness();
    time.advance(3600);
    await health.readiness();
    await settle();
    expect(tried).toHaveLength(9);
  });
});

describe('several members of a part', () => {
  const withMembers = (part: Part, states: Record<string, State>) => {
    const world = setUp();
    const report: Report = (...told) => world.health.report(...told);
    world.probes[part] = async () => {
      for (const [member, state] of Object.entries(states)) report(part, state, member);
    };
    return world.health.readiness();
  };

  it('are degraded when one fails, and ready as long as one works', async () => {
    expect(await withMembers('auditStore', { 'audit 1': 'down', 'audit 2': 'ok' })).toEqual({
      ready: true,
      parts: { ...allOk, auditStore: 'degraded' },
    });
    expect(await withMembers('callerKeys', { 'tenant-1': 'ok', 'tenant-2': 'down' })).toEqual({
      ready: true,
      parts: { ...allOk, callerKeys: 'degraded' },
    });
  });

  it('are not ready when all fail', async () => {
    expect(await withMembers('auditStore', { 'audit 1': 'down', 'audit 2': 'down' })).toMatchObject({ ready: false });
  });

  it('are each known by their last report', async () => {
    const { health } = setUp();
    await health.readiness();
    health.report('identities', 'down', 'reader');
    health.report('identities', 'ok', 'trainer');
    expect(await health.readiness()).toMatchObject({ parts: { identities: 'degraded' } });
    health.report('identities', 'ok', 'reader');
    expect(await health.readiness()).toMatchObject({ parts: { identities: 'ok' } });
  });

  it.each<Part>(['callerKeys', 'auditStore'])(
    'of %s that still serve keep the broker ready, and read degraded',
    async (part) => {
      const degraded = { ...allOk, [part]: 'degraded' };
      expect(await withMembers(part, { first: 'degraded' })).toEqual({ ready: true, parts: degraded });
      expect(await withMembers(part, { first: 'down', second: 'degraded' })).toEqual({ ready: true, parts: degraded });
    },
  );
});

describe('a degraded part', () => {
  it('is tried again like one that is down', async () => {
    const { health, tried, time } = setUp();
    await health.readiness();
    health.report('callerKeys', 'degraded');
    time.advance(10);
    await health.readiness();
    await settle();
    expect(tried.filter((part) => part === 'callerKeys')).toHaveLength(2);
    expect(await health.readiness()).toEqual({ ready: true, parts: allOk });
  });
});

describe('watch', () => {
  const setUpWatch = (...member: [string?]) => {
    const reports: unknown[][] = [];
    return { reports, watched: watch((...told) => reports.push(told), 'machineLearning', ...member) };
  };

  it('hands on the result and reports ok', async () => {
    const { reports, watched } = setUpWatch();
    expect(await watched(async () => 'the result')).toBe('the result');
    expect(reports).toEqual([['machineLearning', 'ok', undefined]]);
  });

  it.each<[UpstreamKind, State]>([
    ['not_found', 'ok'],
    ['conflict', 'ok'],
    ['forbidden', 'down'],
    ['credential_refused', 'down'],
    ['throttled', 'down'],
    ['unavailable', 'down'],
    ['unexpected', 'down'],
  ])('hands on %s as it is and reports %s', async (kind, state) => {
    const { reports, watched } = setUpWatch('reader');
    const failure = upstream(kind);
    expect(await rejectionOf(watched(() => Promise.reject(failure)))).toBe(failure);
    expect(reports).toEqual([['machineLearning', state, 'reader']]);
  });

  it('reports down for a fault of our own, also one that is thrown at once', async () => {
    const { reports, watched } = setUpWatch();
    const bug = new TypeError('a bug');
    const broken = () => {
      throw bug;
    };
    expect(await rejectionOf(watched(() => Promise.reject(bug)))).toBe(bug);
    expect(await rejectionOf(watched(broken))).toBe(bug);
    expect(reports.map(([, state]) => state)).toEqual(['down', 'down']);
  });
});

describe('a part whose members changed', () => {
  it('forgets those that are gone: what failed for one of them is no failure any more', async () => {
    const { health } = setUp();
    await health.readiness();
    health.report('identities', 'down', 'an-identity-that-left');
    expect((await health.readiness()).parts.identities).toBe('degraded');
    health.renew('identities');
    await settle();
    expect((await health.readiness()).parts.identities).toBe('ok');
  });

  it('reads as it did until it has been tried again, and a needed one does not make the broker unready', async () => {
    const { health, probes } = setUp();
    await health.readiness();
    const gate = createDeferred();
    probes.callerKeys = () => gate.promise;
    health.renew('callerKeys');
    expect(await health.readiness()).toEqual({ ready: true, parts: allOk });
    health.report('callerKeys', 'down', 'a-tenant');
    health.renew('callerKeys');
    expect(await health.readiness()).toEqual({ ready: true, parts: { ...allOk, callerKeys: 'degraded' } });
    gate.resolve();
    await settle();
    expect(await health.readiness()).toEqual({ ready: true, parts: allOk });
  });

  it('is not tried before the first question', async () => {
    const { health, tried } = setUp();
    health.renew('identities');
    await settle();
    expect(tried).toEqual([]);
  });
});
