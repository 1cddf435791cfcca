import { describe, expect, it } from 'vitest';
import { BrokerError, type UpstreamKind } from '../../src/errors.ts';
import { upstream } from '../support/builders.ts';
import { rejectionOf } from '../support/ports.ts';
import { aRequest, auditDown, setUp } from './issue-in-memory.ts';

describe('a failure to obtain', () => {
  it.each<[UpstreamKind, string]>([
    ['unavailable', 'upstream_unavailable'],
    ['throttled', 'upstream_throttled'],
    ['forbidden', 'identity_not_ready'],
    ['credential_refused', 'identity_not_ready'],
    ['unexpected', 'unexpected_upstream_answer'],
  ])('P7: %s becomes %s and is not recorded as a refusal', async (kind, code) => {
    const { issue, audit } = setUp();
    const error = await rejectionOf(issue(aRequest(), () => Promise.reject(upstream(kind))));
    expect(error).toBeInstanceOf(BrokerError);
    expect(error).toMatchObject({ code });
    expect(audit.records).toEqual([]);
  });

  it('P7: passes Azure’s Retry-After on', async () => {
    const { issue } = setUp();
    const throttled = upstream('throttled', { retryAfterSeconds: 42 });
    expect(await rejectionOf(issue(aRequest(), () => Promise.reject(throttled)))).toMatchObject({
      retryAfterSeconds: 42,
    });
  });

  it('P7: a bug becomes internal_error that says nothing of its cause', async () => {
    const { issue, audit } = setUp();
    const error = await rejectionOf(issue(aRequest(), () => Promise.reject(new TypeError('the-secret-token'))));
    expect(error).toMatchObject({ code: 'internal_error' });
    expect(String(error)).not.toContain('the-secret-token');
    expect(audit.records).toEqual([]);
  });

  it('P7: a bug that throws at once is treated the same', async () => {
    const { issue } = setUp();
    const broken = () => {
      throw new TypeError('no promise at all');
    };
    expect(await rejectionOf(issue(aRequest(), broken))).toMatchObject({ code: 'internal_error' });
  });

  it.each(['not_granted', 'wrong_auth_mode'] as const)(
    'P1: a decision against the caller found on the way (%s) is recorded with the grant',
    async (code) => {
      const { issue, audit } = setUp();
      const refusal = new BrokerError(code, { reason: 'found_on_the_way' });
      expect(await rejectionOf(issue(aRequest(), () => Promise.reject(refusal)))).toBe(refusal);
      expect(audit.records).toEqual([
        expect.objectContaining({
          decision: 'refused',
          code,
          reason: 'found_on_the_way',
          grant: 'checkout-uses-fraud',
        }),
      ]);
    },
  );

  it('P1: such a decision stands when its record fails', async () => {
    const { issue, audit, lines } = setUp();
    audit.fault = auditDown();
    const refusal = new BrokerError('wrong_auth_mode');
    expect(await rejectionOf(issue(aRequest(), () => Promise.reject(refusal)))).toBe(refusal);
    expect(lines).toHaveLength(1);
  });
});
