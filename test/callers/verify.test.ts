import { describe, expect, it } from 'vitest';
import {
  apiAppId,
  callerAppId,
  callerObjectId,
  claimsOf,
  createSigningKey,
  createWorld,
  expectRefusal,
  identifierUri,
  issuerV1,
  issuerV2,
  otherTenant,
  signToken,
  startSeconds,
  tenant,
} from './entra.ts';

const key = await createSigningKey('key-1');
const verifyClaims = async (changes: Record<string, unknown>) => createWorld(key).verify(await signToken(key, changes));

describe('a verified caller', () => {
  it.each([
    ['app', 'v1', claimsOf.appV1, callerObjectId],
    ['app', 'v2', claimsOf.appV2, callerObjectId],
    ['user', 'v1', claimsOf.userV1, 'pair-1'],
    ['user', 'v2', claimsOf.userV2, 'pair-2'],
  ])('is class %s for such a %s token, with the ids of its claims', async (callerClass, version, claims, subject) => {
    const absent = version === 'v1' ? { azp: undefined } : { appid: undefined };
    await expect(verifyClaims({ ...claims, ...absent })).resolves.toEqual({
      issuer: 'contoso',
      class: callerClass,
      subject,
      tenantId: tenant,
      objectId: callerObjectId,
      appId: callerAppId,
      roles: [],
      tokenId: 'made-up-uti',
      claims,
      expiresOn: new Date((startSeconds + 3600) * 1000),
    });
  });

  it('has the roles of the token and every other claim for exact matchers', async () => {
    const caller = await verifyClaims({ roles: ['Operator', 'Reader'], wids: ['a'], extra: 7 });
    expect(caller.roles).toEqual(['Operator', 'Reader']);
    expect(caller.claims).toMatchObject({ extra: 7, wids: ['a'] });
  });

  it('has ids in lower case, however the token writes them', async () => {
    const caller = await verifyClaims({
      tid: tenant,
      oid: callerObjectId.toUpperCase(),
      azp: callerAppId.toUpperCase(),
    });
    expect(caller).toMatchObject({ objectId: callerObjectId, appId: callerAppId, class: 'app' });
  });

  it('is an app with idtyp app also where sub is not oid', async () => {
    await expect(verifyClaims({ idtyp: 'app', sub: 'something-else' })).resolves.toMatchObject({ class: 'app' });
  });

  it('is a user with idtyp user and scp', async () => {
    await expect(verifyClaims({ ...claimsOf.userV2, idtyp: 'user' })).resolves.toMatchObject({ class: 'user' });
  });

  it('is a user by scp even where sub is oid', async () => {
    await expect(verifyClaims({ scp: 'Use' })).resolves.toMatchObject({ class: 'user' });
  });

  it('P1: is nobody when the token says scp and idtyp app', async () => {
    await expectRefusal(verifyClaims({ scp: 'Use', idtyp: 'app' }), 'class_contradicts_itself');
  });

  it.each([
    ['no scp, no idtyp, and sub that is not oid', { sub: 'pair-3' }],
    ['idtyp user without scp', { idtyp: 'user' }],
    ['an unknown idtyp', { idtyp: 'device' }],
    ['idtyp in other letters', { idtyp: 'APP' }],
  ])('P1: is nobody with %s', async (_what, changes) => {
    await expectRefusal(verifyClaims(changes), 'neither_user_nor_app');
  });

  it.each([
    ['an empty scp', '', 'claim_scp'],
    ['a blank scp', ' ', 'claim_scp'],
    ['a list as scp', ['Use'], 'claim_scp'],
    ['null as scp', null, 'claim_scp'],
  ])('P1: is nobody with %s', async (_what, scp, reason) => {
    await expectRefusal(verifyClaims({ scp }), reason);
  });
});

describe('the issuer', () => {
  it.each([
    ['v1 without its trailing slash', `https://sts.windows.net/${tenant}`],
    ['v1 with two trailing slashes', `${issuerV1()}/`],
    ['v2 with a trailing slash', `${issuerV2()}/`],
    ['v2 without its version', `https://login.microsoftonline.com/${tenant}`],
    ['another tenant, v1', issuerV1(otherTenant)],
    ['another tenant, v2', issuerV2(otherTenant)],
    ['the tenant common', issuerV2('common')],
    ['plain http', `http://sts.windows.net/${tenant}/`],
    ['another case', issuerV2().replace('login', 'LOGIN')],
    ['another cloud', `https://sts.chinacloudapi.cn/${tenant}/`],
    ['a look-alike host', `https://sts.windows.net.example.com/${tenant}/`],
    ['a path before it', `https://example.com/${issuerV1()}`],
    ['a space after it', `${issuerV2()} `],
    ['a list with the right one', [issuerV2()]],
    ['a number', 1],
    ['null', null],
    ['a name of every object', 'constructor'],
    ['nothing', undefined],
  ])('P1: is refused: %s', async (_what, iss) => {
    await expectRefusal(verifyClaims({ iss }), 'issuer');
  });

  it.each([
    ['v1 for a 2.0 token', { ...claimsOf.appV2, iss: issuerV1() }],
    ['v2 for a 1.0 token', { ...claimsOf.appV1, iss: issuerV2() }],
  ])('P1: is refused: %s', async (_what, claims) => {
    await expectRefusal(verifyClaims(claims), 'version_does_not_fit_issuer');
  });

  it('P1: is refused when tid is another tenant than it names', async () => {
    await expectRefusal(verifyClaims({ tid: otherTenant }), 'tenant_does_not_fit_issuer');
  });
});

describe('the audience', () => {
  it.each([
    ['another API', 'api://c0000000-0000-4000-8000-000000000001'],
    ['Azure Resource Manager', 'https://management.azure.com/'],
    ['the exchange of federated credentials', 'api://AzureADTokenExchange'],
    ['a trailing slash', `${identifierUri}/`],
    ['upper case', apiAppId.toUpperCase()],
    ['a longer text', `${apiAppId}0`],
    ['an empty text', ''],
  ])('P1: is refused: %s', async (_what, aud) => {
    await expectRefusal(verifyClaims({ aud }), 'audience');
  });

  it.each([
    ['a list with ours', [apiAppId]],
    ['a list with ours and another', [apiAppId, 'api://other']],
    ['a number', 1],
    ['nothing', undefined],
  ])('P1: is refused: %s', async (_what, aud) => {
    await expectRefusal(verifyClaims({ aud }), 'claim_aud');
  });
});

describe('the claims', () => {
  it.each([
    ['tid', [undefined, 'contoso.onmicrosoft.com', 7]],
    ['oid', [undefined, 'not-a-guid', null]],
    ['sub', [undefined, '', 'x'.repeat(257), 7]],
    ['ver', [undefined, '1', '2', '3.0', 2, '2.0 ', null]],
    ['azp', [undefined, 'not-a-guid', ['e0000000-0000-4000-8000-000000000001']]],
    ['exp', [undefined, null, '1772370000', 1.5]],
    ['nbf', [undefined, '1772370000', 1.5]],
    ['iat', [undefined, '1772370000', 1.5]],
    ['roles', ['Operator', { 0: 'Operator' }, null]],
    ['uti', ['x'.repeat(257), 7]],
  ])('P1: are refused when %s is not as Entra writes it', async (name, values) => {
    for (const value of values) {
      const attempt = verifyClaims({ [name]: value });
      await expectRefusal(attempt, name === 'roles' && Array.isArray(value) ? 'claim_roles.0' : `claim_${name}`);
    }
  });

  it('P1: are refused when a role is not a text', async () => {
    await expectRefusal(verifyClaims({ roles: ['Operator', 7] }), 'claim_roles.1');
  });

  it.each(['nonce', 'at_hash', 'c_hash'])('P1: are refused when %s shows that this is an ID token', async (name) => {
    await expectRefusal(verifyClaims({ [name]: 'x' }), 'id_token');
  });

  it('P1: are refused for an ID token that names no client, v1 and v2', async () => {
    await expectRefusal(verifyClaims({ ...claimsOf.userV2, azp: undefined, scp: undefined }), 'claim_azp');
    await expectRefusal(verifyClaims({ ...claimsOf.userV1, appid: undefined, azp: undefined }), 'claim_appid');
  });
});

describe('the times, with a skew of 300 s', () => {
  it.each([
    ['exp 299 s ago', { exp: startSeconds - 299 }],
    ['nbf in 300 s', { nbf: startSeconds + 300 }],
    ['iat in 300 s', { iat: startSeconds + 300 }],
  ])('accept %s', async (_what, changes) => {
    await expect(verifyClaims(changes)).resolves.toMatchObject({ objectId: callerObjectId });
  });

  it.each([
    ['exp 300 s ago', { exp: startSeconds - 300 }, 'expired'],
    ['exp long ago', { exp: 0 }, 'expired'],
    ['nbf in 301 s', { nbf: startSeconds + 301 }, 'not_yet_valid'],
    ['iat in 301 s', { iat: startSeconds + 301 }, 'issued_in_the_future'],
  ])('P1: refuse %s', async (_what, changes, reason) => {
    await expectRefusal(verifyClaims(changes), reason);
  });

  // Beyond 8.64e12 seconds a Date is invalid, and compares as neither earlier nor later than anything.
  const noDates = [-1, 253_402_300_800, 8_640_000_000_001, Number.MAX_SAFE_INTEGER, 1e300];

  it.each(['exp', 'nbf', 'iat'])('P1: refuse %s outside the years 1970 to 9999', async (name) => {
    for (const value of noDates) await expectRefusal(verifyClaims({ [name]: value }), `claim_${name}`);
  });

  it('accept exp in the last second of the year 9999', async () => {
    const caller = await verifyClaims({ exp: 253_402_300_799 });
    expect(caller.expiresOn).toEqual(new Date('9999-12-31T23:59:59Z'));
  });
});
