import { AzureMachineLearningWorkspaces } from '@azure/arm-machinelearning';
import { type HttpClient, RestError } from '@azure/core-rest-pipeline';
import { TableClient } from '@azure/data-tables';
import { SecretClient } from '@azure/keyvault-secrets';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import * as z from 'zod';
import { callAzure, clientOptions, parseAnswer, toUpstreamError, withTimeout } from '../../src/azure/transport.ts';
import { BrokerError, UpstreamError, type UpstreamKind } from '../../src/errors.ts';
import { nameError } from '../../src/log.ts';
import { upstream } from '../support/builders.ts';
import { createDeferred, rejectionOf } from '../support/ports.ts';
import { answering, type Scripted } from './scripted-transport.ts';

const credential = { getToken: async () => ({ token: 'secret-token', expiresOnTimestamp: Date.now() + 3_600_000 }) };

/** What the broker makes of the way in which a call to Azure ML fails. */
function failureOfAzureMl(httpClient: HttpClient): Promise<unknown> {
  const { onlineEndpoints } = new AzureMachineLearningWorkspaces(credential, 'subscription', {
    ...clientOptions(),
    httpClient,
    endpoint: 'https://arm.example',
    credentialScopes: ['https://arm.example/.default'],
  });
  return rejectionOf(callAzure('ml', () => onlineEndpoints.getToken('group', 'workspace', 'fraud-aml')));
}

const fromAzureMl = (answer: Scripted) => failureOfAzureMl(answering(() => answer));

/** What the SDKs throw when a request is given up. */
const aborted = () => Object.assign(new Error('The operation was aborted.'), { name: 'AbortError' });

describe('an answer of Azure ML', () => {
  const error = { error: { code: 'SomeCode', message: 'text with secret-token' } };

  it.each<[number, UpstreamKind]>([
    [302, 'unexpected'],
    [400, 'unexpected'],
    [401, 'credential_refused'],
    [403, 'forbidden'],
    [404, 'not_found'],
    [408, 'unavailable'],
    [409, 'conflict'],
    [412, 'conflict'],
    [429, 'throttled'],
    [500, 'unavailable'],
    [502, 'unavailable'],
    [503, 'unavailable'],
    [504, 'unavailable'],
  ])('%d is %s', async (status, kind) => {
    const thrown = await fromAzureMl({ status, body: error });
    expect(thrown).toBeInstanceOf(UpstreamError);
    expect(thrown).toMatchObject({ kind, status, service: 'ml', upstreamCode: 'SomeCode' });
  });

  it('is asked for once: the SDK neither retries nor follows a redirect', async () => {
    for (const answer of [
      { status: 503, headers: { 'retry-after': '1' } },
      { status: 429, headers: { 'retry-after': '1' } },
      { status: 307, headers: { location: 'https://arm.example/elsewhere' } },
    ]) {
      const httpClient = answering(() => ({ ...answer, body: error }));
      await failureOfAzureMl(httpClient);
      expect(httpClient.sent).toHaveLength(1);
    }
  });

  it('P2: is reduced to what is safe to log', async () => {
    const thrown = await fromAzureMl({ status: 500, body: error });
    expect(nameError(thrown)).toBe('ml: unavailable (500 SomeCode) < RestError(SomeCode)');
    expect(String(thrown)).not.toContain('secret-token');
  });

  it('is unexpected when a good status has a body that is no JSON', async () => {
    expect(await fromAzureMl({ status: 200, body: 'secret-token' })).toMatchObject({ kind: 'unexpected', status: 200 });
  });

  it('is unavailable when an error has a body that is no JSON', async () => {
    const thrown = await fromAzureMl({ status: 502, body: '<html>', headers: { 'content-type': 'text/html' } });
    expect(thrown).toMatchObject({ kind: 'unavailable', status: 502 });
  });

  it('leaves a code out that is no code', async () => {
    const body = { error: { code: 'a text with secret-token', message: 'x' } };
    const thrown = await fromAzureMl({ status: 403, body });
    expect(thrown).toMatchObject({ kind: 'forbidden', upstreamCode: undefined });
    expect(nameError(thrown)).not.toContain('secret-token');
  });

  it.each([
    ['seconds', '12', 12],
    ['nothing', '0', 0],
    ['more than an hour, cut to it', '86400', 3600],
    ['a date, which Azure does not send', 'Sun, 22 Nov 2026 10:00:00 GMT', undefined],
    ['a fraction', '1.5', undefined],
    ['a negative number', '-1', undefined],
    ['rubbish', 'soon', undefined],
    ['no text', '', undefined],
  ])('P7: Retry-After of %s', async (_what, header, retryAfterSeconds) => {
    const thrown = await fromAzureMl({ status: 429, body: error, headers: { 'retry-after': header } });
    expect(thrown).toMatchObject({ kind: 'throttled', retryAfterSeconds });
  });

  it('has no Retry-After where there is none', async () => {
    expect(await fromAzureMl({ status: 503, body: error })).toMatchObject({ retryAfterSeconds: undefined });
  });
});

describe('no answer', () => {
  it.each(['ECONNREFUSED', 'ENOTFOUND', 'REQUEST_SEND_ERROR'])('(%s) is unavailable', async (code) => {
    const thrown = await failureOfAzureMl({
      sendRequest: (request) => Promise.reject(new RestError('at a URL', { code, request })),
    });
    expect(thrown).toMatchObject({ kind: 'unavailable', status: undefined, upstreamCode: code });
  });

  it('in time is unavailable', async () => {
    const thrown = await failureOfAzureMl({ sendRequest: () => Promise.reject(aborted()) });
    expect(thrown).toMatchObject({ kind: 'unavailable', upstreamCode: 'timeout' });
  });

  it('is waited for at most 10 seconds', async () => {
    const timeouts: number[] = [];
    await failureOfAzureMl({
      sendRequest(request) {
        timeouts.push(request.timeout);
        return Promise.reject(aborted());
      },
    });
    expect(timeouts).toEqual([10_000]);
  });
});

describe('an answer of Key Vault', () => {
  const ask = (answer: Scripted) => {
    const options = { ...clientOptions(), httpClient: answering(() => answer) };
    const client = new SecretClient('https://vault.vault.azure.net', credential, options);
    return rejectionOf(callAzure('key vault', () => client.getSecret('name')));
  };

  it('names the inner code, which tells a disabled secret from a missing role', async () => {
    const disabled = { error: { code: 'Forbidden', message: 'm', innererror: { code: 'SecretDisabled' } } };
    expect(await ask({ status: 403, body: disabled })).toMatchObject({
      kind: 'forbidden',
      upstreamCode: 'SecretDisabled',
    });
    const noRole = { error: { code: 'Forbidden', message: 'm', innererror: { code: 'ForbiddenByRbac' } } };
    expect(await ask({ status: 403, body: noRole })).toMatchObject({ upstreamCode: 'ForbiddenByRbac' });
  });

  it('names the outer code where there is no inner one', async () => {
    const missing = { error: { code: 'SecretNotFound', message: 'm' } };
    expect(await ask({ status: 404, body: missing })).toMatchObject({
      kind: 'not_found',
      upstreamCode: 'SecretNotFound',
    });
  });
});

describe('an answer of Table Storage', () => {
  it.each<[number, string, UpstreamKind]>([
    [404, 'ResourceNotFound', 'not_found'],
    [404, 'TableNotFound', 'not_found'],
    [409, 'EntityAlreadyExists', 'conflict'],
    [412, 'UpdateConditionNotSatisfied', 'conflict'],
    [403, 'AuthorizationPermissionMismatch', 'forbidden'],
    [503, 'ServerBusy', 'unavailable'],
  ])('%d %s is %s', async (status, code, kind) => {
    const body = { 'odata.error': { code, message: { lang: 'en-US', value: 'text' } } };
    const options = { ...clientOptions(), httpClient: answering(() => ({ status, body })) };
    const table = new TableClient('https://account.table.core.windows.net', 'table', credential, options);
    const thrown = await rejectionOf(callAzure('token store', () => table.getEntity('partition', 'row')));
    expect(thrown).toMatchObject({ kind, status, upstreamCode: code });
  });
});

describe('toUpstreamError', () => {
  it('passes our own error through, however deep it lies', () => {
    const own = upstream('throttled', { retryAfterSeconds: 9 });
    const wrapped = new Error('outer', { cause: new Error('inner', { cause: own }) });
    expect(toUpstreamError('service', own)).toBe(own);
    expect(toUpstreamError('service', wrapped)).toBe(own);
  });

  it.each([new RangeError('a bug'), new BrokerError('internal_error'), 'text', undefined, null, 7])(
    'leaves %j alone, which no SDK threw',
    (thrown) => {
      expect(toUpstreamError('service', thrown)).toBe(thrown);
    },
  );

  it('P7: takes a TypeError for an answer of a shape that an SDK did not foresee', () => {
    const bug = new TypeError('secret-token is not iterable');
    const thrown = toUpstreamError('service', bug);
    expect(thrown).toMatchObject({ name: 'UpstreamError', kind: 'unexpected', service: 'service', cause: bug });
    expect(nameError(thrown)).not.toContain('secret-token');
  });

  it('ends on a chain of causes without end', () => {
    const loop: { cause?: unknown } = {};
    loop.cause = loop;
    expect(toUpstreamError('service', loop)).toBe(loop);
  });
});

describe('withTimeout', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it('P7: gives up on a call that does not answer within 10 seconds: the service is unavailable', async () => {
    let failure: unknown;
    const call = rejectionOf(withTimeout('managed identity', new Promise(() => undefined))).then((error) => {
      failure = error;
    });
    await vi.advanceTimersByTimeAsync(9_999);
    expect(failure).toBeUndefined();
    await vi.advanceTimersByTimeAsync(1);
    await call;
    expect(failure).toMatchObject({
      name: 'UpstreamError',
      kind: 'unavailable',
      service: 'managed identity',
      upstreamCode: 'timeout',
    });
  });

  it('hands on what the call brings in time, good or bad, and leaves no timer behind', async () => {
    const failure = upstream('credential_refused');
    const gate = createDeferred();
    const late = withTimeout(
      'managed identity',
      gate.promise.then(() => 'late'),
    );
    expect(await withTimeout('managed identity', Promise.resolve('the token'))).toBe('the token');
    expect(await rejectionOf(withTimeout('managed identity', Promise.reject(failure)))).toBe(failure);
    expect(vi.getTimerCount()).toBe(1);
    await vi.advanceTimersByTimeAsync(9_999);
    gate.resolve();
    expect(await late).toBe('late');
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe('parseAnswer', () => {
  const schema = z.looseObject({ token: z.looseObject({ value: z.string() }) });

  it('gives back what keeps the contract', () => {
    expect(parseAnswer('service', schema, { token: { value: 'x' }, more: 1 })).toMatchObject({ token: { value: 'x' } });
  });

  it.each([
    ['the field', { token: { value: 7 } }, 'contract:token.value'],
    ['the parent', { token: 'secret-token' }, 'contract:token'],
    ['nothing where all is wrong', 'secret-token', 'contract:'],
  ])('P2: names %s that breaks the contract, never its value', (_what, answer, upstreamCode) => {
    const parse = () => parseAnswer('service', schema, answer);
    expect(parse).toThrow(expect.objectContaining({ kind: 'unexpected', upstreamCode }));
    expect(parse).not.toThrow(/secret-token/);
  });
});
