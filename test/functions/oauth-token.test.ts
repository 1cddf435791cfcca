import { describe, expect, it } from 'vitest';
import { BrokerError, type ErrorCode, problems } from '../../src/errors.ts';
import { oauthToken } from '../../src/functions/oauth-token.ts';
import { aCaller, aPolicy, callerObjectId, tenantId, upstream } from '../support/builders.ts';
import { goodClientCredentials, goodExchange } from '../support/malformed-token-requests.ts';
import { scopes } from '../support/memory-broker.ts';
import { callerToken, invocationId, invoke, verifyCaller } from './invoke.ts';
import { aForm, setUp, tokenWorld } from './oauth-in-memory.ts';

const exchangeForm = goodExchange(tokenWorld);
const credentialsForm = goodClientCredentials(tokenWorld);
const endpointForm = {
  ...exchangeForm,
  resource: `${tokenWorld.publicUrl}/workspaces/prod/endpoints/fraud-aml`,
  scope: undefined,
};

/** The three kinds of request that a grant of the tests allows. */
const requests = [
  ['token exchange for a workspace', aForm(exchangeForm)],
  ['token exchange for an endpoint', aForm(endpointForm)],
  ['client credentials', aForm(credentialsForm)],
  ['client credentials at the Entra-shaped address', aForm(credentialsForm, tenantId)],
] as const;

describe.each(requests)('%s', (_name, request) => {
  it('P1: 200 with a token of which a record was accepted, with seconds and nothing to keep', async () => {
    const world = setUp();
    const answer = await invoke(world.token, request);
    expect(answer.status).toBe(200);
    expect(answer.headers.get('content-type')).toBe('application/json');
    expect(answer.headers.get('cache-control')).toBe('no-store');
    expect(answer.headers.get('pragma')).toBe('no-cache');
    expect(answer.lines).toEqual([]);
    const issued = world.entra.issued[0] ?? world.machineLearning.issued[0];
    expect(answer.body).toEqual({
      token_type: 'Bearer',
      access_token: issued?.accessToken,
      expires_in: 3600,
      refresh_in: 1800,
      issued_token_type: 'urn:ietf:params:oauth:token-type:access_token',
    });
    expect(world.records()).toEqual([
      expect.objectContaining({ decision: 'issued', grant: 'checkout-uses-fraud', correlationId: invocationId }),
    ]);
  });

  it('P1: 503 when no audit store accepts, and no token', async () => {
    const world = setUp();
    world.audit.fault = upstream('unavailable', { service: 'audit store' });
    const answer = await invoke(world.token, request);
    expect(answer.status).toBe(503);
    expect(answer.headers.get('retry-after')).toBe('10');
    expect(answer.body).toMatchObject({ error: 'temporarily_unavailable', code: 'audit_unavailable' });
    expect(answer.text + answer.lines.join() + world.lines.join()).not.toContain('secret-token');
  });

  it('P1: 400 invalid_target without a grant, on record, and nothing is asked of Azure', async () => {
    const world = setUp(aPolicy({ grants: {} }));
    const answer = await invoke(world.token, request);
    expect(answer.status).toBe(400);
    expect(answer.body).toMatchObject({ error: 'invalid_target', code: 'not_granted' });
    expect(world.records()).toEqual([expect.objectContaining({ decision: 'refused', code: 'not_granted' })]);
    expect([...world.entra.calls, ...world.machineLearning.calls]).toEqual([]);
  });

  it('P7: 503 with Retry-After while Azure is out of reach', async () => {
    const world = setUp();
    world.machineLearning.fault = upstream('throttled', { retryAfterSeconds: 7 });
    world.entra.fault = upstream('throttled', { retryAfterSeconds: 7 });
    const answer = await invoke(world.token, request);
    expect(answer.status).toBe(503);
    expect(answer.headers.get('retry-after')).toBe('7');
    expect(answer.body).toMatchObject({ error: 'temporarily_unavailable', code: 'upstream_throttled' });
  });
});

describe('the token endpoint', () => {
  it('exchanges for the audience that the scope names', async () => {
    const world = setUp(
      aPolicy({
        grants: {
          both: {
            caller: { issuer: 'contoso', class: 'app', oid: callerObjectId },
            allow: [
              { workspace: 'prod', audience: 'aml', identity: 'trainer' },
              { workspace: 'prod', audience: 'arm', identity: 'trainer' },
            ],
            maxLifetime: '25h',
          },
        },
      }),
    );
    for (const scope of [scopes.arm, scopes.aml]) {
      expect((await invoke(world.token, aForm({ ...exchangeForm, scope }))).status).toBe(200);
      expect((await invoke(world.token, aForm({ ...credentialsForm, scope }))).status).toBe(200);
    }
    expect(world.entra.calls).toEqual([`trainer ${scopes.arm}`, `trainer ${scopes.aml}`]);
  });

  it('takes what stock clients add: a query, telemetry, wanted claims, a client_id', async () => {
    const extra = {
      'x-client-SKU': 'msal.js.node',
      'x-client-last-telemetry': '5|0|||0,0',
      claims: '{"access_token":{"xms_cc":{"values":["cp1"]}}}',
      client_info: '1',
      username: '',
    };
    const url = 'https://broker.example/oauth2/token?client-request-id=aaaa';
    for (const form of [credentialsForm, { ...exchangeForm, client_id: 'some-client' }]) {
      const answer = await invoke(setUp().token, { ...aForm({ ...form, ...extra }, tenantId), url });
      expect([answer.text, answer.status]).toEqual([expect.any(String), 200]);
    }
  });

  it.each([
    'application/x-www-form-urlencoded',
    'application/x-www-form-urlencoded; charset=UTF-8',
    'Application/X-WWW-Form-Urlencoded;charset="utf-8"',
  ])('takes the content type %s', async (type) => {
    const answer = await invoke(setUp().token, { ...aForm(exchangeForm), headers: { 'content-type': type } });
    expect(answer.status).toBe(200);
  });

  it('takes a JWT as the type of the subject_token, and client_id and tenant in any case', async () => {
    const subject = { ...exchangeForm, subject_token_type: 'urn:ietf:params:oauth:token-type:jwt' };
    const upper = { ...credentialsForm, client_id: credentialsForm.client_id.toUpperCase() };
    expect((await invoke(setUp().token, aForm(subject))).status).toBe(200);
    expect((await invoke(setUp().token, aForm(upper, tenantId.toUpperCase()))).status).toBe(200);
  });

  it('takes an endpoint’s name in any case, as Resource Manager does', async () => {
    const form = { ...endpointForm, resource: endpointForm.resource.replace('fraud-aml', 'Fraud-AML') };
    expect((await invoke(setUp().token, aForm(form))).status).toBe(200);
  });

  it('narrows client credentials to the workspace that resource names', async () => {
    const prod = { ...credentialsForm, resource: `${tokenWorld.publicUrl}/workspaces/prod` };
    expect((await invoke(setUp().token, aForm(prod))).status).toBe(200);
  });

  it('P4: says stale, and soon to ask again, when Azure ML is out of reach past refreshBy', async () => {
    const world = setUp();
    await invoke(world.token, aForm(endpointForm));
    world.time.advance(2000);
    world.machineLearning.fault = upstream('unavailable');
    const { body } = await invoke(world.token, aForm(endpointForm));
    expect(body).toMatchObject({ stale: true, expires_in: 1600, refresh_in: 30 });
  });

  it('P2, P3: tells nobody apart by the reason of a refused token, and has it in the log alone', async () => {
    const hostile = `${callerToken}x`;
    const exchange = await invoke(setUp().token, aForm({ ...exchangeForm, subject_token: hostile }));
    const credentials = await invoke(setUp().token, aForm({ ...credentialsForm, client_assertion: hostile }));
    expect([exchange.status, exchange.body]).toEqual([400, expect.objectContaining({ error: 'invalid_request' })]);
    expect([credentials.status, credentials.body]).toEqual([401, expect.objectContaining({ error: 'invalid_client' })]);
    for (const { text, lines, headers } of [exchange, credentials]) {
      expect(text).not.toContain('signature');
      expect(lines.join()).toContain('"reason":"signature"');
      expect(text + lines.join()).not.toContain(hostile.slice(0, 30));
      expect(headers.has('www-authenticate')).toBe(false);
    }
  });

  it.each([
    ['Basic dXNlcjpwYXNz', 'Basic realm="aml-token-broker"'],
    [`Bearer ${callerToken}`, 'Bearer realm="aml-token-broker"'],
    ['Negotiate abc', 'Bearer realm="aml-token-broker"'],
  ])('challenges a client that used an Authorization header: %s', async (authorization, challenge) => {
    const request = aForm(exchangeForm);
    const headers = { 'content-type': 'application/x-www-form-urlencoded', authorization };
    const answer = await invoke(setUp().token, { ...request, headers });
    expect(answer.status).toBe(401);
    expect(answer.headers.get('www-authenticate')).toBe(challenge);
  });

  it('P1: refuses a caller whom the policy denies, by the word of its grant type, on record', async () => {
    const deny = [{ issuer: 'contoso', class: 'app', oid: callerObjectId }];
    const expected = [
      [exchangeForm, 'invalid_request'],
      [endpointForm, 'invalid_request'],
      [credentialsForm, 'unauthorized_client'],
    ] as const;
    for (const [form, error] of expected) {
      const world = setUp(aPolicy({ deny }));
      const answer = await invoke(world.token, aForm(form));
      expect([answer.status, answer.body]).toEqual([400, expect.objectContaining({ error, code: 'caller_denied' })]);
      expect(world.records()).toEqual([expect.objectContaining({ decision: 'refused', code: 'caller_denied' })]);
    }
  });

  it('P1: records who asked for which client_id without a grant', async () => {
    const world = setUp();
    await invoke(world.token, aForm({ ...credentialsForm, scope: scopes.arm }));
    expect(world.records()).toEqual([
      expect.objectContaining({
        decision: 'refused',
        reason: 'no_grant_for_identity',
        target: `client ${credentialsForm.client_id} arm token`,
      }),
    ]);
  });

  it('400 invalid_target for an endpoint that has keys, naming what to do', async () => {
    const resource = `${tokenWorld.publicUrl}/workspaces/prod/endpoints/fraud-scorer`;
    const answer = await invoke(setUp().token, aForm({ ...endpointForm, resource }));
    expect(answer.status).toBe(400);
    expect(answer.body).toMatchObject({
      error: 'invalid_target',
      code: 'wrong_auth_mode',
      error_description: expect.stringContaining('/key'),
    });
  });
});

/** A token endpoint whose operation fails like this. */
const failing = (thrown: unknown, form: Parameters<typeof aForm>[0] = exchangeForm) =>
  invoke(
    oauthToken(async () => ({
      oauth: { publicUrl: tokenWorld.publicUrl, scopes, armEndpoint: 'https://management.azure.com' },
      verifyCaller,
      exchange: () => Promise.reject(thrown),
    })),
    aForm(form),
  );

describe('P7: a failure of the broker, at the token endpoint', () => {
  const expected: Record<ErrorCode, [status: number, exchange: string, clientCredentials?: string]> = {
    invalid_request: [400, 'invalid_request'],
    invalid_token: [400, 'invalid_request', 'invalid_client'],
    step_up_required: [400, 'interaction_required'],
    not_granted: [400, 'invalid_target'],
    lifetime_exceeds_grant: [400, 'invalid_target'],
    caller_denied: [400, 'invalid_request', 'unauthorized_client'],
    operator_required: [400, 'invalid_request', 'unauthorized_client'],
    not_found: [400, 'invalid_target'],
    wrong_auth_mode: [400, 'invalid_target'],
    insufficient_lifetime: [400, 'invalid_target'],
    too_large: [413, 'invalid_request'],
    unsupported_media_type: [400, 'invalid_request'],
    rate_limited: [429, 'temporarily_unavailable'],
    unexpected_upstream_answer: [502, 'server_error'],
    upstream_unavailable: [503, 'temporarily_unavailable'],
    upstream_throttled: [503, 'temporarily_unavailable'],
    identity_not_ready: [503, 'temporarily_unavailable'],
    audit_unavailable: [503, 'temporarily_unavailable'],
    policy_unavailable: [503, 'temporarily_unavailable'],
    config_invalid: [503, 'temporarily_unavailable'],
    internal_error: [500, 'server_error'],
  };
  const codes = Object.keys(problems).filter((code): code is ErrorCode => code in problems);

  it.each(codes)('P7: %s has its status, its OAuth error and a description in plain ASCII', async (code) => {
    const [status, exchange, credentials = exchange] = expected[code];
    const error = new BrokerError(code, { reason: 'reason-for-the-log', retryAfterSeconds: 3.2 });
    for (const [form, word] of [
      [exchangeForm, exchange],
      [credentialsForm, credentials],
    ] as const) {
      const answer = await failing(error, form);
      expect(answer.status).toBe(word === 'invalid_client' ? 401 : status);
      expect(answer.headers.get('retry-after')).toBe('4');
      expect(answer.body).toEqual({
        error: word,
        error_description: expect.stringMatching(/^[ !#-[\]-~]{20,}\.$/),
        correlation_id: invocationId,
        code,
      });
      expect(answer.text).not.toContain('reason-for-the-log');
      expect(answer.lines).toHaveLength(1);
      const [line = ''] = answer.lines;
      expect(line.startsWith(status >= 500 ? 'error ' : 'warning ')).toBe(true);
      expect(line).toContain(`"code":"${code}"`);
      expect(line).toContain('reason-for-the-log');
    }
  });

  it('P7: what nobody expected is a server_error that says nothing', async () => {
    const answer = await failing(new TypeError('text with a secret-token'));
    expect([answer.status, answer.body]).toEqual([500, expect.objectContaining({ error: 'server_error' })]);
    expect(answer.text + answer.lines.join()).not.toContain('secret-token');
    expect(answer.lines.join()).toContain('TypeError');
  });

  it('hands on what Entra wants of the next sign-in, where its clients look for it', async () => {
    const claims = '{"access_token":{"acrs":{"essential":true,"value":"c1"}}}';
    const answer = await failing(new BrokerError('step_up_required', { claims }));
    expect(answer.body).toMatchObject({ error: 'interaction_required', claims });
  });

  it('P7: a broker that could not be built is a 503', async () => {
    const handler = oauthToken(() => Promise.reject(new BrokerError('config_invalid', { reason: '3 problems' })));
    const answer = await invoke(handler, aForm(exchangeForm));
    expect(answer.status).toBe(503);
    expect(answer.body).toMatchObject({
      error: 'temporarily_unavailable',
      error_description: expect.stringContaining("The broker's configuration is broken"),
      code: 'config_invalid',
    });
  });

  it('P1: hands the verified caller on, and nobody else', async () => {
    const seen: unknown[] = [];
    const handler = oauthToken(async () => ({
      oauth: { publicUrl: tokenWorld.publicUrl, scopes, armEndpoint: 'https://management.azure.com' },
      verifyCaller: async () => aCaller({ class: 'user', subject: 'a-person' }),
      exchange: async (request) => {
        seen.push(request.caller.subject, request.target);
        return { accessToken: 'a', expiresInSeconds: 2, refreshInSeconds: 1, stale: false };
      },
    }));
    const tenant = 'ABCDEF00-0000-4000-8000-000000000000';
    expect((await invoke(handler, aForm(credentialsForm, tenant))).status).toBe(200);
    const named = { kind: 'identity', tenantId: tenant.toLowerCase(), clientId: credentialsForm.client_id };
    expect(seen).toEqual(['a-person', { ...named, audience: 'aml', workspace: undefined }]);
  });
});
