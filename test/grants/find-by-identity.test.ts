import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Caller } from '../../src/callers/caller.ts';
import { policySchema } from '../../src/config/policy-schema.ts';
import { compileGrants } from '../../src/grants/compile.ts';
import { createFindByIdentity, type NamedIdentity } from '../../src/grants/find-by-identity.ts';
import { callerWith, objectId, otherObjectId, workloadWith } from './callers.ts';

const tenants = ['11111111-1111-4111-8111-111111111111', '22222222-2222-4222-8222-222222222222'] as const;
const [home, elsewhere] = tenants;
const clients = ['d0000000-0000-4000-8000-000000000001', 'd0000000-0000-4000-8000-000000000002'] as const;
const [trainerId, runnerId] = clients;
const managedIdentity = { clientId: runnerId };

const identities = {
  trainer: { use: 'issue', servicePrincipal: { tenantId: home, clientId: trainerId, secret: 'trainer-password' } },
  'trainer-batch': {
    use: 'issue',
    servicePrincipal: { tenantId: home, clientId: trainerId, secret: 'trainer-password' },
  },
  abroad: { use: 'issue', federated: { tenantId: elsewhere, clientId: trainerId, managedIdentity } },
  person: { use: 'issue', onBehalfOf: { tenantId: elsewhere, clientId: runnerId, managedIdentity } },
  runner: { use: 'issue', managedIdentity },
  nameless: { use: 'issue', managedIdentity: {} },
} as const;

const caller = { issuer: 'contoso', class: 'app', oid: objectId };
const aml = (identity: string, workspace = 'prod') => ({ workspace, audience: 'aml', identity });
const aGrant = (...allow: object[]) => ({ caller, allow, maxLifetime: '90m' });

const parse = (grants: Record<string, object>, deny: object[] = []) =>
  policySchema.parse({ issuers: {}, identities, grants, deny });
const find = (grants: Record<string, object>, named: Partial<NamedIdentity> = {}, who: Caller = callerWith()) =>
  createFindByIdentity(parse(grants))(who, {
    ...{ tenantId: home, clientId: trainerId, audience: 'aml', workspace: undefined },
    ...named,
  });

const target = (identity: string, workspace = 'prod') => ({
  found: true,
  target: { kind: 'workspaceToken', workspace, audience: 'aml', identity },
});
const none = { found: false, code: 'not_granted', reason: 'no_grant_for_identity' };
const several = { found: false, code: 'not_granted', reason: 'several_grants_for_identity' };

describe('the grant behind a client id', () => {
  it('is the one that allows the caller the identity for the audience', () => {
    const grants = { train: aGrant(aml('trainer')), run: aGrant(aml('runner', 'dev')) };
    expect(find(grants)).toEqual(target('trainer'));
    expect(find(grants, { tenantId: undefined })).toEqual(target('trainer'));
    expect(find(grants, { clientId: runnerId })).toEqual(target('runner', 'dev'));
  });

  it.each([
    ['user', callerWith({ class: 'user' }), { issuer: 'contoso', class: 'user' }],
    ['app', callerWith(), { issuer: 'contoso', class: 'app' }],
    ['workload', workloadWith(), { issuer: 'github', class: 'workload', claims: { ref: 'refs/heads/main' } }],
  ])('is found for a caller of class %s, and for no other class', (name, who, matcher) => {
    const grants = { only: { ...aGrant(aml('trainer')), caller: matcher } };
    expect(find(grants, {}, who)).toEqual(target('trainer'));
    for (const other of [callerWith({ class: 'user' }), callerWith(), workloadWith()]) {
      if (other.class !== name) expect(find(grants, {}, other)).toEqual(none);
    }
  });

  it.each([
    ['trainer', { clientId: trainerId, tenantId: home }],
    ['abroad', { clientId: trainerId, tenantId: elsewhere }],
    ['person', { clientId: runnerId, tenantId: elsewhere }],
    ['runner', { clientId: runnerId, tenantId: home }],
  ])('is found for every kind of identity: %s', (identity, named) => {
    expect(find({ only: aGrant(aml(identity)) }, named)).toEqual(target(identity));
  });

  it('P1: is none for another tenant, client, audience, workspace or caller', () => {
    const grants = { train: aGrant(aml('trainer')) };
    expect(find(grants, { tenantId: elsewhere })).toEqual(none);
    expect(find(grants, { clientId: runnerId })).toEqual(none);
    expect(find(grants, { audience: 'arm' })).toEqual(none);
    expect(find(grants, { workspace: 'dev' })).toEqual(none);
    expect(find(grants, {}, callerWith({ objectId: otherObjectId }))).toEqual(none);
  });

  it('P1: is none where the grant is suspended, for endpoints, or of an identity without a client id', () => {
    expect(find({ train: { ...aGrant(aml('trainer')), suspended: true } })).toEqual(none);
    expect(find({ score: aGrant({ endpointToken: 'prod/fraud-*', identity: 'trainer' }) })).toEqual(none);
    expect(find({ own: aGrant(aml('nameless')) })).toEqual(none);
    expect(find({ own: aGrant(aml('nameless')) }, { clientId: '' })).toEqual(none);
  });

  it('P1: is refused where several grants would do, also under two names of one client id', () => {
    expect(find({ a: aGrant(aml('trainer')), b: aGrant(aml('trainer')) })).toEqual(several);
    expect(find({ a: aGrant(aml('trainer')), b: aGrant(aml('trainer-batch', 'dev')) })).toEqual(several);
  });

  it('is one of several by the workspace that a resource names', () => {
    const grants = { a: aGrant(aml('trainer')), b: aGrant(aml('trainer-batch', 'dev')) };
    expect(find(grants, { workspace: 'dev' })).toEqual(target('trainer-batch', 'dev'));
  });

  it('is one where it names several workspaces that share the identity, for the first of them', () => {
    expect(find({ both: aGrant(aml('trainer'), aml('trainer', 'dev')) })).toEqual(target('trainer'));
  });

  it('P1: is not looked for where the caller is denied', () => {
    const denied = createFindByIdentity(parse({ train: aGrant(aml('trainer')) }, [caller]));
    const named = { tenantId: home, clientId: trainerId, audience: 'aml', workspace: undefined } as const;
    expect(denied(callerWith(), named)).toEqual({ found: false, code: 'caller_denied', reason: 'denied' });
  });
});

describe('on random policies', () => {
  const one = fc.constantFrom;
  const entry = fc.oneof(
    {
      weight: 5,
      arbitrary: fc.record({
        workspace: one('prod', 'dev'),
        audience: one('aml', 'arm'),
        identity: one(...Object.keys(identities)),
      }),
    },
    { weight: 1, arbitrary: fc.record({ endpointToken: one('prod/a', 'dev/*'), identity: one('trainer', 'runner') }) },
  );
  const grant = fc.record({
    caller: fc.record({
      issuer: one('contoso'),
      class: one('app'),
      oid: one(objectId, objectId, objectId, otherObjectId),
    }),
    allow: fc.array(entry, { minLength: 1, maxLength: 6 }),
    maxLifetime: one('90m', '25h'),
    suspended: one(true, false, false, false),
  });
  const grantsOf = fc.dictionary(one('g1', 'g2', 'g3'), grant, { minKeys: 2 });
  const named = fc.record({
    tenantId: one(undefined, ...tenants),
    clientId: one(...clients),
    audience: one<('aml' | 'arm')[]>('aml', 'arm'),
    workspace: one(undefined, undefined, 'prod', 'dev'),
  });

  /** Which identities a client id and a tenant may mean, written out by hand from the table above. */
  const meant: Readonly<Record<string, readonly string[]>> = {
    [`${trainerId} ${home}`]: ['trainer', 'trainer-batch'],
    [`${trainerId} ${elsewhere}`]: ['abroad'],
    [`${trainerId} undefined`]: ['trainer', 'trainer-batch', 'abroad'],
    [`${runnerId} ${home}`]: ['runner'],
    [`${runnerId} ${elsewhere}`]: ['runner', 'person'],
    [`${runnerId} undefined`]: ['runner', 'person'],
  };

  it('P1: finds a target exactly where one grant fits, and what is then issued is by that grant and that identity', () => {
    const seen = { one: 0, none: 0, several: 0 };
    fc.assert(
      fc.property(grantsOf, named, (grants, asked) => {
        const names = meant[`${asked.clientId} ${asked.tenantId}`] ?? [];
        const fitting = Object.entries(grants).filter(([, { caller: by, suspended, allow }]) => {
          if (suspended || by.oid !== objectId) return false;
          return allow.some((allowed) => {
            if ('endpointToken' in allowed || allowed.audience !== asked.audience) return false;
            return names.includes(allowed.identity) && [allowed.workspace, undefined].includes(asked.workspace);
          });
        });
        const policy = parse(grants);
        const found = createFindByIdentity(policy)(callerWith(), asked);
        if (fitting.length !== 1) {
          expect(found).toEqual(fitting.length === 0 ? none : several);
          seen[fitting.length === 0 ? 'none' : 'several'] += 1;
          return;
        }
        expect(found.found).toBe(true);
        if (!found.found) return;
        seen.one += 1;
        const { identity } = found.target;
        expect(names).toContain(identity);
        const maxLifetimeSeconds = fitting[0]?.[1].maxLifetime === '90m' ? 5400 : 90_000;
        expect(compileGrants(policy).decide(callerWith(), found.target)).toEqual({
          allowed: true,
          permit: { grant: fitting[0]?.[0], maxLifetimeSeconds, identity },
        });
      }),
      { numRuns: 1000 },
    );
    expect(Math.min(seen.one, seen.none, seen.several)).toBeGreaterThan(30);
  });
});
