import { describe, expect, it } from 'vitest';
import {
  callerObjectId,
  claimsOf,
  createSigningKey,
  createWorld,
  expectRefusal,
  otherTenant,
  signToken,
} from './entra.ts';

/**
 * Every shape of token that Microsoft's "Access token claims reference" and "ID token claims reference" tell of, as far
 * as it matters for who calls: an app, a person, or nobody.
 */

const key = await createSigningKey('key-1');
const { appV1, appV2, userV1, userV2 } = claimsOf;
const guestsHome = `https://sts.windows.net/${otherTenant}/`;

const verify = async (changes: Record<string, unknown>) => {
  const absent = changes.ver === '1.0' ? { azp: undefined } : {};
  return createWorld(key).verify(await signToken(key, { ...changes, ...absent }));
};

describe('an app is', () => {
  it.each([
    ['a client with a secret, v1', { ...appV1, appidacr: '1' }],
    ['a client with a secret, v2', { ...appV2, azpacr: '1' }],
    ['a client with a certificate, v1', { ...appV1, appidacr: '2' }],
    ['a client with a certificate or a federated assertion, v2', { ...appV2, azpacr: '2' }],
    ['a client whose token has app roles', { ...appV2, roles: ['Models.Read'] }],
    ['a client whose token has neither roles nor scp', { ...appV2, roles: undefined, scp: undefined }],
    ['a client with the optional claim idtyp', { ...appV2, idtyp: 'app' }],
    [
      'a managed identity',
      { ...appV1, appidacr: '2', idtyp: 'app', xms_mirid: '/subscriptions/…/userAssignedIdentities/a' },
    ],
    ['an app with groups and directory roles', { ...appV2, groups: ['g'], wids: ['w'] }],
    ['a client with continuous access evaluation', { ...appV2, xms_cc: ['CP1'] }],
    ['an app of another tenant that was admitted here', { ...appV1, idp: guestsHome }],
    ['a client whose token does not say how it proved itself', { ...appV2, azpacr: undefined }],
  ])('%s', async (_what, claims) => {
    await expect(verify(claims)).resolves.toMatchObject({ class: 'app', objectId: callerObjectId });
  });
});

describe('a user is', () => {
  it.each([
    ['a person in a public client, v1', { ...userV1, appidacr: '0' }],
    ['a person in a public client, v2', { ...userV2, azpacr: '0' }],
    ['a person in a web app with a secret', { ...userV2, azpacr: '1' }],
    ['a person on whose behalf an app with a certificate asks', { ...userV2, azpacr: '2' }],
    ['a person with app roles of their own', { ...userV2, roles: ['Operator'] }],
    ['a person with several permissions', { ...userV2, scp: 'Use Models.Read' }],
    ['a person with the optional claim idtyp', { ...userV2, idtyp: 'user' }],
    [
      'a person who signed in with several factors, v1',
      { ...userV1, acr: '1', amr: ['pwd', 'mfa'], ipaddr: '203.0.113.7' },
    ],
    ['a person with names', { ...userV2, preferred_username: 'a@contoso.example', name: 'A' }],
    ['a person in too many groups', { ...userV2, _claim_names: { groups: 'src1' }, _claim_sources: {} }],
    ['a person in too many groups, implicit flow', { ...userV2, hasgroups: true }],
    ['a person with continuous access evaluation', { ...userV2, xms_cc: ['CP1'] }],
  ])('%s', async (_what, claims) => {
    await expect(verify(claims)).resolves.toMatchObject({ class: 'user', objectId: callerObjectId });
  });

  it.each([
    ['another tenant, v1', { ...userV1, idp: guestsHome, unique_name: 'a_fabrikam#EXT#@contoso.example' }],
    ['another tenant, v2', { ...userV2, idp: guestsHome, acct: 1 }],
    ['a personal account', { ...userV1, idp: 'live.com', altsecid: '1:live.com:0003', email: 'a@outlook.example' }],
  ])('a guest of %s, by the object id in this tenant', async (_what, claims) => {
    const caller = await verify(claims);
    expect(caller).toMatchObject({ class: 'user', objectId: callerObjectId, issuer: 'contoso' });
    expect(caller.subject).toBe(claims.sub);
  });
});

describe('P1: nobody is', () => {
  it.each([
    ['neither scp, idtyp nor sub = oid', { ...appV2, sub: 'pair-3' }, 'neither_user_nor_app'],
    [
      'a person’s token without scp but with roles',
      { ...userV2, scp: undefined, roles: ['Operator'] },
      'neither_user_nor_app',
    ],
    ['idtyp user without scp', { ...appV2, idtyp: 'user' }, 'neither_user_nor_app'],
    ['idtyp device', { ...appV2, idtyp: 'device' }, 'neither_user_nor_app'],
    ['idtyp app with scp', { ...userV2, idtyp: 'app' }, 'class_contradicts_itself'],
    ['a public client that speaks for itself, v1', { ...appV1, appidacr: '0' }, 'public_client_without_user'],
    [
      'a public client that speaks for itself, v2',
      { ...appV2, azpacr: '0', idtyp: 'app' },
      'public_client_without_user',
    ],
    ['a proof that is no text', { ...appV2, azpacr: 0 }, 'claim_azpacr'],
    ['an ID token, v2', { ...userV2, azp: undefined, scp: undefined }, 'claim_azp'],
    ['an ID token of the hybrid flow', { ...userV2, nonce: 'n', c_hash: 'c' }, 'id_token'],
    ['a v1 token that names its client as v2 does', { ...appV1, appid: undefined, azp: appV2.azp }, 'claim_appid'],
    ['a guest by the tenant they come from', { ...userV2, tid: otherTenant }, 'tenant_does_not_fit_issuer'],
    ['a guest without object id', { ...userV2, oid: undefined, idp: guestsHome }, 'claim_oid'],
    [
      'a personal account that is no guest',
      { ...userV2, iss: 'https://login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0' },
      'issuer',
    ],
  ])('%s', async (_what, claims, reason) => {
    const attempt = createWorld(key).verify(await signToken(key, { azp: undefined, ...claims }));
    await expectRefusal(attempt, reason);
  });
});
