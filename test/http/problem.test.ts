import { describe, expect, it } from 'vitest';
import { refuseToken } from '../../src/callers/bearer.ts';
import { BrokerError, type ErrorCode, problems } from '../../src/errors.ts';
import { toJsonAnswer, toProblem } from '../../src/http/problem.ts';

const isCode = (text: string): text is ErrorCode => Object.hasOwn(problems, text);
const codes = Object.keys(problems).filter(isCode);
const bodyOf = (answer: { body?: unknown }): unknown => JSON.parse(String(answer.body));

describe('toProblem', () => {
  it.each(codes)('P7: answers %s as RFC 9457 says', (code) => {
    const { status, title, help } = problems[code];
    const answer = toProblem(new BrokerError(code), 'id-1');
    expect(answer.status).toBe(status);
    expect(answer.headers).toMatchObject({
      'Content-Type': 'application/problem+json',
      'Cache-Control': 'no-store',
      'X-Content-Type-Options': 'nosniff',
    });
    expect(bodyOf(answer)).toEqual({
      type: `urn:aml-token-broker:problem:${code}`,
      title,
      status,
      code,
      detail: help,
      correlationId: 'id-1',
    });
  });

  it('P7: adds the members that the thrower gives, such as the seconds available', () => {
    const error = new BrokerError('insufficient_lifetime', { members: { availableSeconds: 60 } });
    expect(bodyOf(toProblem(error, 'id-1'))).toMatchObject({ code: 'insufficient_lifetime', availableSeconds: 60 });
  });

  it('P7: carries WWW-Authenticate with 401 and with nothing else', () => {
    const challenge = (code: 'invalid_token' | 'not_granted') => toProblem(new BrokerError(code), 'id-1').headers;
    expect(challenge('invalid_token')).toMatchObject({
      'WWW-Authenticate': expect.stringMatching(
        /^Bearer realm="aml-token-broker", error="invalid_token", error_description="[^"]+"$/,
      ),
    });
    expect(challenge('not_granted')).not.toHaveProperty('WWW-Authenticate');
  });

  it('P7: carries the claims of a step-up as RFC 6750 and Microsoft’s claims challenge say: insufficient_claims, in base64', () => {
    const claims = '{"access_token":{"acrs":{"essential":true,"value":"c1–ü"}}}';
    const { headers, body } = toProblem(new BrokerError('step_up_required', { claims }), 'id-1');
    const challenge = new Headers(Object.entries({ ...headers }).map(([name, value]) => [name, String(value)])).get(
      'www-authenticate',
    );
    const [, encoded = ''] =
      challenge?.match(
        /^Bearer realm="aml-token-broker", error="insufficient_claims", claims="([A-Za-z0-9+/]+={0,2})"$/,
      ) ?? [];
    expect(Buffer.from(encoded, 'base64').toString()).toBe(claims);
    expect(JSON.parse(String(body))).toMatchObject({ status: 401, code: 'step_up_required' });
  });

  it('P7: claims go with a step-up alone', () => {
    expect(toProblem(new BrokerError('invalid_token', { claims: '{}' }), 'id-1').headers).toMatchObject({
      'WWW-Authenticate': expect.stringContaining('error="invalid_token"'),
    });
  });

  it.each([
    [7, '7'],
    [0.2, '1'],
    [0, '0'],
  ])('P7: tells %d seconds as Retry-After: %s', (retryAfterSeconds, header) => {
    const answer = toProblem(new BrokerError('upstream_throttled', { retryAfterSeconds }), 'id-1');
    expect(answer.headers).toMatchObject({ 'Retry-After': header });
  });

  it('P7: has no Retry-After where waiting does not help', () => {
    expect(toProblem(new BrokerError('not_granted'), 'id-1').headers).not.toHaveProperty('Retry-After');
  });

  it('P7: is the same for every refused token: why is in the log alone', () => {
    const answers = ['expired', 'signature', 'audience', 'no_authorization'].map((reason) =>
      toProblem(refuseToken(reason), 'id-1'),
    );
    for (const answer of answers) expect(answer).toEqual(answers[0]);
  });

  it('P2: shows neither the reason nor the cause', () => {
    const cause = new Error('made-up-secret');
    const answer = toProblem(new BrokerError('upstream_unavailable', { reason: 'made-up-reason', cause }), 'id-1');
    expect(JSON.stringify(answer)).not.toMatch(/made-up/);
  });
});

describe('toJsonAnswer', () => {
  it('is JSON that nobody keeps, with instants as ISO 8601 UTC', () => {
    expect(toJsonAnswer({ expiresOn: new Date(0), stale: false })).toEqual({
      status: 200,
      headers: {
        'Content-Type': 'application/json',
        'Cache-Control': 'no-store',
        'X-Content-Type-Options': 'nosniff',
      },
      body: '{"expiresOn":"1970-01-01T00:00:00.000Z","stale":false}',
    });
    expect(toJsonAnswer({}, 503).status).toBe(503);
  });
});
