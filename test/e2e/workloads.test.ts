import { createPrivateKey, createPublicKey, randomUUID } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { SignJWT } from 'jose';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import * as z from 'zod';
import { GITHUB_ACTIONS, KUBERNETES } from '../../sandbox/oidc/issuers.ts';
import { DEFAULT_WORKLOADS, PARTNER_TENANT_ID } from '../../sandbox/seed.ts';
import { type Instance, sandboxPolicy, startTestBroker, type TestBroker } from '../support/broker.ts';

/** Callers of OIDC issuers and of a second tenant, through the whole broker, over TLS to the issuers' documents. */

let broker: TestBroker;

beforeAll(async () => {
  broker = await startTestBroker();
});
afterAll(() => broker?.stop());

const trainsInProd = '/workspaces/prod/token';
const scoresFraud = '/workspaces/prod/endpoints/fraud-aml/token';

const ask = async (route: string, caller: Record<string, unknown>) =>
  broker.post(route, { token: await broker.sandbox.callerToken(caller) });

const section = z.record(z.string(), z.unknown());
const policySections = z.looseObject({ issuers: section, identities: section, workspaces: section });

/** Another instance of the broker, on the same sandbox, with this policy. */
async function instanceWith(policy: string): Promise<Instance> {
  const file = path.join(broker.sandbox.folder, `${randomUUID()}.yaml`);
  await writeFile(file, policy);
  return broker.anotherInstance({ POLICY: file });
}

/** The rows of the audit about one request. */
async function auditRows(correlationId: string): Promise<object[]> {
  const token = await broker.sandbox.identityToken('https://storage.azure.com/');
  const month = new Date().toISOString().slice(0, 7).replace('-', '');
  const filter = encodeURIComponent(`correlationId eq '${correlationId}'`);
  const answer = await fetch(`${broker.sandbox.endpoints.audit}/audit${month}()?$filter=${filter}`, {
    headers: {
      Authorization: `Bearer ${token}`,
      Accept: 'application/json;odata=nometadata',
      'x-ms-version': '2019-02-02',
    },
  });
  return z.object({ value: z.array(z.looseObject({})) }).parse(await answer.json()).value;
}

const kubernetes = { class: 'workload', issuer: KUBERNETES.issuer };

describe('a workload', () => {
  it('of GitHub Actions obtains what its grant allows, and nothing else', async () => {
    const answer = await ask(trainsInProd, { class: 'workload' });
    expect(answer).toMatchObject({ status: 200, body: { tokenType: 'Bearer', audience: 'aml', identity: 'trainer' } });
    expect(await ask('/workspaces/dev/token', { class: 'workload' })).toMatchObject({
      status: 403,
      body: { code: 'not_granted' },
    });
  });

  it('of a Kubernetes cluster, whose tokens are ES256 with a list as aud, obtains what its grant allows', async () => {
    expect(await ask(scoresFraud, kubernetes)).toMatchObject({ status: 200, body: { authMode: 'aml_token' } });
    expect(await ask(trainsInProd, kubernetes)).toMatchObject({ status: 403, body: { code: 'not_granted' } });
  });

  it.each([
    ['another branch', { class: 'workload', subject: 'repo:contoso/fraud:ref:refs/heads/main2' }],
    ['a branch named like the right one', { class: 'workload', subject: 'repo:contoso/fraud:ref:x/refs/heads/main' }],
    ['a fork', { class: 'workload', subject: 'repo:mallory/fraud:ref:refs/heads/main' }],
    [
      'a repository whose name begins the same',
      { class: 'workload', subject: 'repo:contoso/fraud2:ref:refs/heads/main' },
    ],
    ['its subject under another owner’s id', { class: 'workload', claims: { repository_owner_id: '12345' } }],
    ['its owner’s id as a number', { class: 'workload', claims: { repository_owner_id: 1234 } }],
    ['another service account', { ...kubernetes, subject: 'system:serviceaccount:fraud:scorer2' }],
    ['another namespace', { ...kubernetes, subject: 'system:serviceaccount:fraud2:scorer' }],
  ])('P1: is not granted what is for another: %s', async (_what, caller) => {
    for (const route of [trainsInProd, scoresFraud]) {
      if (route === scoresFraud && 'claims' in caller) continue;
      expect(await ask(route, caller)).toMatchObject({ status: 403, body: { code: 'not_granted' } });
    }
  });

  it('P1: of one issuer is nobody for another issuer’s grants, though the subject is the same', async () => {
    const asGithub = {
      ...kubernetes,
      subject: DEFAULT_WORKLOADS.github,
      claims: { repository_owner_id: '1234', ref: 'refs/heads/main' },
    };
    expect(await ask(trainsInProd, asGithub)).toMatchObject({ status: 403, body: { code: 'not_granted' } });
    const asKubernetes = { class: 'workload', subject: DEFAULT_WORKLOADS.kubernetes };
    expect(await ask(scoresFraud, asKubernetes)).toMatchObject({ status: 403, body: { code: 'not_granted' } });
  });

  it.each([
    ['an issuer that the policy does not name', { class: 'workload', issuer: 'https://issuer.example' }],
    ['a trusted issuer’s URL with a slash more', { class: 'workload', issuer: `${GITHUB_ACTIONS.issuer}/` }],
    ['another issuer’s signature', { class: 'workload', claims: { iss: KUBERNETES.issuer } }],
    ['another audience', { class: 'workload', claims: { aud: 'https://github.com/contoso' } }],
    ['two audiences', { ...kubernetes, claims: { aud: ['aml-token-broker', 'https://kubernetes.default.svc'] } }],
    ['no end', { class: 'workload', claims: { exp: null } }],
    ['an end that is past', { class: 'workload', lifetimeSeconds: -301 }],
    ['Entra’s signature', { claims: { iss: GITHUB_ACTIONS.issuer, aud: 'aml-token-broker' } }],
    [
      'the signature of a workload’s issuer under Entra’s name',
      { class: 'workload', claims: { iss: `https://sts.windows.net/${PARTNER_TENANT_ID}/` } },
    ],
  ])('P1: is refused with %s', async (_what, caller) => {
    const answer = await ask(trainsInProd, caller);
    expect(answer).toMatchObject({ status: 401, body: { code: 'invalid_token' } });
    expect(answer.headers.get('www-authenticate')).toContain('Bearer');
  });

  it('is in the audit with issuer and subject, and without ids that its token does not have', async () => {
    const { body } = await ask(trainsInProd, { ...kubernetes, subject: 'system:serviceaccount:audit:me' });
    const [row = {}, ...others] = await auditRows(String(body.correlationId));
    expect(others).toEqual([]);
    expect(row).toMatchObject({
      callerIssuer: 'cluster',
      callerClass: 'workload',
      callerSubject: 'system:serviceaccount:audit:me',
      callerTokenId: expect.any(String),
      decision: 'refused',
      code: 'not_granted',
    });
    for (const absent of ['callerTenantId', 'callerObjectId', 'callerAppId']) expect(row).not.toHaveProperty(absent);
  });
});

describe('a second tenant', () => {
  const oid = 'e0000000-0000-4000-8000-0000000000f9';

  it.each(['1.0', '2.0'])('obtains what its own grants allow, with v%s tokens', async (version) => {
    const token = await broker.sandbox.callerToken({ tenant: PARTNER_TENANT_ID, oid, version });
    const answer = await broker.post(trainsInProd, { token, body: { audience: 'arm' } });
    expect(answer).toMatchObject({ status: 200, body: { audience: 'arm', identity: 'trainer' } });
  });

  it('P1: is nobody for the first tenant’s grants under the same object id, nor the first for its', async () => {
    expect(await ask(trainsInProd, { tenant: PARTNER_TENANT_ID })).toMatchObject({
      status: 403,
      body: { code: 'not_granted' },
    });
    const token = await broker.sandbox.callerToken({ oid });
    expect(await broker.post(trainsInProd, { token, body: { audience: 'arm' } })).toMatchObject({
      status: 403,
      body: { code: 'not_granted' },
    });
  });
});

describe('an issuer that cannot be reached', () => {
  afterEach(() => broker.clearFaults());

  it('P7: is told as 503 with Retry-After to its callers alone, and readiness says degraded', async () => {
    const discovery = '^GET /workload/token\\.actions';
    const calls = await broker.calls(new RegExp(discovery));
    expect(calls.length).toBeGreaterThan(0);
    await broker.fault({ service: 'entra', match: discovery, status: 503 });
    const instance = await broker.anotherInstance();
    try {
      const token = await broker.sandbox.callerToken({ class: 'workload' });
      const answer = await instance.post(trainsInProd, { token });
      expect(answer).toMatchObject({ status: 503, body: { code: 'upstream_unavailable' } });
      expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0);
      const other = await broker.sandbox.callerToken(kubernetes);
      expect(await instance.post(scoresFraud, { token: other })).toMatchObject({ status: 200 });
      expect(await instance.get('/health/ready')).toMatchObject({
        status: 200,
        body: { parts: { callerKeys: 'degraded' } },
      });
    } finally {
      await instance.stop();
    }
  });
});

describe('callers with one subject', () => {
  /** Four callers whose ids are the same texts, each with an identity of its own. */
  const subject = 'e0000000-0000-4000-8000-0000000000f1';
  const callers = {
    contoso: {},
    fabrikam: { tenant: PARTNER_TENANT_ID },
    github: { class: 'workload', subject },
    cluster: { ...kubernetes, subject },
  };
  let shared: Instance;

  beforeAll(async () => {
    const { issuers, identities, workspaces } = policySections.parse(parse(await sandboxPolicy()));
    const names = Object.keys(callers);
    const perCaller = <T>(key: (name: string) => string, make: (name: string) => T) =>
      Object.fromEntries(names.map((name) => [key(name), make(name)]));
    const policy = {
      issuers,
      workspaces,
      identities: {
        ...identities,
        ...perCaller(
          (name) => `only-${name}`,
          () => identities.trainer,
        ),
      },
      grants: perCaller(
        (name) => `${name}-trains`,
        (name) => ({
          caller: { issuer: name, class: ['github', 'cluster'].includes(name) ? 'workload' : 'app', subject },
          allow: [{ workspace: 'prod', audience: 'aml', identity: `only-${name}` }],
          maxLifetime: '90m',
        }),
      ),
    };
    // JSON is YAML too.
    shared = await instanceWith(JSON.stringify(policy));
  });
  afterAll(() => shared?.stop());

  it('P3: of two tenants and two issuers never get each other’s tokens under concurrent load', async () => {
    const tokens = new Map<string, string>();
    for (const [name, caller] of Object.entries(callers)) tokens.set(name, await broker.sandbox.callerToken(caller));
    const names = Object.keys(callers);
    const asked = Array.from({ length: 200 }, (_, index) => names[(index * 7) % names.length] ?? '');
    const answers = await Promise.all(
      asked.map((name) => shared.post(trainsInProd, { token: tokens.get(name) ?? '' })),
    );
    expect(answers.map(({ status, body }) => body.code ?? status)).toEqual(asked.map(() => 200));
    expect(answers.map(({ body }) => body.identity)).toEqual(asked.map((name) => `only-${name}`));
    const issuedTo = new Map<unknown, Set<string>>();
    for (const [index, { body }] of answers.entries()) {
      const owners = issuedTo.get(body.accessToken) ?? new Set();
      issuedTo.set(body.accessToken, owners.add(asked[index] ?? ''));
    }
    expect([...issuedTo.values()].map((owners) => owners.size)).toEqual(names.map(() => 1));
  });
});

describe('an issuer on this machine', () => {
  it('may be named on the custom cloud, and is then asked itself', async () => {
    const { folder } = broker.sandbox;
    const pem = await readFile(path.join(folder, KUBERNETES.keyFile), 'utf8');
    const jwk = { ...createPublicKey(pem).export({ format: 'jwk' }), kid: 'mine' };
    const asked: string[] = [];
    let issuer = '';
    const server = createServer(broker.sandbox.tls, (request, response) => {
      asked.push(request.url ?? '');
      response.end(JSON.stringify(request.url === '/keys' ? { keys: [jwk] } : { issuer, jwks_uri: `${issuer}/keys` }));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address: AddressInfo | string | null = server.address();
    issuer = `https://localhost:${address !== null && typeof address === 'object' ? address.port : 0}`;
    const policy = (await sandboxPolicy()).replace(
      'issuer: https://token.actions.githubusercontent.com',
      `issuer: ${issuer}`,
    );
    const local = await instanceWith(policy);
    try {
      const token = await new SignJWT({
        sub: DEFAULT_WORKLOADS.github,
        repository_owner_id: '1234',
        ref: 'refs/heads/main',
      })
        .setProtectedHeader({ alg: 'ES256', kid: 'mine' })
        .setIssuer(issuer)
        .setAudience('aml-token-broker')
        .setExpirationTime('5m')
        .sign(createPrivateKey(pem));
      const answer = await local.post(trainsInProd, { token });
      expect(asked).toEqual(['/.well-known/openid-configuration', '/keys']);
      expect(answer).toMatchObject({ status: 200, body: { identity: 'trainer' } });
    } finally {
      await local.stop();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
  });
});
