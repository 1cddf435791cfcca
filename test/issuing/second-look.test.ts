import { describe, expect, it } from 'vitest';
import type { Identity } from '../../src/config/policy-schema.ts';
import { createSecondLook } from '../../src/issuing/second-look.ts';
import { aJwt, tenantId } from '../support/builders.ts';

const AML = 'https://ml.azure.com/.default';
const ARM = 'https://management.azure.com/.default';
const clientId = 'd0000000-0000-4000-8000-000000000001';
const other = 'd0000000-0000-4000-8000-0000000000ff';
const user = { tenantId, objectId: 'e0000000-0000-4000-8000-0000000000f2' };

const application = { tenantId, clientId };
const identities: Record<string, Identity> = {
  trainer: { use: 'issue', servicePrincipal: { ...application, secret: 'trainer-password' } },
  deployer: { use: 'issue', federated: { ...application, managedIdentity: {} } },
  runner: { use: 'issue', managedIdentity: { clientId } },
  system: { use: 'issue', managedIdentity: {} },
  user: { use: 'issue', onBehalfOf: { ...application, managedIdentity: {} } },
};
const lookAgain = createSecondLook({
  identities,
  audiences: { [AML]: ['https://ml.azure.com', other], [ARM]: ['https://management.azure.com'] },
});

const good = { aud: 'https://ml.azure.com', appid: clientId, tid: tenantId, oid: 'service-principal' };
const mismatch = (what: string) =>
  expect.objectContaining({ code: 'unexpected_upstream_answer', reason: `token_is_for_another: ${what}` });
const outcomeOf = (look: () => void): unknown => {
  try {
    look();
    return 'fits';
  } catch (error) {
    return error;
  }
};

describe('the second look at an identity’s token', () => {
  it.each(['trainer', 'deployer', 'runner', 'system'])('P3: takes what was asked for: %s', (identity) => {
    expect(outcomeOf(() => lookAgain(identity, AML, aJwt(good)))).toBe('fits');
  });

  it.each([
    ['with a slash at the end', { aud: 'https://ml.azure.com/' }],
    ['with the application’s id as audience', { aud: other }],
    ['of version 2, which names the client azp', { appid: undefined, azp: clientId }],
    ['with ids in other letters', { appid: clientId.toUpperCase(), tid: tenantId.toUpperCase() }],
  ])('P3: takes a token %s', (_what, change) => {
    expect(outcomeOf(() => lookAgain('trainer', AML, aJwt({ ...good, ...change })))).toBe('fits');
  });

  it.each([
    ['another resource', { aud: 'https://management.azure.com' }, 'audience'],
    ['a resource that only begins alike', { aud: 'https://ml.azure.com.example' }, 'audience'],
    ['a list of resources', { aud: ['https://ml.azure.com'] }, 'audience'],
    ['no resource', { aud: undefined }, 'audience'],
    ['another application', { appid: other }, 'application'],
    ['no application', { appid: undefined }, 'application'],
    ['another application by appid, ours by azp', { appid: other, azp: clientId }, 'application'],
    ['another tenant', { tid: other }, 'tenant'],
    ['a user', { scp: 'user_impersonation' }, 'a_user'],
  ])('P3: refuses a token for %s', (_what, change, what) => {
    for (const identity of ['trainer', 'deployer']) {
      expect(outcomeOf(() => lookAgain(identity, AML, aJwt({ ...good, ...change })))).toEqual(mismatch(what));
    }
  });

  it('P3: refuses the aml token where arm was asked for, and the other way round', () => {
    const arm = aJwt({ ...good, aud: 'https://management.azure.com' });
    expect(outcomeOf(() => lookAgain('trainer', ARM, aJwt(good)))).toEqual(mismatch('audience'));
    expect(outcomeOf(() => lookAgain('trainer', AML, arm))).toEqual(mismatch('audience'));
    expect(outcomeOf(() => lookAgain('trainer', ARM, arm))).toBe('fits');
  });

  it('P3: asks of a managed identity its client id where the policy names one', () => {
    const token = aJwt({ ...good, appid: other });
    expect(outcomeOf(() => lookAgain('runner', AML, token))).toEqual(mismatch('application'));
    expect(outcomeOf(() => lookAgain('system', AML, token))).toBe('fits');
  });

  it('judges no audience of a scope that it does not know', () => {
    expect(outcomeOf(() => lookAgain('trainer', 'https://graph.microsoft.com/.default', aJwt(good)))).toBe('fits');
  });

  it.each(['opaque-token', 'a.b', 'a.b.c.d.e', ''])('leaves %j, which cannot be read, to the answer', (token) => {
    expect(outcomeOf(() => lookAgain('trainer', AML, token))).toBe('fits');
  });
});

describe('the second look at a token in the name of a user', () => {
  const users = { ...good, oid: user.objectId, scp: 'user_impersonation' };

  it('P3: takes the user’s own', () => {
    expect(outcomeOf(() => lookAgain('user', AML, aJwt(users), user))).toBe('fits');
  });

  it.each([
    ['another user', { oid: other }, 'another_user'],
    ['nobody', { oid: undefined }, 'another_user'],
    ['a user of another tenant', { tid: other }, 'tenant'],
    ['another resource', { aud: 'https://management.azure.com' }, 'audience'],
    ['another application', { appid: other }, 'application'],
  ])('P3: refuses a token for %s', (_what, change, what) => {
    expect(outcomeOf(() => lookAgain('user', AML, aJwt({ ...users, ...change }), user))).toEqual(mismatch(what));
  });
});
