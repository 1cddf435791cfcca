import { describe, expect, it } from 'vitest';
import { policySchema } from '../../src/config/policy-schema.ts';
import { compileGrants } from '../../src/grants/compile.ts';
import type { Target } from '../../src/grants/target.ts';
import { appId, callerWith, objectId, otherObjectId } from './callers.ts';

const byObjectId = { issuer: 'contoso', class: 'app', oid: objectId };

/** Compiles grants and deny entries as they stand in a policy, with the schema's defaults. */
const compile = (parts: { grants?: Record<string, object>; deny?: object[] }) =>
  compileGrants(policySchema.parse({ issuers: {}, ...parts }));

const scores = {
  caller: byObjectId,
  allow: [{ endpointToken: 'prod/fraud-*' }, { endpointKey: 'prod/Fraud-Key' }],
  maxLifetime: '25h',
};
const trains = {
  caller: byObjectId,
  allow: [{ workspace: 'prod', audience: 'aml', identity: 'trainer' }],
  maxLifetime: '90m',
};
const grants = compile({ grants: { scores, trains } });

const token = (endpoint: string, workspace = 'prod'): Target => ({ kind: 'endpointToken', workspace, endpoint });
const key = (endpoint: string, workspace = 'prod'): Target => ({ kind: 'endpointKey', workspace, endpoint });
const workspaceToken = (audience: 'aml' | 'arm', workspace = 'prod'): Target => ({
  kind: 'workspaceToken',
  workspace,
  audience,
});

const refusal = (reason: string, code = 'not_granted') => ({ allowed: false, code, reason });

describe('a grant', () => {
  it.each([
    ['an endpoint’s token by its pattern', token('fraud-aml'), 'scores', 90_000, undefined],
    ['an endpoint’s key, whatever the case of the policy', key('fraud-key'), 'scores', 90_000, undefined],
    ['a workspace’s token for its audience', workspaceToken('aml'), 'trains', 5400, 'trainer'],
  ])('allows %s', (_what, target, grant, maxLifetimeSeconds, identity) => {
    expect(grants.decide(callerWith(), target)).toEqual({
      allowed: true,
      permit: { grant, maxLifetimeSeconds, identity },
    });
  });

  it.each([
    ['another endpoint', token('churn-aml')],
    ['an endpoint that only ends like the pattern', token('my-fraud-aml')],
    ['the same endpoint in another workspace', token('fraud-aml', 'dev')],
    ['a workspace in other letters', token('fraud-aml', 'PROD')],
    ['the key where the token is granted', key('fraud-aml')],
    ['another audience', workspaceToken('arm')],
    ['another workspace', workspaceToken('aml', 'dev')],
    ['a workspace that is a part of every object', workspaceToken('aml', 'constructor')],
  ])('P1: does not allow %s', (_what, target) => {
    expect(grants.decide(callerWith(), target)).toEqual(refusal('no_grant_for_target'));
  });

  it('P1: allows a caller whom it does not name nothing', () => {
    expect(grants.decide(callerWith({ objectId: otherObjectId }), token('fraud-aml'))).toEqual(
      refusal('no_grant_for_caller'),
    );
  });

  it('P1: does not allow a user what an app of the same ids may', () => {
    const byApp = compile({ grants: { scores: { ...scores, caller: { issuer: 'contoso', class: 'app', appId } } } });
    expect(byApp.decide(callerWith(), token('fraud-aml'))).toMatchObject({ allowed: true });
    expect(byApp.decide(callerWith({ class: 'user' }), token('fraud-aml'))).toEqual(refusal('no_grant_for_caller'));
  });

  it('names the identity of an entry for endpoints in aad_token mode', () => {
    const allow = [{ endpointToken: 'prod/fraud-*', identity: 'scorer' }];
    expect(
      compile({ grants: { scores: { ...scores, allow } } }).decide(callerWith(), token('fraud-aad')),
    ).toMatchObject({
      allowed: true,
      permit: { identity: 'scorer' },
    });
  });

  it('comes first in the order of the policy where several allow a target', () => {
    const first = { ...scores, caller: { issuer: 'contoso', class: 'app' }, maxLifetime: '24h' };
    expect(compile({ grants: { first, scores } }).decide(callerWith(), token('fraud-aml'))).toMatchObject({
      permit: { grant: 'first', maxLifetimeSeconds: 86_400 },
    });
    expect(compile({ grants: { scores, first } }).decide(callerWith(), token('fraud-aml'))).toMatchObject({
      permit: { grant: 'scores' },
    });
  });

  it('P1: allows nothing while it is suspended, and says so in the reason', () => {
    const suspended = compile({ grants: { scores: { ...scores, suspended: true }, trains } });
    expect(suspended.decide(callerWith(), token('fraud-aml'))).toEqual(refusal('grant_suspended'));
    expect(suspended.decide(callerWith(), token('churn-aml'))).toEqual(refusal('no_grant_for_target'));
    expect(suspended.decide(callerWith(), workspaceToken('aml'))).toMatchObject({ allowed: true });
  });

  it('does not hide another grant while it is suspended', () => {
    const both = compile({ grants: { off: { ...scores, suspended: true }, on: scores } });
    expect(both.decide(callerWith(), token('fraud-aml'))).toMatchObject({ permit: { grant: 'on' } });
  });
});

describe('a policy without grants', () => {
  it('P1: allows nothing', () => {
    expect(compile({}).decide(callerWith(), token('fraud-aml'))).toEqual(refusal('no_grant_for_caller'));
    expect(compile({}).workspacesWithEndpoints).toEqual([]);
  });
});

describe('a deny entry', () => {
  const denying = (deny: object) => compile({ grants: { scores, trains }, deny: [deny] });

  it('P1: cuts its caller off from everything, whatever the grants say', () => {
    const denied = denying(byObjectId);
    expect(denied.denies(callerWith())).toBe(true);
    for (const target of [token('fraud-aml'), key('fraud-key'), workspaceToken('aml'), token('churn')]) {
      expect(denied.decide(callerWith(), target)).toEqual(refusal('denied', 'caller_denied'));
    }
  });

  it('leaves other callers alone', () => {
    const denied = denying({ ...byObjectId, oid: otherObjectId });
    expect(denied.denies(callerWith())).toBe(false);
    expect(denied.decide(callerWith(), token('fraud-aml'))).toMatchObject({ allowed: true });
  });

  it('cuts off all apps of an issuer when it names no more', () => {
    expect(denying({ issuer: 'contoso', class: 'app' }).denies(callerWith())).toBe(true);
    expect(denying({ issuer: 'fabrikam', class: 'app' }).denies(callerWith())).toBe(false);
  });
});

describe('what is worth keeping fresh', () => {
  it('is every endpoint that a token or key entry reaches', () => {
    expect(grants.reaches('prod', 'fraud-aml')).toBe(true);
    expect(grants.reaches('prod', 'fraud-key')).toBe(true);
    expect(grants.reaches('prod', 'churn-aml')).toBe(false);
    expect(grants.reaches('dev', 'fraud-aml')).toBe(false);
    expect(grants.workspacesWithEndpoints).toEqual(['prod']);
  });

  it('is nothing that only a suspended grant or a workspace entry names', () => {
    const none = compile({ grants: { scores: { ...scores, suspended: true }, trains } });
    expect(none.reaches('prod', 'fraud-aml')).toBe(false);
    expect(none.workspacesWithEndpoints).toEqual([]);
  });
});

describe('whether a caller may have anything of a workspace’s endpoints', () => {
  it('is true for a caller of a grant with a token or key entry there', () => {
    const keys = compile({ grants: { scores: { ...scores, allow: [{ endpointKey: 'dev/any' }] } } });
    expect(grants.reachesEndpoints(callerWith(), 'prod')).toBe(true);
    expect(keys.reachesEndpoints(callerWith(), 'dev')).toBe(true);
  });

  it('is true also where the same grant has entries for a workspace’s token and for other workspaces', () => {
    const allow = [...trains.allow, { endpointToken: 'dev/any' }, { endpointKey: 'prod/any' }];
    const mixed = compile({ grants: { mixed: { ...trains, allow } } });
    expect(mixed.reachesEndpoints(callerWith(), 'prod')).toBe(true);
    expect(mixed.reachesEndpoints(callerWith(), 'dev')).toBe(true);
  });

  it('P1: is false for another caller, another workspace, a suspended grant and a workspace’s token alone', () => {
    const suspended = compile({ grants: { scores: { ...scores, suspended: true } } });
    expect(grants.reachesEndpoints(callerWith({ objectId: otherObjectId }), 'prod')).toBe(false);
    expect(grants.reachesEndpoints(callerWith(), 'dev')).toBe(false);
    expect(suspended.reachesEndpoints(callerWith(), 'prod')).toBe(false);
    expect(compile({ grants: { trains } }).reachesEndpoints(callerWith(), 'prod')).toBe(false);
  });
});
