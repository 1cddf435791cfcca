import { describe, expect, it } from 'vitest';
import { BrokerCredential, BrokerCredentialError } from '../../client/broker-credential.ts';
import { createDeferred, rejectionOf, settle } from '../support/ports.ts';
import { AML, ARM, CALLER_TOKEN, createBrokerInMemory, tokenAnswer } from './broker-in-memory.ts';

const refusal = (status: number, body: unknown, headers: Record<string, string> = {}) =>
  Response.json(body, { status, headers });

describe('a BrokerCredential', () => {
  it('sends one token exchange (RFC 8693) for the workspace and the scope that a client asks for', async () => {
    const { credential, sent } = createBrokerInMemory({ brokerUrl: 'https://broker.test/' });
    await credential.getToken([ARM]);
    expect(sent).toEqual([
      {
        url: 'https://broker.test/oauth2/token',
        form: {
          grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
          subject_token: CALLER_TOKEN,
          subject_token_type: 'urn:ietf:params:oauth:token-type:access_token',
          resource: 'https://broker.test/workspaces/prod',
          scope: ARM,
        },
        redirect: 'error',
      },
    ]);
  });

  it('tells when the token ends and when to ask again, in milliseconds', async () => {
    const { credential, clock } = createBrokerInMemory();
    expect(await credential.getToken(AML)).toEqual({
      token: 'token-1',
      tokenType: 'Bearer',
      expiresOnTimestamp: clock.in(3600).getTime(),
      refreshAfterTimestamp: clock.in(1800).getTime(),
    });
  });

  it('asks again half way where the broker does not say when', async () => {
    const memory = createBrokerInMemory();
    memory.answer = async () => tokenAnswer({ refresh_in: undefined });
    const { refreshAfterTimestamp } = await memory.credential.getToken(AML);
    expect(refreshAfterTimestamp).toBe(memory.clock.in(1800).getTime());
  });

  it('asks for an endpoint without a scope, and for nothing else with it', async () => {
    const { credential, sent } = createBrokerInMemory({ endpoint: 'fraud-aml' });
    expect(credential.resource).toBe('https://broker.test/workspaces/prod/endpoints/fraud-aml');
    await credential.getToken([]);
    await credential.getToken(credential.resource);
    expect(sent.map(({ form }) => [form.resource, form.scope])).toEqual([[credential.resource, undefined]]);
    expect(await rejectionOf(credential.getToken(ARM))).toBeInstanceOf(TypeError);
  });

  it.each([[[]], [[AML, ARM]]])('asks for no workspace token with the scopes %j', async (scopes) => {
    const { credential, sent } = createBrokerInMemory();
    expect(await rejectionOf(credential.getToken(scopes))).toMatchObject({ message: /exactly one scope/ });
    expect(sent).toEqual([]);
  });

  it('keeps a token until refresh_in has passed, and one for each scope', async () => {
    const { credential, clock, sent } = createBrokerInMemory();
    const first = await credential.getToken(AML);
    clock.advance(1799);
    expect(await credential.getToken(AML)).toEqual(first);
    expect((await credential.getToken(ARM)).token).toBe('token-2');
    clock.advance(1);
    expect((await credential.getToken(AML)).token).toBe('token-3');
    expect(sent.map(({ form }) => form.scope)).toEqual([AML, ARM, AML]);
  });

  it('shares one request among concurrent callers', async () => {
    const memory = createBrokerInMemory();
    const tokens = await Promise.all(Array.from({ length: 20 }, () => memory.credential.getToken(AML)));
    expect(new Set(tokens.map(({ token }) => token))).toEqual(new Set(['token-1']));
    expect(memory.sent).toHaveLength(1);
    expect(memory.asked).toHaveLength(1);
  });

  it('forgets a failed request: the next call asks again', async () => {
    const memory = createBrokerInMemory();
    const { answer } = memory;
    memory.answer = async () => refusal(503, { error: 'temporarily_unavailable' });
    expect(await rejectionOf(memory.credential.getToken(AML))).toBeInstanceOf(BrokerCredentialError);
    memory.answer = answer;
    expect((await memory.credential.getToken(AML)).token).toBe('token-2');
  });

  it('counts the life of a token from before the request', async () => {
    const memory = createBrokerInMemory();
    const begun = memory.clock.clock().getTime();
    memory.answer = async () => {
      memory.clock.advance(60);
      return tokenAnswer();
    };
    expect((await memory.credential.getToken(AML)).expiresOnTimestamp).toBe(begun + 3_600_000);
  });
});

describe('while a renewal fails', () => {
  it('the token in hand is given until it ends, and the broker is asked again after its Retry-After', async () => {
    const memory = createBrokerInMemory();
    const { credential, clock, sent } = memory;
    await credential.getToken(AML);
    clock.advance(1800);
    memory.answer = async () => refusal(503, { error: 'temporarily_unavailable' }, { 'Retry-After': '120' });
    const old = await credential.getToken(AML);
    expect([old.token, old.refreshAfterTimestamp]).toEqual(['token-1', clock.in(120).getTime()]);
    clock.advance(119);
    await credential.getToken(AML);
    expect(sent).toHaveLength(2);
    clock.advance(1);
    await credential.getToken(AML);
    expect(sent).toHaveLength(3);
  });

  it.each([
    ['the network', () => Promise.reject(new TypeError('fetch failed'))],
    ['a refusal without Retry-After', async () => refusal(400, { error: 'invalid_target' })],
  ])('by %s, the broker is asked again after 30 seconds', async (_what, answer) => {
    const memory = createBrokerInMemory();
    const { credential, clock, sent } = memory;
    await credential.getToken(AML);
    clock.advance(1800);
    memory.answer = answer;
    expect((await credential.getToken(AML)).token).toBe('token-1');
    clock.advance(29);
    await credential.getToken(AML);
    expect(sent).toHaveLength(2);
    clock.advance(1);
    await credential.getToken(AML);
    expect(sent).toHaveLength(3);
  });

  it('a token that has ended is never given: the failure is', async () => {
    const memory = createBrokerInMemory();
    await memory.credential.getToken(AML);
    memory.clock.advance(3600);
    memory.answer = async () => refusal(400, { error: 'invalid_target' });
    expect(await rejectionOf(memory.credential.getToken(AML))).toMatchObject({ error: 'invalid_target' });
  });

  it('a token that has ended is never given, however long the broker wants to be left alone', async () => {
    const memory = createBrokerInMemory();
    const { credential, clock } = memory;
    await credential.getToken(AML);
    clock.advance(3590);
    memory.answer = async () => refusal(503, { error: 'temporarily_unavailable' }, { 'Retry-After': '120' });
    const old = await credential.getToken(AML);
    expect([old.token, old.refreshAfterTimestamp]).toEqual(['token-1', old.expiresOnTimestamp]);
    clock.advance(10);
    expect(await rejectionOf(credential.getToken(AML))).toMatchObject({ status: 503 });
  });

  it('a token that ends during the renewal is not given either', async () => {
    const memory = createBrokerInMemory();
    await memory.credential.getToken(AML);
    memory.clock.advance(3599);
    memory.answer = async () => {
      memory.clock.advance(1);
      return refusal(503, { error: 'temporarily_unavailable' });
    };
    expect(await rejectionOf(memory.credential.getToken(AML))).toMatchObject({ status: 503 });
  });
});

describe('an abort signal', () => {
  it('that is aborted already sends nothing', async () => {
    const { credential, sent, asked } = createBrokerInMemory();
    const error = await rejectionOf(credential.getToken(AML, { abortSignal: AbortSignal.abort() }));
    expect(error).toMatchObject({ name: 'AbortError' });
    expect([sent, asked]).toEqual([[], []]);
  });

  it('ends the wait of one caller and leaves the others their token', async () => {
    const memory = createBrokerInMemory();
    const gate = createDeferred();
    const signals: AbortSignal[] = [];
    memory.answer = async (signal) => {
      signals.push(signal);
      await gate.promise;
      return tokenAnswer();
    };
    const controller = new AbortController();
    const aborted = rejectionOf(memory.credential.getToken(AML, { abortSignal: controller.signal }));
    const waiting = memory.credential.getToken(AML);
    await settle();
    controller.abort();
    expect(await aborted).toMatchObject({ name: 'AbortError' });
    expect(signals.map(({ aborted: ended }) => ended)).toEqual([false]);
    gate.resolve();
    expect((await waiting).token).toBe('token');
    expect(memory.sent).toHaveLength(1);
  });

  it('of the last caller ends the request itself, and the next call sends a new one', async () => {
    const memory = createBrokerInMemory();
    const { answer } = memory;
    const signals: AbortSignal[] = [];
    memory.answer = (signal) => {
      signals.push(signal);
      return new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    };
    const controllers = [new AbortController(), new AbortController()];
    const all = controllers.map(({ signal: abortSignal }) =>
      rejectionOf(memory.credential.getToken(AML, { abortSignal })),
    );
    await settle();
    for (const controller of controllers) controller.abort();
    expect(await Promise.all(all)).toMatchObject([{ name: 'AbortError' }, { name: 'AbortError' }]);
    expect(signals.map(({ aborted }) => aborted)).toEqual([true]);
    memory.answer = answer;
    expect((await memory.credential.getToken(AML)).token).toBe('token-2');
  });

  it('leaves the next request to be shared, also when the aborted one ends late', async () => {
    const memory = createBrokerInMemory();
    const gates = [createDeferred(), createDeferred()];
    memory.answer = async () => {
      const serial = memory.sent.length;
      await gates[serial - 1]?.promise;
      return tokenAnswer({ access_token: `token-${serial}` });
    };
    const controller = new AbortController();
    const aborted = rejectionOf(memory.credential.getToken(AML, { abortSignal: controller.signal }));
    await settle();
    controller.abort();
    await aborted;
    const second = memory.credential.getToken(AML);
    await settle();
    gates[0]?.resolve();
    await settle();
    memory.clock.advance(3600);
    const third = memory.credential.getToken(AML);
    await settle();
    expect(memory.sent).toHaveLength(2);
    gates[1]?.resolve();
    expect((await second).token).toBe((await third).token);
  });

  it('reaches the caller’s own credential', async () => {
    const { promise, resolve } = Promise.withResolvers<AbortSignal>();
    const { credential } = createBrokerInMemory({
      caller: ({ abortSignal }) => {
        resolve(abortSignal);
        return new Promise(() => undefined);
      },
    });
    const controller = new AbortController();
    const aborted = rejectionOf(credential.getToken(AML, { abortSignal: controller.signal }));
    const signal = await promise;
    controller.abort();
    expect(await aborted).toMatchObject({ name: 'AbortError' });
    expect(signal.aborted).toBe(true);
  });
});

describe('the caller’s own token', () => {
  it('comes from a credential, for the scope of the broker’s API', async () => {
    const scopes: (string | string[])[] = [];
    const caller = {
      async getToken(scope: string | string[]) {
        scopes.push(scope);
        return { token: CALLER_TOKEN, expiresOnTimestamp: 0 };
      },
    };
    const { credential, sent } = createBrokerInMemory({ caller, audience: 'api://broker' });
    await credential.getToken(AML);
    expect(scopes).toEqual(['api://broker/.default']);
    expect(sent[0]?.form.subject_token).toBe(CALLER_TOKEN);
  });

  it('is asked for with the claims of a challenge, and the token in hand is not used for it', async () => {
    const { credential, asked } = createBrokerInMemory();
    await credential.getToken(AML);
    const claims = '{"access_token":{"polids":{"essential":true}}}';
    expect((await credential.getToken(AML, { claims })).token).toBe('token-2');
    expect(asked).toEqual([undefined, claims]);
    expect((await credential.getToken(AML)).token).toBe('token-2');
  });

  it('is missing: the error of the credential is thrown as it is', async () => {
    const error = new Error('Run az login.');
    const { credential, sent } = createBrokerInMemory({ caller: () => Promise.reject(error) });
    expect(await rejectionOf(credential.getToken(AML))).toBe(error);
    expect(sent).toEqual([]);
  });

  it('is missing: a credential that gives none is an error', async () => {
    const { credential } = createBrokerInMemory({ caller: { getToken: async () => null }, audience: 'api://broker' });
    expect(await rejectionOf(credential.getToken(AML))).toBeInstanceOf(BrokerCredentialError);
  });
});

describe('an error', () => {
  it('has the broker’s text, codes, correlation id, Retry-After and claims', async () => {
    const memory = createBrokerInMemory();
    const body = {
      error: 'interaction_required',
      error_description: 'Sign in again.',
      correlation_id: 'c-1',
      code: 'step_up_required',
      claims: '{"a":1}',
    };
    memory.answer = async () => refusal(400, body, { 'Retry-After': '7' });
    expect(await rejectionOf(memory.credential.getToken(AML))).toMatchObject({
      name: 'BrokerCredentialError',
      message: 'The token broker answered 400 interaction_required: Sign in again. (correlation id c-1)',
      status: 400,
      error: 'interaction_required',
      code: 'step_up_required',
      correlationId: 'c-1',
      retryAfterSeconds: 7,
      claims: '{"a":1}',
    });
  });

  it.each([
    ['a page of a proxy', async () => new Response(`<p>${CALLER_TOKEN}</p>`, { status: 502 })],
    [
      'a refusal that repeats the request',
      async () => refusal(400, { error: CALLER_TOKEN, error_description: CALLER_TOKEN }),
    ],
    ['a failure that repeats the request', () => Promise.reject(new Error(`cannot send ${CALLER_TOKEN}`))],
    ['an answer without a life', async () => Response.json({ access_token: 'issued-secret', token_type: 'Bearer' })],
    ['an answer of another type', async () => tokenAnswer({ access_token: 'issued-secret', token_type: 'pop' })],
    ['an answer that is no object', async () => Response.json([])],
  ])('P2: never holds a token: %s', async (_what, answer) => {
    const memory = createBrokerInMemory();
    memory.answer = answer;
    const error = await rejectionOf(memory.credential.getToken(AML));
    expect(error).toBeInstanceOf(BrokerCredentialError);
    const shown = JSON.stringify(error, Object.getOwnPropertyNames(error));
    expect(shown).toMatch(/brokerUrl|token broker/);
    expect(shown).not.toMatch(/secret/);
  });

  it('tells why the broker could not be reached', async () => {
    const memory = createBrokerInMemory();
    const cause = Object.assign(new Error('connect'), { code: 'ECONNREFUSED' });
    memory.answer = () => Promise.reject(new TypeError('fetch failed', { cause }));
    expect(await rejectionOf(memory.credential.getToken(AML))).toMatchObject({
      message: 'The token broker at https://broker.test did not answer: ECONNREFUSED',
    });
  });

  it('comes when the broker takes longer than timeoutMs', async () => {
    const memory = createBrokerInMemory({ timeoutMs: 1 });
    memory.answer = (signal) =>
      new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    expect(await rejectionOf(memory.credential.getToken(AML))).toMatchObject({
      name: 'BrokerCredentialError',
      message: expect.stringMatching(/did not answer: .*timeout/),
    });
  });
});

describe('the constructor', () => {
  const caller = async () => CALLER_TOKEN;

  it.each([
    'http://broker.test',
    'broker.test',
    'https://user@broker.test',
    'https://broker.test?a=1',
    'https://broker.test#a',
  ])('refuses the brokerUrl %s', (brokerUrl) => {
    expect(() => new BrokerCredential({ brokerUrl, workspace: 'prod', caller })).toThrow(
      /brokerUrl must be an https URL/,
    );
  });

  it.each(['http://localhost:7071', 'http://127.0.0.1:7071', 'https://broker.test/base/'])('takes %s', (brokerUrl) => {
    const { resource } = new BrokerCredential({ brokerUrl, workspace: 'prod', caller });
    expect(resource).toBe(`${brokerUrl.replace(/\/$/, '')}/workspaces/prod`);
  });

  it('refuses a credential as caller without an audience', () => {
    const options = { brokerUrl: 'https://broker.test', workspace: 'prod', caller: { getToken: async () => null } };
    expect(() => new BrokerCredential(options)).toThrow(/audience is missing/);
  });
});
