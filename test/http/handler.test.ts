import { InvocationContext } from '@azure/functions';
import { describe, expect, it } from 'vitest';
import { refuseToken } from '../../src/callers/bearer.ts';
import { BrokerError, UpstreamError } from '../../src/errors.ts';
import { answering, forCallers } from '../../src/http/handler.ts';
import { toJsonAnswer } from '../../src/http/problem.ts';
import { callerWith } from '../grants/callers.ts';
import { requestWith, type Sent } from './requests.ts';

const token = 'aGVhZGVy.cGF5bG9hZA.c2lnbmF0dXJl';

function createInvocation() {
  const lines: [string, unknown][] = [];
  const context = new InvocationContext({
    invocationId: 'id-1',
    functionName: 'test',
    logHandler: (level, ...args) => lines.push([level, JSON.parse(String(args[0]))]),
  });
  return { context, lines };
}

const bodyOf = (answer: { body?: unknown }): unknown => JSON.parse(String(answer.body));

describe('answering', () => {
  const answer = async (thrown: unknown) => {
    const { context, lines } = createInvocation();
    const handler = answering(async () => {
      throw thrown;
    });
    return { answer: await handler(requestWith(), context), lines };
  };

  it('gives a good answer back as it is and logs nothing', async () => {
    const { context, lines } = createInvocation();
    const good = toJsonAnswer({ status: 'ok' });
    expect(await answering(async () => good)(requestWith(), context)).toBe(good);
    expect(lines).toEqual([]);
  });

  it.each([
    [
      'a refusal',
      new BrokerError('not_granted', { reason: 'no_grant' }),
      403,
      'warn',
      { event: 'refused', code: 'not_granted', reason: 'no_grant' },
    ],
    [
      'a failure of Azure',
      new UpstreamError({ service: 'arm', kind: 'unavailable' }),
      503,
      'error',
      { event: 'failed', code: 'upstream_unavailable', reason: 'arm: unavailable' },
    ],
    [
      'anything else',
      new TypeError('made-up-secret'),
      500,
      'error',
      { event: 'failed', code: 'internal_error', error: 'TypeError' },
    ],
    ['a thrown text', 'made-up-secret', 500, 'error', { event: 'failed', code: 'internal_error', error: 'string' }],
  ])(
    'P7: answers %s with a problem, and logs one line with the same correlation id',
    async (_what, thrown, status, level, fields) => {
      const { answer: given, lines } = await answer(thrown);
      expect(given).toMatchObject({ status, headers: { 'Content-Type': 'application/problem+json' } });
      expect(bodyOf(given ?? {})).toMatchObject({ code: fields.code, correlationId: 'id-1' });
      expect(lines).toEqual([[level === 'warn' ? 'warning' : level, { ...fields, correlationId: 'id-1' }]]);
    },
  );

  it('P2: shows nothing of an unknown error, neither outside nor in the log', async () => {
    const { answer: given, lines } = await answer(new Error('made-up-secret', { cause: new Error('made-up-secret') }));
    expect(JSON.stringify([given, lines])).not.toContain('made-up-secret');
    expect(JSON.stringify([given, lines])).not.toContain('handler.test');
  });
});

describe('forCallers', () => {
  const call = async (sent: Sent, verify: (token: string) => Promise<ReturnType<typeof callerWith>>) => {
    const seen: string[] = [];
    const { context, lines } = createInvocation();
    const verifyCaller = (presented: string) => {
      seen.push(presented);
      return verify(presented);
    };
    const handler = forCallers(
      async () => ({ verifyCaller }),
      async ({ caller, correlationId }) => toJsonAnswer({ objectId: caller.objectId, correlationId }),
    );
    return { answer: (await handler(requestWith(sent), context)) ?? {}, seen, lines };
  };
  const known = async () => callerWith();
  const authorization = `Bearer ${token}`;

  it('hands the verified caller and the correlation id to the function', async () => {
    const { answer, seen } = await call({ headers: { authorization } }, known);
    expect(bodyOf(answer)).toEqual({ objectId: callerWith().objectId, correlationId: 'id-1' });
    expect(seen).toEqual([token]);
  });

  it('P1: answers 401 without a token, and asks nobody', async () => {
    const { answer, seen, lines } = await call({}, known);
    expect(answer).toMatchObject({ status: 401, headers: { 'WWW-Authenticate': expect.stringContaining('Bearer') } });
    expect(bodyOf(answer)).toMatchObject({ code: 'invalid_token' });
    expect(seen).toEqual([]);
    expect(lines).toEqual([
      ['warning', { event: 'refused', code: 'invalid_token', reason: 'no_authorization', correlationId: 'id-1' }],
    ]);
  });

  it('P1: answers 401 for a token that is refused, with the reason in the log alone', async () => {
    const { answer, lines } = await call({ headers: { authorization } }, async () => {
      throw refuseToken('expired');
    });
    expect(answer.status).toBe(401);
    expect(JSON.stringify(answer)).not.toContain('"expired"');
    expect(lines).toEqual([
      ['warning', { event: 'refused', code: 'invalid_token', reason: 'expired', correlationId: 'id-1' }],
    ]);
  });

  it.each([
    ['too_large', 413, { headers: { authorization, 'content-length': '65537' } }],
    ['invalid_request', 400, { headers: { authorization }, query: { access_token: token } }],
  ])('P7: answers %s (%d) before the token is looked at', async (code, status, sent) => {
    const { answer, seen, lines } = await call(sent, known);
    expect(bodyOf(answer)).toMatchObject({ code, status });
    expect(seen).toEqual([]);
    expect(JSON.stringify([answer, lines])).not.toContain(token);
  });

  it('P7: answers 503 config_invalid to everybody while the configuration is broken', async () => {
    const { context } = createInvocation();
    const handler = forCallers(
      async () => {
        throw new BrokerError('config_invalid');
      },
      async () => toJsonAnswer({}),
    );
    const answer = await handler(requestWith({ headers: { authorization } }), context);
    expect(answer).toMatchObject({ status: 503 });
    expect(bodyOf(answer ?? {})).toMatchObject({ code: 'config_invalid' });
  });
});
