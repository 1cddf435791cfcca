import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Caller } from '../../src/callers/caller.ts';
import type { Allowed, Grant, Matcher } from '../../src/config/policy-schema.ts';
import { compileGrants } from '../../src/grants/compile.ts';
import { callerWith, workloadWith } from './callers.ts';
import { naiveDecide, naiveMatches, type Wanted } from './naive-decide.ts';

/** Few values of everything, so that random policies, callers and targets often meet. */
const ids = ['id-1', 'id-2'];
const one = fc.constantFrom;
const maybe = <T>(name: string, value: fc.Arbitrary<T>) =>
  fc.oneof(
    { weight: 4, arbitrary: fc.constant({}) },
    { weight: 1, arbitrary: value.map((chosen) => ({ [name]: chosen })) },
  );

const callerClass = one<('user' | 'app')[]>('user', 'app', 'app', 'app');
const matcherClass = one<Matcher['class'][]>('user', 'app', 'app', 'workload', 'workload');
const issuer = one('contoso', 'contoso', 'contoso', 'fabrikam');
const roles = fc.subarray(['Train', 'Score', 'Operator']);
const claimsOf = (...values: (string | number | boolean)[]) =>
  fc.dictionary(one('a', 'b', 'constructor'), one(...values), { maxKeys: 2 });
const claims = claimsOf('x', 'y', 'xx', 1, '1', true);
/** Patterns mean something for workloads only. */
const demandedClaims = claimsOf('x', 'y', 'x*', '*', '*y', 1, '1', true);

const matcher: fc.Arbitrary<Matcher> = fc
  .tuple(
    fc.record({ issuer, class: matcherClass }),
    maybe('oid', one(...ids)),
    maybe('subject', one(...ids, 'id-*', '*', 'id*1')),
    maybe('appId', one(...ids)),
    maybe('roles', roles),
    maybe('claims', demandedClaims),
  )
  .map(([must, ...more]) => Object.assign({}, must, ...more));

const entraCaller = fc
  .record({
    issuer,
    class: callerClass,
    objectId: one(...ids),
    subject: one(...ids),
    appId: one(...ids),
    roles,
    claims,
  })
  .map(callerWith);
const workloadCaller = fc.record({ issuer, subject: one(...ids), claims }).map(workloadWith);
const caller: fc.Arbitrary<Caller> = fc.oneof(entraCaller, workloadCaller);

const workspace = one('prod', 'dev');
const pattern = fc
  .tuple(workspace, fc.string({ unit: one('a', 'B', '*', '*', '-'), minLength: 1, maxLength: 4 }))
  .map((parts) => parts.join('/'));
const audience = one<('aml' | 'arm')[]>('aml', 'arm');
const allowed: fc.Arbitrary<Allowed> = fc.oneof(
  fc.record({ workspace, audience, identity: one('trainer', 'runner') }),
  fc.record({ endpointToken: pattern }),
  fc.record({ endpointToken: pattern, identity: one('scorer') }),
  fc.record({ endpointKey: pattern }),
);

const grant: fc.Arbitrary<Grant> = fc.record({
  caller: matcher,
  allow: fc.array(allowed, { minLength: 1, maxLength: 4 }),
  maxLifetime: one(5400, 90_000),
  suspended: one(true, false, false),
  bypassesConditionalAccess: fc.boolean(),
});
const policy = fc.record({
  grants: fc.dictionary(one('g1', 'g2', 'g3', 'g4'), grant, { minKeys: 2 }),
  deny: fc.array(matcher, { maxLength: 1 }),
});

const endpoint = fc.string({ unit: one('a', 'b', '-'), minLength: 1, maxLength: 4 });
const endpointTarget = fc.record({ kind: one('endpointToken' as const, 'endpointKey' as const), workspace, endpoint });
const target: fc.Arbitrary<Wanted> = fc.oneof(
  fc.record({ kind: fc.constant('workspaceToken' as const), workspace, audience }),
  endpointTarget,
);

const RUNS = { numRuns: 2000 };

describe('compileGrants, on random policies, callers and targets', () => {
  it('P1: decides as a naive reading of the policy does', () => {
    const seen = { allowed: 0, denied: 0, refused: 0 };
    fc.assert(
      fc.property(policy, caller, target, (rules, who, wanted) => {
        const decision = compileGrants(rules).decide(who, wanted);
        const expected = naiveDecide(rules, who, wanted);
        if (decision.allowed) {
          const { grant: name, maxLifetimeSeconds, identity } = decision.permit;
          expect({ outcome: 'allowed', name, maxLifetimeSeconds, identity }).toEqual(expected);
        } else expect({ outcome: decision.code }).toEqual(expected);
        seen[decision.allowed ? 'allowed' : decision.code === 'caller_denied' ? 'denied' : 'refused'] += 1;
      }),
      RUNS,
    );
    // A property that never met a permission, or never a refusal, would prove nothing.
    expect(Math.min(seen.allowed, seen.denied, seen.refused)).toBeGreaterThan(50);
  });

  it('P1: gives a caller whom no grant names nothing', () => {
    fc.assert(
      fc.property(policy, caller, target, (rules, who, wanted) => {
        fc.pre(!Object.values(rules.grants).some(({ caller: named }) => naiveMatches(named, who)));
        expect(compileGrants(rules).decide(who, wanted)).toMatchObject({ allowed: false });
      }),
      RUNS,
    );
  });

  it('P1: allows nothing more with one more deny entry', () => {
    fc.assert(
      fc.property(policy, matcher, caller, target, (rules, extra, who, wanted) => {
        const before = compileGrants(rules).decide(who, wanted);
        const after = compileGrants({ ...rules, deny: [...rules.deny, extra] }).decide(who, wanted);
        if (after.allowed) expect(after).toEqual(before);
        if (naiveMatches(extra, who)) expect(after).toMatchObject({ allowed: false, code: 'caller_denied' });
      }),
      RUNS,
    );
  });

  it('P1: allows nothing when every grant is suspended', () => {
    fc.assert(
      fc.property(policy, caller, target, (rules, who, wanted) => {
        const grants = Object.fromEntries(
          Object.entries(rules.grants).map(([name, given]) => [name, { ...given, suspended: true }]),
        );
        expect(compileGrants({ ...rules, grants }).decide(who, wanted)).toMatchObject({ allowed: false });
      }),
      RUNS,
    );
  });

  it('P1: never lets appId match a user', () => {
    fc.assert(
      fc.property(grant, entraCaller, target, one(...ids), (given, who, wanted, appId) => {
        const named = { ...given, caller: { ...given.caller, appId } };
        const decision = compileGrants({ grants: { named }, deny: [] }).decide({ ...who, class: 'user' }, wanted);
        expect(decision).toMatchObject({ allowed: false });
      }),
      RUNS,
    );
  });

  it('keeps fresh every endpoint that it would allow someone', () => {
    let allowedOnes = 0;
    fc.assert(
      fc.property(policy, caller, endpointTarget, (rules, who, wanted) => {
        const grants = compileGrants(rules);
        if (!grants.decide(who, wanted).allowed) return;
        allowedOnes += 1;
        expect(grants.reaches(wanted.workspace, wanted.endpoint)).toBe(true);
        expect(grants.workspacesWithEndpoints).toContain(wanted.workspace);
      }),
      RUNS,
    );
    expect(allowedOnes).toBeGreaterThan(10);
  });
});
