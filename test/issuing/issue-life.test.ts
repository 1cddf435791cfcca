import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { Obtained } from '../../src/issuing/issue.ts';
import { aPolicy } from '../support/builders.ts';
import { rejectionOf } from '../support/ports.ts';
import { aRequest, setUp } from './issue-in-memory.ts';

describe('the life of what is handed out', () => {
  const withGrantOf = (maxLifetime: string) =>
    setUp(
      aPolicy({
        grants: {
          short: {
            caller: { issuer: 'contoso', class: 'app' },
            allow: [{ endpointToken: 'prod/fraud-*' }],
            maxLifetime,
          },
        },
      }),
    );
  const living = (expiresOn: Date) => async (): Promise<Obtained<string>> => ({
    credential: 'the-secret-token',
    expiresOn,
    identity: 'reader',
    answer: 'released',
  });

  it('P3: refuses a token that lives longer than the grant allows, and records that', async () => {
    const { issue, time, audit } = withGrantOf('90m');
    const error = await rejectionOf(issue(aRequest(), living(time.in(5401))));
    expect(error).toMatchObject({ code: 'lifetime_exceeds_grant' });
    expect(error).toMatchObject({ detail: expect.stringMatching(/5401 .*5400/) });
    expect(audit.records).toEqual([
      expect.objectContaining({ decision: 'refused', code: 'lifetime_exceeds_grant', grant: 'short' }),
    ]);
    expect(audit.records[0]).not.toHaveProperty('tokenSha256');
  });

  it('P3: hands out a token that lives exactly as long as the grant allows', async () => {
    const { issue, time } = withGrantOf('90m');
    expect(await issue(aRequest(), living(time.in(5400.9)))).toBe('released');
  });

  it('refuses a token with less left than asked for, and says how much there is', async () => {
    const { issue, time, audit } = setUp();
    const error = await rejectionOf(issue(aRequest({ minRemainingSeconds: 600 }), living(time.in(599.9))));
    expect(error).toMatchObject({ code: 'insufficient_lifetime', members: { secondsAvailable: 599 } });
    expect(audit.records).toEqual([
      expect.objectContaining({ decision: 'refused', code: 'insufficient_lifetime', grant: 'checkout-uses-fraud' }),
    ]);
  });

  it('hands out a token with exactly as much left as asked for', async () => {
    const { issue, time } = setUp();
    expect(await issue(aRequest({ minRemainingSeconds: 600 }), living(time.in(600)))).toBe('released');
  });

  it('judges a key by neither', async () => {
    const { issue } = withGrantOf('1s');
    const key = async () => ({ credential: 'key', expiresOn: undefined, identity: 'reader', answer: 'released' });
    expect(await issue(aRequest({ minRemainingSeconds: 86_400 }), key)).toBe('released');
  });

  it('P4: releases no token that has expired when it comes', async () => {
    const { issue, time, audit } = setUp();
    const error = await rejectionOf(issue(aRequest(), living(time.clock())));
    expect(error).toMatchObject({ code: 'upstream_unavailable', reason: 'expired_before_release' });
    expect(audit.records).toEqual([]);
  });

  it('P4: releases no token that expires while the record is written', async () => {
    const { issue, time, audit } = setUp();
    audit.before = async () => time.advance(60);
    const error = await rejectionOf(issue(aRequest(), living(time.in(60))));
    expect(error).toMatchObject({ code: 'upstream_unavailable', reason: 'expired_before_release' });
  });

  /** A token of an hour with a minute to its refreshBy, and another one on each call. */
  const refreshable = (time: ReturnType<typeof setUp>['time']) => {
    const obtained: string[] = [];
    const obtain = async (): Promise<Obtained<string>> => {
      const answer = `token ${obtained.length + 1}`;
      obtained.push(answer);
      return { credential: answer, expiresOn: time.in(3600), refreshBy: time.in(60), identity: 'reader', answer };
    };
    return { obtained, obtain };
  };

  it('P4: obtains once more when the record takes until refreshBy, and records both', async () => {
    const { issue, time, audit } = setUp();
    const { obtained, obtain } = refreshable(time);
    audit.before = async () => time.advance(audit.records.length === 0 ? 60 : 59);
    expect(await issue(aRequest(), obtain)).toBe('token 2');
    expect(obtained).toEqual(['token 1', 'token 2']);
    expect(audit.records.map(({ tokenSha256 }) => tokenSha256)).toEqual(
      obtained.map((token) => createHash('sha256').update(token).digest('hex')),
    );
  });

  it('P4: releases nothing when the second record takes as long, and says what is slow', async () => {
    const { issue, time, audit } = setUp();
    const { obtained, obtain } = refreshable(time);
    audit.before = async () => time.advance(60);
    expect(await rejectionOf(issue(aRequest(), obtain))).toMatchObject({
      code: 'audit_unavailable',
      reason: 'record_took_too_long',
      retryAfterSeconds: 5,
    });
    expect(obtained).toHaveLength(2);
  });

  it('P4: a record that ends before refreshBy costs one call', async () => {
    const { issue, time, audit } = setUp();
    const { obtained, obtain } = refreshable(time);
    audit.before = async () => time.advance(59.999);
    expect(await issue(aRequest(), obtain)).toBe('token 1');
    expect(obtained).toHaveLength(1);
  });

  it('P4: a stale token, which has no refreshBy to keep, is released after a slow record too', async () => {
    const { issue, time, audit } = setUp();
    audit.before = async () => time.advance(60);
    expect(await issue(aRequest(), living(time.in(3600)))).toBe('released');
    expect(audit.records).toHaveLength(1);
  });

  it('never answers with less than minRemaining, however long the record took', async () => {
    const { issue, time, audit } = setUp();
    audit.before = async () => time.advance(5);
    const living610 = living(time.in(610));
    expect(await issue(aRequest({ minRemainingSeconds: 605 }), living610)).toBe('released');
    await expect(issue(aRequest({ minRemainingSeconds: 604 }), living610)).rejects.toMatchObject({
      code: 'insufficient_lifetime',
      members: { secondsAvailable: 600 },
    });
    expect(audit.records.map(({ decision }) => decision)).toEqual(['issued', 'issued', 'refused']);
  });
});
