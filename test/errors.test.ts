import { describe, expect, it } from 'vitest';
import {
  BrokerError,
  type ErrorCode,
  problems,
  toBrokerError,
  UpstreamError,
  type UpstreamKind,
} from '../src/errors.ts';

/** The closed set that callers rely on; a change here is a change of the broker's interface. */
const statusOf = {
  invalid_request: 400,
  invalid_token: 401,
  step_up_required: 401,
  not_granted: 403,
  lifetime_exceeds_grant: 403,
  caller_denied: 403,
  operator_required: 403,
  not_found: 404,
  wrong_auth_mode: 409,
  insufficient_lifetime: 409,
  too_large: 413,
  unsupported_media_type: 415,
  rate_limited: 429,
  internal_error: 500,
  unexpected_upstream_answer: 502,
  upstream_unavailable: 503,
  upstream_throttled: 503,
  identity_not_ready: 503,
  audit_unavailable: 503,
  policy_unavailable: 503,
  config_invalid: 503,
} as const satisfies Record<ErrorCode, number>;

describe('the error codes', () => {
  it('P7: are exactly these, each with its status', () => {
    const actual = Object.fromEntries(Object.entries(problems).map(([code, { status }]) => [code, status]));
    expect(actual).toEqual(statusOf);
  });

  it.each(Object.entries(problems))(
    'P7: %s has a title and says in a sentence what to do',
    (_code, { title, help }) => {
      expect(title).toMatch(/^[A-Z].{9,}[^.]$/);
      expect(help).toMatch(/^[A-Z].{15,}\.$/);
    },
  );

  it('P7: have a title each', () => {
    const titles = Object.values(problems).map(({ title }) => title);
    expect(new Set(titles).size).toBe(titles.length);
  });
});

describe('BrokerError', () => {
  it('has its code’s status and help where the thrower says no more', () => {
    const error = new BrokerError('rate_limited');
    expect(error).toMatchObject({
      code: 'rate_limited',
      status: 429,
      detail: problems.rate_limited.help,
      reason: undefined,
      retryAfterSeconds: undefined,
      members: {},
    });
    expect(error.message).toBe(`rate_limited: ${problems.rate_limited.title}`);
  });

  it('carries what the thrower says', () => {
    const cause = new Error('why');
    const options = { detail: 'Wait.', reason: 'quota', retryAfterSeconds: 3, members: { available: 60 }, cause };
    const error = new BrokerError('rate_limited', options);
    expect(error).toMatchObject(options);
    expect(error.message).toBe('rate_limited: quota');
  });
});

describe('UpstreamError', () => {
  it('names the service, the kind, the status and the service’s own code', () => {
    const facts = { service: 'key vault', kind: 'forbidden', status: 403, upstreamCode: 'SecretDisabled' } as const;
    expect(new UpstreamError(facts)).toMatchObject({ ...facts, message: 'key vault: forbidden (403 SecretDisabled)' });
    expect(new UpstreamError({ service: 'entra', kind: 'unavailable' }).message).toBe('entra: unavailable');
    expect(new UpstreamError({ service: 'entra', kind: 'throttled', status: 429 }).message).toBe(
      'entra: throttled (429)',
    );
  });

  it.each([
    ['unavailable', true],
    ['throttled', true],
    ['not_found', false],
    ['forbidden', false],
    ['credential_refused', false],
    ['conflict', false],
    ['unexpected', false],
  ] as const)('P4: of kind %s means out of reach: %s', (kind, outOfReach) => {
    expect(new UpstreamError({ service: 'arm', kind }).outOfReach).toBe(outOfReach);
  });
});

describe('toBrokerError', () => {
  it.each([
    ['not_found', 'unexpected_upstream_answer', undefined],
    ['forbidden', 'identity_not_ready', 10],
    ['credential_refused', 'identity_not_ready', 10],
    ['throttled', 'upstream_throttled', 10],
    ['unavailable', 'upstream_unavailable', 10],
    ['conflict', 'unexpected_upstream_answer', undefined],
    ['unexpected', 'unexpected_upstream_answer', undefined],
  ] as const satisfies [UpstreamKind, ErrorCode, number | undefined][])(
    'P7: answers an upstream %s with %s, and Retry-After where waiting helps',
    (kind, code, retryAfterSeconds) => {
      const upstream = new UpstreamError({ service: 'arm', kind, status: 418 });
      expect(toBrokerError(upstream)).toMatchObject({
        code,
        retryAfterSeconds,
        detail: problems[code].help,
        reason: `arm: ${kind} (418)`,
        cause: upstream,
      });
    },
  );

  it('P7: passes on the seconds that the service named', () => {
    const upstream = new UpstreamError({ service: 'arm', kind: 'throttled', retryAfterSeconds: 42 });
    expect(toBrokerError(upstream).retryAfterSeconds).toBe(42);
  });

  it('gives our own errors back as they are', () => {
    const error = new BrokerError('not_granted');
    expect(toBrokerError(error)).toBe(error);
  });

  it.each([
    ['an error', new Error('made-up-secret')],
    ['an error with a code', Object.assign(new Error('made-up-secret'), { code: 'not_granted', status: 403 })],
    ['a text', 'made-up-secret'],
    ['an object that looks like ours', { name: 'BrokerError', code: 'not_granted', detail: 'made-up-secret' }],
    ['undefined', undefined],
    ['null', null],
  ])('P2: turns %s into internal_error without its text', (_what, thrown) => {
    const error = toBrokerError(thrown);
    expect(error).toMatchObject({ code: 'internal_error', status: 500, detail: problems.internal_error.help });
    expect(error.reason).toBeUndefined();
    expect(`${error.message} ${error.detail} ${JSON.stringify(error.members)}`).not.toContain('made-up-secret');
  });
});
