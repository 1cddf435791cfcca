import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import * as z from 'zod';
import { sandboxPolicy, startTestBroker, type TestBroker } from '../support/broker.ts';

const TOKEN = '/workspaces/prod/endpoints/fraud-aml/token';
const WORKSPACE = '/workspaces/prod/token';

const unknownKeyHeader = Buffer.from('{"alg":"RS256","typ":"JWT","kid":"nobody"}').toString('base64url');

const applicationAnswer = z.looseObject({ passwordCredentials: z.array(z.looseObject({ keyId: z.guid() })) });
const passwordAnswer = z.looseObject({ secretText: z.string() });

describe('a broken configuration', () => {
  it('P7: every function registers and answers 503 config_invalid; the log lists every problem with its line', async () => {
    const policy = `${await sandboxPolicy()}
  broken:
    caller: { issuer: fabrikam, class: app, appid: 1 }
    allow: [ { workspace: prod, audience: aml, identity: reader } ]
    maxLifetime: soon
surprise: true
`;
    const broker = await startTestBroker({ policy });
    try {
      const token = await broker.sandbox.callerToken();
      for (const route of [TOKEN, WORKSPACE, '/workspaces/prod/endpoints/fraud-scorer/key']) {
        expect(await broker.post(route, { token })).toMatchObject({ status: 503, body: { code: 'config_invalid' } });
      }
      expect(await broker.get('/workspaces', token)).toMatchObject({ status: 503, body: { code: 'config_invalid' } });
      expect(await broker.get('/health/ready')).toMatchObject({ status: 503, body: { code: 'config_invalid' } });
      expect((await broker.get('/health/live')).status).toBe(200);
      const problems = broker.host.output().match(/line \d+: [^"]+/g) ?? [];
      expect(problems.map((problem) => problem.replace(/^line \d+: /, ''))).toEqual([
        expect.stringContaining('grants.broken.caller.appid'),
        expect.stringContaining('grants.broken.maxLifetime'),
        expect.stringContaining('surprise'),
      ]);
    } finally {
      await broker.stop();
    }
  });

  it('P7: broken settings are told together, and nothing is served', async () => {
    const broker = await startTestBroker({
      settings: { KEY_VAULT_URL: 'http://vault', AUDIT_STORE_URLS: '', BROKER_ROLE: 'boss' },
    });
    try {
      expect(await broker.post(WORKSPACE)).toMatchObject({ status: 503, body: { code: 'config_invalid' } });
      for (const name of ['KEY_VAULT_URL', 'AUDIT_STORE_URLS', 'BROKER_ROLE']) {
        expect(broker.host.output()).toContain(`"problem":"${name}: `);
      }
    } finally {
      await broker.stop();
    }
  });

  it('P7: a policy that is not there is a broken configuration', async () => {
    const broker = await startTestBroker({ settings: { POLICY: 'nowhere/broker.yaml' } });
    try {
      expect(await broker.get('/health/ready')).toMatchObject({ status: 503, body: { code: 'config_invalid' } });
    } finally {
      await broker.stop();
    }
  });
});

describe('BROKER_ROLE', () => {
  it('issuer: HTTP and refresh; the rotator’s timer is not there', async () => {
    const broker = await startTestBroker({ settings: { BROKER_ROLE: 'issuer' } });
    try {
      await expect(broker.fire('rotateSecrets')).rejects.toThrow('404');
      await broker.fire('refreshEndpointTokens');
      expect((await broker.get('/health/live')).status).toBe(200);
      // The insert-only role cannot make the audit tables, and without them nothing is handed out (P1).
      const token = await broker.sandbox.callerToken();
      expect(await broker.post(WORKSPACE, { token })).toMatchObject({
        status: 503,
        body: { code: 'audit_unavailable' },
      });
    } finally {
      await broker.stop();
    }
  });

  it('rotator: timers only, no inbound route', async () => {
    const broker = await startTestBroker({ settings: { BROKER_ROLE: 'rotator' } });
    try {
      expect((await broker.get('/health/live')).status).toBe(404);
      expect((await broker.post(WORKSPACE)).status).toBe(404);
      await broker.fire('rotateSecrets');
      await vi.waitFor(async () => expect(await broker.calls(/POST \/brokeraudit\/Tables/)).toHaveLength(2), 10_000);
    } finally {
      await broker.stop();
    }
  });
});

describe('while Azure is out of reach', () => {
  let broker: TestBroker;
  let token: string;
  beforeAll(async () => {
    // Due for refresh one second after it was obtained, valid for a minute.
    broker = await startTestBroker({ sandbox: { SANDBOX_ENDPOINT_REFRESH_AFTER_SECONDS: '1' } });
    token = await broker.sandbox.callerToken();
  });
  afterAll(() => broker?.stop());
  afterEach(() => broker.clearFaults());

  it('P4: a token past its refreshBy is served only as stale, while it is valid; never an expired one', async () => {
    expect((await broker.post(TOKEN, { token })).body.stale).toBe(false);
    await broker.fault({ service: 'arm', status: 503 });
    const stale = await vi.waitFor(async () => {
      const answer = await broker.post(TOKEN, { token });
      expect(answer).toMatchObject({ status: 200, body: { stale: true } });
      return answer;
    }, 10_000);
    expect(Date.parse(String(stale.body.expiresOn))).toBeGreaterThan(Date.now());
    await broker.clearFaults();
    await vi.waitFor(async () => expect((await broker.post(TOKEN, { token })).body.stale).toBe(false), 15_000);
  });

  it('P4: a new instance serves the sealed token of the one before it, though Azure ML does not answer', async () => {
    expect((await broker.post(TOKEN, { token })).status).toBe(200);
    await broker.fault({ service: 'arm', status: 503 });
    const second = await broker.anotherInstance();
    try {
      const answer = await second.post(TOKEN, { token });
      expect(answer.status).toBe(200);
      expect(answer.body.scoringUri).toMatch(/fraud-aml/);
    } finally {
      await second.stop();
    }
  });

  it('P7: Azure’s own words never reach the caller', async () => {
    await broker.fault({ service: 'arm', match: 'listKeys', status: 500, code: 'InternalServerError' });
    const answer = await broker.post('/workspaces/prod/endpoints/fraud-scorer/key', { token });
    expect(answer.status).toBe(503);
    expect(answer.text).not.toMatch(/InternalServerError|at .*\.js|microsoft|https:/i);
  });

  it('P1: the second audit store takes over where the first fails, and readiness says degraded', async () => {
    const both = `${broker.sandbox.endpoints.audit} ${broker.sandbox.endpoints.tables}`;
    const two = await broker.anotherInstance({ AUDIT_STORE_URLS: both });
    try {
      await broker.fault({ service: 'audit', status: 503 });
      expect((await two.post('/workspaces/prod/endpoints/fraud-scorer/key', { token })).status).toBe(200);
      expect(await two.get('/health/ready')).toMatchObject({
        status: 200,
        body: { status: 'degraded', parts: { auditStore: 'degraded' } },
      });
    } finally {
      await two.stop();
    }
  });

  it('the token store may fail: tokens come from memory and Azure ML, and readiness says degraded', async () => {
    await broker.fault({ service: 'tables', status: 503 });
    const other = await broker.anotherInstance();
    try {
      expect((await other.post(TOKEN, { token })).status).toBe(200);
      expect(await other.get('/health/ready')).toMatchObject({
        status: 200,
        body: { status: 'degraded', parts: { tokenStore: 'degraded' } },
      });
    } finally {
      await other.stop();
    }
  });

  it('without the sealing key the issuer serves from memory and says so', async () => {
    const other = await broker.anotherInstance({ TOKEN_CACHE_KEY: 'no-such-key' });
    try {
      expect((await other.post(TOKEN, { token })).status).toBe(200);
      expect(await other.get('/health/ready')).toMatchObject({
        status: 200,
        body: { status: 'degraded', parts: { tokenCacheKey: 'degraded' } },
      });
    } finally {
      await other.stop();
    }
  });

  it('published keys in hand serve on while Entra does not answer, and readiness stays 200', async () => {
    const other = await broker.anotherInstance();
    try {
      expect((await other.post(TOKEN, { token })).status).toBe(200);
      await broker.fault({ service: 'entra', status: 503 });
      await other.post(TOKEN, { token: `${unknownKeyHeader}${token.slice(token.indexOf('.'))}` });
      expect((await other.post(TOKEN, { token })).status).toBe(200);
      expect((await other.get('/health/ready')).status).toBe(200);
    } finally {
      await other.stop();
    }
  });

  it('readiness says degraded while Azure ML does not answer', async () => {
    await broker.fault({ service: 'arm', status: 503 });
    const other = await broker.anotherInstance();
    try {
      expect(await other.get('/health/ready')).toMatchObject({
        status: 200,
        body: { status: 'degraded', parts: { machineLearning: 'degraded' } },
      });
    } finally {
      await other.stop();
    }
  });

  it('readiness is 503 without published keys, and callers get upstream_unavailable', async () => {
    await broker.fault({ service: 'entra', match: 'keys|workload', status: 503 });
    const other = await broker.anotherInstance();
    try {
      expect(await other.get('/health/ready')).toMatchObject({ status: 503, body: { status: 'unavailable' } });
      expect(await other.post(TOKEN, { token })).toMatchObject({ status: 503, body: { code: 'upstream_unavailable' } });
    } finally {
      await other.stop();
    }
  });
});

describe('what changes between two looks', () => {
  it('P7: an endpoint deleted since the last look is not granted; one whose mode changed is in the wrong mode', async () => {
    const broker = await startTestBroker({ settings: { ENDPOINT_LOOK_SECONDS: '3600' } });
    try {
      const token = await broker.sandbox.callerToken();
      const key = '/workspaces/prod/endpoints/fraud-scorer/key';
      const endpoint = { workspace: 'prod', endpoint: 'fraud-scorer' };
      const operate = (name: string, more = {}) =>
        broker.sandbox.control('POST', `/operations/${name}`, { ...endpoint, ...more });
      expect((await broker.post(key, { token })).status).toBe(200);
      expect((await operate('set-auth-mode', { authMode: 'aml_token' })).ok).toBe(true);
      expect(await broker.post(key, { token })).toMatchObject({ status: 409, body: { code: 'wrong_auth_mode' } });
      expect((await operate('delete-endpoint')).ok).toBe(true);
      expect(await broker.post('/workspaces/prod/endpoints/fraud-scorer/token', { token })).toMatchObject({
        status: 403,
        body: { code: 'not_granted' },
      });
      expect((await operate('recreate-endpoint')).ok).toBe(true);
    } finally {
      await broker.stop();
    }
  });

  it('P7: a secret that is absent is told as identity_not_ready', async () => {
    const broker = await startTestBroker();
    try {
      const gone = await broker.sandbox.control('POST', '/operations/delete-secret', { name: 'trainer-password' });
      expect(gone.ok).toBe(true);
      const token = await broker.sandbox.callerToken();
      const answer = await broker.post(WORKSPACE, { token });
      expect(answer).toMatchObject({ status: 503, body: { code: 'identity_not_ready' } });
      expect(answer.headers.get('retry-after')).toBe('10');
    } finally {
      await broker.stop();
    }
  });

  it('a token table that could not be made at start is made by the first token that needs it', async () => {
    const broker = await startTestBroker();
    try {
      await broker.fault({ service: 'tables', status: 503 });
      const late = await broker.anotherInstance();
      expect(await late.get('/health/ready')).toMatchObject({ body: { parts: { tokenStore: 'degraded' } } });
      await broker.clearFaults();
      const token = await broker.sandbox.callerToken();
      expect((await late.post(TOKEN, { token })).status).toBe(200);
      await vi.waitFor(async () => expect(await broker.calls(/^PUT .*endpointtokens/)).not.toHaveLength(0), 10_000);
      await late.stop();
    } finally {
      await broker.stop();
    }
  });
});

describe('a service principal’s secret that was rotated', () => {
  it('is read again when Entra refuses the old one, without a restart', async () => {
    const broker = await startTestBroker({ sandbox: { SANDBOX_PROPAGATION_SECONDS: '0' } });
    try {
      const token = await broker.sandbox.callerToken();
      const answer = await broker.post(WORKSPACE, { token, body: { audience: 'aml' } });
      expect(answer.status).toBe(200);
      await rotateByHand(broker);
      // Another audience is another token: it needs a sign-in with the secret.
      const after = await broker.post(WORKSPACE, { token, body: { audience: 'arm' } });
      expect(after.status).toBe(200);
      const refused = await broker.calls(/POST .*oauth2\/v2\.0\/token/);
      expect(refused.map(({ status }) => status)).toContain(401);
    } finally {
      await broker.stop();
    }
  });
});

/** What an administrator does: a new password, its text into Key Vault, the old password away. */
async function rotateByHand(broker: TestBroker): Promise<void> {
  const { endpoints } = broker.sandbox;
  const application = `${endpoints.graph}/v1.0/applications/d0000000-0000-4000-8000-0000000000a1`;
  const graphToken = await broker.sandbox.identityToken('https://graph.microsoft.com');
  const headers = { Authorization: `Bearer ${graphToken}`, 'Content-Type': 'application/json' };
  const before = applicationAnswer.parse(await (await fetch(application, { headers })).json());
  const added = await fetch(`${application}/addPassword`, {
    method: 'POST',
    headers,
    body: '{"passwordCredential":{}}',
  });
  const { secretText } = passwordAnswer.parse(await added.json());
  await broker.sandbox.control('POST', '/operations/set-secret', { name: 'trainer-password', value: secretText });
  for (const { keyId } of before.passwordCredentials) {
    await fetch(`${application}/removePassword`, { method: 'POST', headers, body: JSON.stringify({ keyId }) });
  }
}
