import { describe, expect, it } from 'vitest';
import { BrokerError, type ErrorCode, problems, toBrokerError, type UpstreamKind } from '../../src/errors.ts';
import { listWorkspaces } from '../../src/functions/list-workspaces.ts';
import { answering } from '../../src/http/handler.ts';
import { upstream } from '../support/builders.ts';
import { aGet, invocationId, invoke, verifyCaller } from './invoke.ts';

/** A function whose operation fails like this. */
const failing = (thrown: unknown) =>
  invoke(
    listWorkspaces(async () => ({ verifyCaller, listWorkspaces: () => Promise.reject(thrown) })),
    aGet,
  );

const statuses: [ErrorCode, number][] = [
  ['invalid_request', 400],
  ['invalid_token', 401],
  ['step_up_required', 401],
  ['not_granted', 403],
  ['lifetime_exceeds_grant', 403],
  ['caller_denied', 403],
  ['operator_required', 403],
  ['not_found', 404],
  ['wrong_auth_mode', 409],
  ['insufficient_lifetime', 409],
  ['too_large', 413],
  ['unsupported_media_type', 415],
  ['rate_limited', 429],
  ['unexpected_upstream_answer', 502],
  ['upstream_unavailable', 503],
  ['upstream_throttled', 503],
  ['identity_not_ready', 503],
  ['audit_unavailable', 503],
  ['policy_unavailable', 503],
  ['config_invalid', 503],
  ['internal_error', 500],
];

describe('P7: every failure is a clear answer', () => {
  it('P7: the codes are exactly these', () => {
    expect(Object.keys(problems).sort()).toEqual(statuses.map(([code]) => code).sort());
  });

  it.each(statuses)('P7: %s is a problem answer with status %d', async (code, status) => {
    const answer = await failing(new BrokerError(code, { reason: 'reason-for-the-log' }));
    expect(answer.status).toBe(status);
    expect(answer.headers.get('content-type')).toBe('application/problem+json');
    expect(answer.headers.get('cache-control')).toBe('no-store');
    expect(answer.headers.has('www-authenticate')).toBe(status === 401);
    expect(answer.body).toEqual({
      type: `urn:aml-token-broker:problem:${code}`,
      title: expect.stringMatching(/\S/),
      status,
      code,
      detail: expect.stringMatching(/\S.*\.$/),
      correlationId: invocationId,
    });
    expect(answer.text).not.toContain('reason-for-the-log');
  });

  it.each(statuses)('P7: %s logs one line with code, reason and correlation id', async (code, status) => {
    const { lines } = await failing(new BrokerError(code, { reason: 'reason-for-the-log' }));
    expect(lines).toHaveLength(1);
    const [line = ''] = lines;
    expect(line.startsWith(status >= 500 ? 'error ' : 'warning ')).toBe(true);
    expect(JSON.parse(line.slice(line.indexOf('{')))).toMatchObject({
      event: status >= 500 ? 'failed' : 'refused',
      code,
      reason: 'reason-for-the-log',
      correlationId: invocationId,
    });
  });

  it('P7: tells how long to wait in whole seconds, rounded up', async () => {
    const answer = await failing(new BrokerError('upstream_unavailable', { retryAfterSeconds: 4.2 }));
    expect(answer.headers.get('retry-after')).toBe('5');
  });

  it('P7: has no Retry-After where waiting does not help', async () => {
    expect((await failing(new BrokerError('not_granted'))).headers.has('retry-after')).toBe(false);
  });

  it('P7: adds the members of an error to the body', async () => {
    const error = new BrokerError('insufficient_lifetime', { members: { secondsAvailable: 7 } });
    expect((await failing(error)).body).toMatchObject({ code: 'insufficient_lifetime', secondsAvailable: 7 });
  });

  it.each([
    ['an error of the language', new TypeError('text with secret-token in it')],
    ['an error of an SDK', Object.assign(new Error('secret-token'), { name: 'RestError', code: 'secret token' })],
    ['an error with a cause', new Error('outer', { cause: new Error('secret-token') })],
    ['a text', 'secret-token'],
    ['undefined', undefined],
  ])('P7: %s that nobody expected is a generic internal_error, in the answer and in the log', async (_what, thrown) => {
    const answer = await failing(thrown);
    expect(answer.status).toBe(500);
    expect(answer.body).toMatchObject({
      code: 'internal_error',
      detail: 'Give the correlation id to the operators of the broker.',
      correlationId: invocationId,
    });
    expect(answer.lines).toHaveLength(1);
    expect(answer.text + answer.lines.join()).not.toMatch(/secret.token|outer|\bat \S+:\d+/);
  });

  it('P7: names the class of an unexpected error for the log', async () => {
    expect((await failing(new RangeError('x'))).lines[0]).toContain('RangeError');
  });

  it('P7: a broker that could not be built answers 503 config_invalid, with a token or without', async () => {
    const handler = listWorkspaces(() => Promise.reject(new BrokerError('config_invalid', { reason: '3 problems' })));
    for (const asked of [aGet, { method: 'GET' }]) {
      const answer = await invoke(handler, asked);
      expect(answer.status).toBe(503);
      expect(answer.body).toMatchObject({ code: 'config_invalid' });
      expect(answer.text).not.toContain('3 problems');
    }
  });

  it('P7: a handler that throws at once is answered too', async () => {
    const broken = () => {
      throw new TypeError('no promise at all');
    };
    expect((await invoke(answering(broken), aGet)).body).toMatchObject({ code: 'internal_error' });
  });
});

describe('toBrokerError', () => {
  it.each<[UpstreamKind, ErrorCode, number | undefined]>([
    ['unavailable', 'upstream_unavailable', 10],
    ['throttled', 'upstream_throttled', 10],
    ['forbidden', 'identity_not_ready', 10],
    ['credential_refused', 'identity_not_ready', 10],
    ['not_found', 'unexpected_upstream_answer', undefined],
    ['conflict', 'unexpected_upstream_answer', undefined],
    ['unexpected', 'unexpected_upstream_answer', undefined],
  ])('P7: makes %s of Azure %s', (kind, code, retryAfterSeconds) => {
    expect(toBrokerError(upstream(kind))).toMatchObject({ code, retryAfterSeconds });
  });

  it('P7: passes Azure’s own Retry-After on', () => {
    expect(toBrokerError(upstream('throttled', { retryAfterSeconds: 77 }))).toMatchObject({ retryAfterSeconds: 77 });
  });

  it('P7: tells service, status and Azure’s code to the log alone', () => {
    const error = toBrokerError(upstream('forbidden', { status: 403, upstreamCode: 'AuthorizationFailed' }));
    expect(error.reason).toBe('azure machine learning: forbidden (403 AuthorizationFailed)');
    expect(error.detail).not.toMatch(/AuthorizationFailed|machine learning/);
  });

  it('leaves our own errors as they are', () => {
    const error = new BrokerError('not_granted');
    expect(toBrokerError(error)).toBe(error);
  });
});
