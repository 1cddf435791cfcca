import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { policySchema } from '../../src/config/policy-schema.ts';
import { compileGrants } from '../../src/grants/compile.ts';
import { toDescribedCaller } from '../../src/grants/described-caller.ts';
import { createExplain } from '../../src/grants/explain.ts';
import type { Target } from '../../src/grants/target.ts';

const oid = 'e0000000-0000-4000-8000-0000000000f1';
const other = 'e0000000-0000-4000-8000-0000000000f2';
const app = (changes: object = {}) =>
  toDescribedCaller({ issuer: 'contoso', class: 'app', oid, roles: [], claims: {}, ...changes });
const scores: Target = { kind: 'endpointToken', workspace: 'prod', endpoint: 'fraud-aml' };

function policyWith(grants: object, deny: object[] = []) {
  return policySchema.parse({ issuers: {}, grants, deny });
}
const allow = [{ endpointToken: 'prod/fraud-*', identity: 'scorer' }];
const grant = (caller: object, more: object = {}) => ({
  caller: { issuer: 'contoso', class: 'app', ...caller },
  allow,
  maxLifetime: '25h',
  ...more,
});

describe('explain', () => {
  it('names the grant that matches, its identity and its limit', () => {
    const explain = createExplain(policyWith({ other: grant({ oid: other }), scores: grant({ oid }) }));
    expect(explain(app(), scores)).toEqual({
      ...{ allowed: true, grant: 'scores', identity: 'scorer', maxLifetimeSeconds: 90_000, reason: 'granted' },
      detail: 'The grant scores allows prod/fraud-aml token.',
    });
  });

  it.each([
    ['another issuer', { issuer: 'fabrikam' }, {}, 'caller.issuer must be fabrikam'],
    ['another class', { class: 'user' }, {}, 'caller.class must be user'],
    ['another object id', { oid: other }, {}, `caller.oid must be "${other}"`],
    ['another subject', { subject: 's' }, {}, 'caller.subject must be "s"'],
    ['another application', { appId: other }, {}, `caller.appId must be "${other}"`],
    ['a role that is missing', { roles: ['A', 'B'] }, { roles: ['A'] }, 'caller.roles must have B'],
    ['a claim that differs', { claims: { ref: 'x' } }, { claims: { ref: 'y' } }, 'caller.claims.ref must be "x"'],
  ])('says the first thing of a caller that does not match: %s', (_what, wanted, given, verdict) => {
    const explain = createExplain(policyWith({ scores: grant(wanted) }));
    expect(explain(app(given), scores)).toEqual({
      ...{ allowed: false, code: 'not_granted', reason: 'no_grant_for_caller' },
      detail: `No grant allows prod/fraud-aml token. The nearest is scores: ${verdict}.`,
      grants: [{ grant: 'scores', verdict }],
    });
  });

  it('says that the target is in no entry, and that a grant is suspended', () => {
    const explain = createExplain(
      policyWith({ far: grant({ oid: other }), near: grant({}), paused: grant({}, { suspended: true }) }),
    );
    const key: Target = { kind: 'endpointKey', workspace: 'prod', endpoint: 'fraud-aml' };
    expect(explain(app(), key)).toMatchObject({
      reason: 'no_grant_for_target',
      detail: expect.stringContaining('The nearest is near: no entry under allow is for prod/fraud-aml key.'),
    });
    const suspended = createExplain(policyWith({ far: grant({ oid: other }), paused: grant({}, { suspended: true }) }));
    expect(suspended(app(), scores)).toMatchObject({
      reason: 'grant_suspended',
      detail: expect.stringContaining('The nearest is paused: suspended.'),
      grants: [{ grant: 'far' }, { grant: 'paused', verdict: 'suspended' }],
    });
  });

  it('names the entry under deny, which comes before every grant', () => {
    const deny = [
      { issuer: 'contoso', class: 'app', oid: other },
      { issuer: 'contoso', class: 'app', oid },
    ];
    expect(createExplain(policyWith({ scores: grant({}) }, deny))(app(), scores)).toEqual({
      ...{ allowed: false, code: 'caller_denied', reason: 'denied', grants: [] },
      detail: 'The entry deny.1 matches this caller.',
    });
  });

  it('says so where there are no grants at all', () => {
    expect(createExplain(policyWith({}))(app(), scores)).toMatchObject({
      detail: 'No grant allows prod/fraud-aml token. The policy has no grants.',
    });
  });

  it('P1: decides what a request is decided, and finds a reason wherever it is denied', () => {
    const matcher = fc.record(
      {
        issuer: fc.constantFrom('contoso', 'fabrikam'),
        class: fc.constantFrom<'app' | 'user' | 'workload'>('app', 'user', 'workload'),
        oid: fc.constantFrom(oid, other),
        subject: fc.constantFrom('s', 't'),
        appId: fc.constantFrom(oid, other),
        roles: fc.subarray(['A', 'B'], { minLength: 1 }),
        claims: fc.record({ ref: fc.constantFrom('x', 'y') }),
      },
      { requiredKeys: ['issuer', 'class'] },
    );
    const entry = fc.record({ caller: matcher, suspended: fc.boolean(), name: fc.constantFrom('fraud-*', 'churn') });
    const caller = matcher.map(({ roles = [], claims = {}, ...said }) => toDescribedCaller({ ...said, roles, claims }));
    fc.assert(
      fc.property(
        fc.array(entry, { maxLength: 4 }),
        fc.array(matcher, { maxLength: 1 }),
        caller,
        (entries, deny, who) => {
          const grants = Object.fromEntries(
            entries.map(({ name, ...rest }, index) => [
              `grant-${index}`,
              { ...rest, allow: [{ endpointToken: `prod/${name}` }], maxLifetime: '25h' },
            ]),
          );
          const policy = policyWith(grants, deny);
          const found = createExplain(policy)(who, scores);
          const decided = compileGrants(policy).decide(who, scores);
          expect(found).toMatchObject(
            decided.allowed
              ? { allowed: true, grant: decided.permit.grant }
              : { allowed: false, code: decided.code, reason: decided.reason },
          );
          if (!found.allowed) expect(found.grants.map(({ verdict }) => verdict)).not.toContain('matches');
        },
      ),
    );
  });
});
