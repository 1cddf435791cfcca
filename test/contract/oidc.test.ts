import { createRemoteJWKSet, decodeJwt, decodeProtectedHeader, errors, jwtVerify } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { GITHUB_ACTIONS, KUBERNETES } from '../../sandbox/oidc/issuers.ts';
import { BROKER_API, DEFAULT_WORKLOADS, PARTNER_TENANT_ID, TENANT_ID } from '../../sandbox/seed.ts';
import { startTestSandbox, type TestSandbox } from '../support/sandbox.ts';

/** The issuers beside the sandbox's tenant: what they publish, and tokens as they would sign them. */

let sandbox: TestSandbox;

beforeAll(async () => {
  sandbox = await startTestSandbox();
});
afterAll(() => sandbox.stop());

/** Where the sandbox serves what an issuer has at this URL. */
const at = (url: string) => `${sandbox.endpoints.entra}/workload/${url.replace('https://', '')}`;

async function jsonAt(url: string) {
  const response = await fetch(at(url));
  return { status: response.status, body: JSON.parse(await response.text()) };
}

const keysOf = ({ issuer, keysPath }: typeof GITHUB_ACTIONS) =>
  createRemoteJWKSet(new URL(at(new URL(keysPath, issuer).href)));

describe.each([
  ['GitHub Actions', GITHUB_ACTIONS, 'RS256'],
  ['a Kubernetes cluster', KUBERNETES, 'ES256'],
] as const)('%s', (_name, oidc, algorithm) => {
  it('has a discovery that names itself and keys on its own host', async () => {
    const { status, body } = await jsonAt(`${oidc.issuer.replace(/\/$/, '')}/.well-known/openid-configuration`);
    expect(status).toBe(200);
    expect(body).toMatchObject({ issuer: oidc.issuer, id_token_signing_alg_values_supported: [algorithm] });
    expect(new URL(body.jwks_uri).origin).toBe(new URL(oidc.issuer).origin);
    const { body: published } = await jsonAt(body.jwks_uri);
    expect(published.keys).toEqual([expect.objectContaining({ kid: expect.any(String), use: 'sig', alg: algorithm })]);
    expect(published.keys[0]).not.toHaveProperty('d');
  });

  it('signs tokens that its keys verify, and the other’s do not', async () => {
    const token = await sandbox.callerToken({ class: 'workload', issuer: oidc.issuer, subject: 'somebody' });
    const { payload, protectedHeader } = await jwtVerify(token, keysOf(oidc), { issuer: oidc.issuer });
    expect(protectedHeader.alg).toBe(algorithm);
    expect(payload.sub).toBe('somebody');
    const other = oidc === KUBERNETES ? GITHUB_ACTIONS : KUBERNETES;
    await expect(jwtVerify(token, keysOf(other))).rejects.toBeInstanceOf(errors.JWKSNoMatchingKey);
  });
});

describe('a workload’s token', () => {
  it('is by default that of a GitHub Actions job, with the claims that GitHub writes', async () => {
    const token = await sandbox.callerToken({ class: 'workload' });
    expect(decodeProtectedHeader(token)).toEqual({ typ: 'JWT', alg: 'RS256', kid: expect.any(String) });
    expect(decodeJwt(token)).toMatchObject({
      iss: GITHUB_ACTIONS.issuer,
      aud: BROKER_API.workloadAudience,
      sub: DEFAULT_WORKLOADS.github,
      repository: 'contoso/fraud',
      repository_owner_id: '1234',
      ref: 'refs/heads/main',
      jti: expect.any(String),
    });
  });

  it('has the claims that go with its subject: a stranger’s repository has a stranger’s ids', async () => {
    const claims = decodeJwt(
      await sandbox.callerToken({ class: 'workload', subject: 'repo:mallory/fraud:ref:refs/tags/v1' }),
    );
    expect(claims).toMatchObject({ repository_owner: 'mallory', ref: 'refs/tags/v1', ref_type: 'tag' });
    expect(claims.repository_owner_id).not.toBe('1234');
  });

  it('is of Kubernetes without typ, with a list as aud and the account’s names', async () => {
    const token = await sandbox.callerToken({ class: 'workload', issuer: KUBERNETES.issuer });
    expect(decodeProtectedHeader(token)).toEqual({ alg: 'ES256', kid: expect.any(String) });
    expect(decodeJwt(token)).toMatchObject({
      aud: [BROKER_API.workloadAudience],
      sub: DEFAULT_WORKLOADS.kubernetes,
      'kubernetes.io': { namespace: 'fraud', serviceaccount: { name: 'scorer' } },
    });
  });

  it('may name any issuer, whose keys are then published nowhere, and end in the past', async () => {
    const token = await sandbox.callerToken({
      class: 'workload',
      issuer: 'https://issuer.example',
      lifetimeSeconds: -60,
    });
    const { iss, iat = 0, exp = 0 } = decodeJwt(token);
    expect(iss).toBe('https://issuer.example');
    expect(exp).toBeLessThan(Date.now() / 1000 - 55);
    expect(iat).toBeLessThan(exp);
    expect((await fetch(at('https://issuer.example/.well-known/openid-configuration'))).status).toBe(404);
    await expect(jwtVerify(token, keysOf(GITHUB_ACTIONS))).rejects.toBeInstanceOf(errors.JWKSNoMatchingKey);
  });

  it('takes changes of any claim, and keeps the signature of the issuer that was asked for', async () => {
    const claims = { iss: KUBERNETES.issuer, ref: null };
    const token = await sandbox.callerToken({ class: 'workload', claims });
    expect(decodeJwt(token).iss).toBe(KUBERNETES.issuer);
    expect(decodeJwt(token)).not.toHaveProperty('ref');
    await expect(jwtVerify(token, keysOf(GITHUB_ACTIONS))).resolves.toMatchObject({
      payload: { iss: KUBERNETES.issuer },
    });
  });
});

describe('the second tenant', () => {
  it('publishes metadata and keys, by which its callers’ tokens verify', async () => {
    const base = `${sandbox.endpoints.entra}/${PARTNER_TENANT_ID}`;
    const metadata = JSON.parse(await (await fetch(`${base}/v2.0/.well-known/openid-configuration`)).text());
    expect(metadata.issuer).toBe(`https://login.microsoftonline.com/${PARTNER_TENANT_ID}/v2.0`);
    const token = await sandbox.callerToken({ tenant: PARTNER_TENANT_ID });
    const { payload } = await jwtVerify(token, createRemoteJWKSet(new URL(`${base}/discovery/v2.0/keys`)));
    expect(payload).toMatchObject({ tid: PARTNER_TENANT_ID, iss: metadata.issuer });
    expect(payload.tid).not.toBe(TENANT_ID);
  });

  it('has no application that could sign in', async () => {
    const response = await fetch(`${sandbox.endpoints.entra}/${PARTNER_TENANT_ID}/oauth2/v2.0/token`, {
      method: 'POST',
      body: new URLSearchParams({ client_id: BROKER_API.appId, grant_type: 'client_credentials' }),
    });
    expect(response.status).toBe(400);
    expect(JSON.parse(await response.text())).toMatchObject({ error: 'unauthorized_client', error_codes: [700016] });
  });
});
