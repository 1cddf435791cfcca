import { describe, expect, it } from 'vitest';
import { createHealth, type Part, type Report } from '../src/health.ts';
import { createMovableClock } from './support/clock.ts';
import { createDeferred, settle } from './support/ports.ts';

const allOk = { callerKeys: 'ok', auditStore: 'ok', tokenStore: 'ok', tokenCacheKey: 'ok', identities: 'ok' };

/** Every part works and reports, unless its entry in `failing` says otherwise. */
function setUp() {
  const time = createMovableClock();
  const failing = new Set<Part>();
  const tried: Part[] = [];
  const probe = (part: Part) => async () => {
    tried.push(part);
    health.report(part, !failing.has(part));
    if (failing.has(part)) throw new Error('no');
  };
  const probes: Record<Part, () => Promise<unknown>> = {
    callerKeys: probe('callerKeys'),
    auditStore: probe('auditStore'),
    tokenStore: probe('tokenStore'),
    tokenCacheKey: probe('tokenCacheKey'),
    identities: probe('identities'),
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
    expect(tried.sort()).toEqual(['auditStore', 'callerKeys', 'identities', 'tokenCacheKey', 'tokenStore']);
  });

  it.each<Part>(['tokenStore', 'tokenCacheKey', 'identities'])(
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
    health.report('auditStore', false);
    expect(await health.readiness()).toMatchObject({ ready: false, parts: { auditStore: 'degraded' } });
    health.report('auditStore', true);
    expect(await health.readiness()).toEqual({ ready: true, parts: allOk });
    expect(tried).toHaveLength(5);
  });

  it('counts a probe that throws before anybody reports as a failure of the part', async () => {
    const { health, probes } = setUp();
    probes.callerKeys = () => Promise.reject(new Error('no'));
    expect(await health.readiness()).toMatchObject({ ready: false, parts: { callerKeys: 'degraded' } });
    health.report('callerKeys', true, 'tenant-1');
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
    expect(tried).toHaveLength(6);
  });
});

describe('several members of a part', () => {
  const withMembers = (part: Part, states: Record<string, boolean>) => {
    const world = setUp();
    const report: Report = (...told) => world.health.report(...told);
    world.probes[part] = async () => {
      for (const [member, ok] of Object.entries(states)) report(part, ok, member);
    };
    return world.health.readiness();
  };

  it('are degraded when one fails, and ready as long as one works', async () => {
    expect(await withMembers('auditStore', { 'audit 1': false, 'audit 2': true })).toEqual({
      ready: true,
      parts: { ...allOk, auditStore: 'degraded' },
    });
    expect(await withMembers('callerKeys', { 'tenant-1': true, 'tenant-2': false })).toEqual({
      ready: true,
      parts: { ...allOk, callerKeys: 'degraded' },
    });
  });

  it('are not ready when all fail', async () => {
    expect(await withMembers('auditStore', { 'audit 1': false, 'audit 2': false })).toMatchObject({ ready: false });
  });

  it('are each known by their last report', async () => {
    const { health } = setUp();
    await health.readiness();
    health.report('identities', false, 'reader');
    health.report('identities', true, 'trainer');
    expect(await health.readiness()).toMatchObject({ parts: { identities: 'degraded' } });
    health.report('identities', true, 'reader');
    expect(await health.readiness()).toMatchObject({ parts: { identities: 'ok' } });
  });
});
