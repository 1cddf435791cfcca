import { CompactSign, exportSPKI, importPKCS8 } from 'jose';
import { describe, expect, it } from 'vitest';
import { MAX_TOKEN_BYTES } from '../../src/callers/bearer.ts';
import {
  apiAppId,
  callerObjectId,
  claimsOf,
  createSigningKey,
  expectRefusal,
  identifierUri,
  signToken,
  start,
  startSeconds,
  tenant,
} from './entra.ts';
import {
  audience,
  cluster,
  createWorkloadKey,
  createWorkloadWorld,
  github,
  jobClaims,
  jobSubject,
  signJob,
} from './workloads.ts';

const key = await createWorkloadKey('key-1');
const clusterKey = await createWorkloadKey('key-2', 'ES256');
const published = { [github]: [key.jwk], [cluster]: [clusterKey.jwk] };

const verifyJob = (changes: Record<string, unknown>, header: Record<string, unknown> = {}) =>
  createWorkloadWorld(published).verify(signJob(key, changes, header));

describe('a verified workload', () => {
  it('has the subject and claims of its token, and no ids that only Entra gives', async () => {
    expect(await verifyJob({})).toEqual({
      issuer: 'github',
      class: 'workload',
      subject: jobSubject,
      roles: [],
      tokenId: 'made-up-jti',
      claims: jobClaims(),
      expiresOn: new Date((startSeconds + 600) * 1000),
    });
  });

  it('is a workload whatever its claims look like: no claim of Entra’s makes it an app or a user', async () => {
    const claims = { ...claimsOf.userV2, iss: github, aud: audience, roles: ['Operator'], idtyp: 'app' };
    const caller = await verifyJob(claims);
    expect(caller).toMatchObject({ class: 'workload', roles: [] });
    expect(caller.objectId).toBeUndefined();
    expect(caller.appId).toBeUndefined();
  });

  it('may come as Kubernetes sends it: ES256, no typ, aud as a list of one', async () => {
    const token = signJob(
      clusterKey,
      { iss: cluster, aud: [audience], sub: 'system:serviceaccount:a:b' },
      { typ: undefined },
    );
    await expect(createWorkloadWorld(published).verify(token)).resolves.toMatchObject({
      issuer: 'cluster',
      subject: 'system:serviceaccount:a:b',
    });
  });

  it.each(['nbf', 'iat', 'jti'])('needs no %s', async (name) => {
    await expect(verifyJob({ [name]: undefined })).resolves.toMatchObject({ class: 'workload' });
  });

  it('P1: is another caller than the same subject of another issuer', async () => {
    const { verify } = createWorkloadWorld(published);
    const [one, other] = await Promise.all([verify(signJob(key)), verify(signJob(clusterKey, { iss: cluster }))]);
    expect([one.subject, other.subject]).toEqual([jobSubject, jobSubject]);
    expect([one.issuer, other.issuer]).toEqual(['github', 'cluster']);
  });

  it('is remembered for 5 minutes, and forgotten when its key leaves the published set', async () => {
    const sets = { ...published };
    const world = createWorkloadWorld(sets);
    const token = signJob(key, { exp: startSeconds + 7200 });
    const first = await world.verify(token);
    world.advance(299);
    expect(await world.verify(token)).toBe(first);
    sets[github] = [clusterKey.jwk];
    await expectRefusal(world.verify(signJob(key, {}, { kid: 'unheard-of' })), 'unknown_key');
    await expectRefusal(world.verify(token), 'unknown_key');
  });
});

describe('the issuer of a workload', () => {
  it.each([
    ['a slash more', `${github}/`],
    ['a slash less', cluster.slice(0, -1), clusterKey],
    ['upper case', github.toUpperCase()],
    ['plain http', github.replace('https', 'http')],
    ['a port', `${github}:443`],
    ['another path', `${github}/contoso`],
    ['a look-alike host', `${github}.example.com`],
    ['a list', [github]],
    ['nothing', undefined],
  ])('P1: is refused with %s', async (_what, iss, signedBy = key) => {
    await expectRefusal(createWorkloadWorld(published).verify(signJob(signedBy, { iss })), 'issuer');
  });

  it('P1: cannot speak for another: its key does not verify there, not even under the other’s kid', async () => {
    const { verify } = createWorkloadWorld(published);
    await expectRefusal(verify(signJob(clusterKey, { iss: github })), 'unknown_key');
    await expectRefusal(verify(signJob(clusterKey, { iss: github }, { kid: 'key-1', alg: 'RS256' })), 'signature');
  });

  it('P1: cannot speak for an Entra tenant, nor the tenant for it', async () => {
    const entra = await createSigningKey('key-1');
    const trusted = {
      contoso: { entraTenant: tenant, audience: [identifierUri, apiAppId, audience] },
      github: { issuer: github, audience },
    };
    const { verify } = createWorkloadWorld({ ...published, [tenant]: [entra.jwk] }, trusted);
    await expect(verify(await signToken(entra))).resolves.toMatchObject({ objectId: callerObjectId });
    await expectRefusal(verify(signJob(key, claimsOf.appV2)), 'signature');
    await expectRefusal(verify(await signToken(entra, { ...claimsOf.appV2, iss: github, aud: audience })), 'signature');
  });

  it('P1: has the keys of its own pin: a policy that pins others asks again', async () => {
    const pinned = { github: { issuer: github, audience, jwksUri: 'https://keys.example.com/jwks' } };
    const world = createWorkloadWorld(published, pinned);
    await world.verify(signJob(key));
    expect(world.fetched).toEqual([{ issuer: github, jwksUri: 'https://keys.example.com/jwks' }]);
  });
});

describe('the audience of a workload', () => {
  it.each([
    ['another', 'https://github.com/contoso'],
    ['a longer one', `${audience}2`],
    ['other letters', audience.toUpperCase()],
    ['two, of which one is ours', [audience, 'other']],
    ['ours twice', [audience, audience]],
    ['an empty list', []],
    ['a pattern', '*'],
  ])('P1: is refused: %s', async (_what, aud) => {
    await expectRefusal(verifyJob({ aud }), 'audience');
  });

  it.each([undefined, null, 7, { 0: audience }])('P1: is refused: %j', async (aud) => {
    await expectRefusal(verifyJob({ aud }), 'claim_aud');
  });
});

describe('the times of a workload’s token, with a skew of 300 s', () => {
  it.each([
    ['exp 299 s ago', { exp: startSeconds - 299 }],
    ['nbf in 300 s', { nbf: startSeconds + 300 }],
    ['iat in 300 s', { iat: startSeconds + 300 }],
  ])('accept %s', async (_what, changes) => {
    await expect(verifyJob(changes)).resolves.toMatchObject({ subject: jobSubject });
  });

  it.each([
    ['exp 300 s ago', { exp: startSeconds - 300 }, 'expired'],
    ['nbf in 301 s', { nbf: startSeconds + 301 }, 'not_yet_valid'],
    ['iat in 301 s', { iat: startSeconds + 301 }, 'issued_in_the_future'],
    ['no exp', { exp: undefined }, 'claim_exp'],
    ['exp as text', { exp: String(startSeconds + 600) }, 'claim_exp'],
    ['exp beyond all dates', { exp: 1e300 }, 'claim_exp'],
    ['nbf as text', { nbf: '1' }, 'claim_nbf'],
    ['iat that is null', { iat: null }, 'claim_iat'],
  ])('P1: refuse %s', async (_what, changes, reason) => {
    await expectRefusal(verifyJob(changes), reason);
  });
});

describe('a workload’s token', () => {
  it.each([undefined, '', 7, 'x'.repeat(1025)])('P1: is refused with sub %j', async (sub) => {
    await expectRefusal(verifyJob({ sub }), 'claim_sub');
  });

  it.each(['nonce', 'at_hash', 'c_hash'])('P1: is refused when %s shows that a person signed in', async (name) => {
    await expectRefusal(verifyJob({ [name]: 'x' }), 'id_token');
  });

  it('P1: is refused unread when it is over 16 KiB', async () => {
    const token = signJob(key, { padding: 'x'.repeat(MAX_TOKEN_BYTES) });
    const world = createWorkloadWorld(published);
    await expectRefusal(world.verify(token), 'token_too_long');
    expect(world.fetched).toEqual([]);
  });

  it.each(['none', 'None', 'HS256', 'HS512', 'RSA1_5', 'A256GCM', '', 1, undefined])(
    'P1: is refused with alg %j before any key is asked for',
    async (alg) => {
      const world = createWorkloadWorld(published);
      await expectRefusal(world.verify(signJob(key, {}, { alg })), 'header_alg');
      expect(world.fetched).toEqual([]);
    },
  );

  it('P1: is refused with HS256 and the public key as the secret', async () => {
    for (const secret of [await exportSPKI(key.publicKey), JSON.stringify(key.jwk)]) {
      const token = await new CompactSign(Buffer.from(JSON.stringify(jobClaims())))
        .setProtectedHeader({ typ: 'JWT', alg: 'HS256', kid: 'key-1' })
        .sign(Buffer.from(secret));
      await expectRefusal(createWorkloadWorld(published).verify(token), 'header_alg');
    }
  });

  it.each(['RS384', 'RS512', 'PS256', 'ES256', 'EdDSA'])(
    'P1: is refused with %s where the published key is for RS256',
    async (alg) => {
      const pem = key.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
      const token = alg.startsWith('E')
        ? signJob(key, {}, { alg })
        : await new CompactSign(Buffer.from(JSON.stringify(jobClaims())))
            .setProtectedHeader({ typ: 'JWT', alg, kid: 'key-1' })
            .sign(await importPKCS8(pem, alg));
      await expectRefusal(createWorkloadWorld(published).verify(token), 'unknown_key');
    },
  );

  it.each(['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA'])(
    'is accepted with %s where that is the published key’s own',
    async (alg) => {
      const own = await createWorkloadKey('key-1', alg);
      const token = await new CompactSign(Buffer.from(JSON.stringify(jobClaims())))
        .setProtectedHeader({ alg, kid: 'key-1' })
        .sign(own.privateKey);
      const { verify } = createWorkloadWorld({ [github]: [own.jwk] });
      await expect(verify(token)).resolves.toMatchObject({ class: 'workload' });
    },
  );

  it('P1: is refused when any claim was changed after it was signed', async () => {
    const [header, , signature] = signJob(key).split('.');
    const payload = Buffer.from(JSON.stringify(jobClaims({ repository_owner_id: '1235' }))).toString('base64url');
    await expectRefusal(createWorkloadWorld(published).verify(`${header}.${payload}.${signature}`), 'signature');
  });

  it.each([
    [{ kid: undefined }, 'header_kid'],
    [{ kid: '' }, 'header_kid'],
    [{ kid: 'key-2' }, 'unknown_key'],
    [{ typ: 'at+jwt' }, 'header_typ'],
    [{ typ: 'logout+jwt' }, 'header_typ'],
    [{ jku: `${github}/.well-known/jwks` }, 'header_jku'],
    [{ jwk: key.jwk }, 'header_jwk'],
    [{ x5u: github }, 'header_x5u'],
    [{ crit: ['exp'] }, 'header_crit'],
  ])('P1: is refused with the header %j', async (header, reason) => {
    await expectRefusal(verifyJob({}, header), reason);
  });

  it('P1: is not accepted by a key that is too short', async () => {
    const { generateKeyPairSync } = await import('node:crypto');
    const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 1024 });
    const jwk = { ...publicKey.export({ format: 'jwk' }), kid: 'key-1', alg: 'RS256' };
    const short = { ...key, privateKey, jwk };
    await expectRefusal(createWorkloadWorld({ [github]: [jwk] }).verify(signJob(short)), 'not_verifiable');
  });

  it('ends when it says so, to the second', async () => {
    const caller = await verifyJob({ exp: startSeconds + 1 });
    expect(caller.expiresOn).toEqual(new Date(start.getTime() + 1000));
  });
});
