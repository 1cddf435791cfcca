import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { AuditRecord } from '../../src/audit/record.ts';
import { BrokerError, type UpstreamKind } from '../../src/errors.ts';
import { compileGrants } from '../../src/grants/compile.ts';
import type { Target } from '../../src/grants/target.ts';
import { createIssue, type IssueRequest, type Obtained } from '../../src/issuing/issue.ts';
import { aCaller, aJwt, aPolicy, callerAppId, callerObjectId, tenantId, upstream } from '../support/builders.ts';
import { createMovableClock } from '../support/clock.ts';
import { createDeferred, createLogSpy, rejectionOf, settle } from '../support/ports.ts';

const target: Target = { kind: 'endpointToken', workspace: 'prod', endpoint: 'fraud-aml' };
const elsewhere: Target = { kind: 'endpointToken', workspace: 'prod', endpoint: 'churn-aml' };

function aRequest(overrides: Partial<IssueRequest> = {}): IssueRequest {
  return { caller: aCaller(), target, correlationId: 'correlation-1', minRemainingSeconds: undefined, ...overrides };
}

interface FakeAudit {
  /** Thrown while it is set. */
  fault: Error | undefined;
  /** Awaited before each record. */
  before: () => Promise<unknown>;
  records: AuditRecord[];
}

function setUp(policy = aPolicy()) {
  const time = createMovableClock();
  const { log, lines } = createLogSpy();
  const audit: FakeAudit = { fault: undefined, before: async () => undefined, records: [] };
  const issue = createIssue({
    grants: compileGrants(policy),
    policyHash: 'hash-of-the-policy',
    clock: time.clock,
    log,
    async writeAudit(record) {
      await audit.before();
      if (audit.fault !== undefined) throw audit.fault;
      audit.records.push(record);
    },
  });
  /** Obtains a token with an hour to live, and counts. */
  const obtained = { times: 0 };
  const obtain = async (): Promise<Obtained<string>> => {
    obtained.times += 1;
    return { credential: 'the-secret-token', expiresOn: time.in(3600), identity: 'reader', answer: 'released' };
  };
  return { time, lines, audit, issue, obtain, obtained };
}

const auditDown = () => new BrokerError('audit_unavailable', { reason: 'no_store_accepted', retryAfterSeconds: 10 });

describe('without a grant', () => {
  it('P1: refuses, obtains nothing and records the refusal', async () => {
    const { issue, obtain, obtained, audit } = setUp();
    const error = await rejectionOf(issue(aRequest({ target: elsewhere }), obtain));
    expect(error).toMatchObject({ code: 'not_granted', reason: 'no_grant_for_target' });
    expect(obtained.times).toBe(0);
    expect(audit.records).toEqual([
      expect.objectContaining({
        decision: 'refused',
        code: 'not_granted',
        reason: 'no_grant_for_target',
        target: 'prod/churn-aml token',
        correlationId: 'correlation-1',
        policyHash: 'hash-of-the-policy',
      }),
    ]);
    expect(audit.records[0]).not.toHaveProperty('grant');
    expect(audit.records[0]).not.toHaveProperty('tokenSha256');
  });

  it('P1: refuses a caller whom no grant names', async () => {
    const { issue, obtain, obtained } = setUp();
    const stranger = aCaller({ objectId: 'e0000000-0000-4000-8000-0000000000ff' });
    expect(await rejectionOf(issue(aRequest({ caller: stranger }), obtain))).toMatchObject({ code: 'not_granted' });
    expect(obtained.times).toBe(0);
  });

  it('P1: refuses everything under an empty policy', async () => {
    const { issue, obtain, obtained } = setUp(aPolicy({ grants: {} }));
    expect(await rejectionOf(issue(aRequest(), obtain))).toMatchObject({ code: 'not_granted' });
    expect(obtained.times).toBe(0);
  });

  it('P1: refuses a caller who is cut off, in spite of the grant, and records it', async () => {
    const { issue, obtain, obtained, audit } = setUp(
      aPolicy({ deny: [{ issuer: 'contoso', class: 'app', oid: callerObjectId }] }),
    );
    expect(await rejectionOf(issue(aRequest(), obtain))).toMatchObject({ code: 'caller_denied' });
    expect(obtained.times).toBe(0);
    expect(audit.records).toEqual([expect.objectContaining({ decision: 'refused', code: 'caller_denied' })]);
  });

  it('P1: a refusal stands when no store takes its record, and the log has it instead', async () => {
    const { issue, obtain, obtained, audit, lines } = setUp();
    audit.fault = auditDown();
    expect(await rejectionOf(issue(aRequest({ target: elsewhere }), obtain))).toMatchObject({ code: 'not_granted' });
    expect(obtained.times).toBe(0);
    expect(lines).toEqual([expect.stringMatching(/^error .*"refusal_not_audited".*correlation-1/)]);
  });

  it('P1: answers a refusal only after the attempt to record it', async () => {
    const { issue, obtain, audit } = setUp();
    const gate = createDeferred();
    audit.before = () => gate.promise;
    let answered = false;
    const refusal = rejectionOf(issue(aRequest({ target: elsewhere }), obtain)).then(() => {
      answered = true;
    });
    await settle();
    expect(answered).toBe(false);
    gate.resolve();
    await refusal;
  });
});

describe('with a grant', () => {
  it('P1: releases the answer only after the record was accepted', async () => {
    const { issue, obtain, audit } = setUp();
    const gate = createDeferred();
    audit.before = () => gate.promise;
    let released: string | undefined;
    const answer = issue(aRequest(), obtain).then((text) => {
      released = text;
    });
    await settle();
    expect(released).toBeUndefined();
    gate.resolve();
    await answer;
    expect(released).toBe('released');
    expect(audit.records).toHaveLength(1);
  });

  it.each<Target>([
    { kind: 'workspaceToken', workspace: 'prod', audience: 'aml' },
    { kind: 'endpointToken', workspace: 'prod', endpoint: 'fraud-aml' },
    { kind: 'endpointKey', workspace: 'prod', endpoint: 'fraud-aml' },
  ])('P1: releases nothing for a $kind when no store accepts the record', async (asked) => {
    const { issue, obtain, audit, obtained } = setUp();
    audit.fault = auditDown();
    expect(await rejectionOf(issue(aRequest({ target: asked }), obtain))).toBe(audit.fault);
    expect(obtained.times).toBe(1);
  });

  it('P1: releases nothing when the record fails for a reason that nobody thought of', async () => {
    const { issue, obtain, audit } = setUp();
    audit.fault = new TypeError('the-secret-token');
    const error = await rejectionOf(issue(aRequest(), obtain));
    expect(error).toMatchObject({ code: 'internal_error' });
    expect(String(error)).not.toContain('the-secret-token');
  });

  it('P1: records who got what by which grant, through which identity, under which policy, and which token', async () => {
    const { issue, time, audit } = setUp();
    const credential = aJwt({ uti: 'uti-of-the-token', aud: 'https://ml.azure.com' });
    const expiresOn = time.in(3600);
    await issue(aRequest(), async () => ({ credential, expiresOn, identity: 'reader', answer: {} }));
    expect(audit.records).toEqual([
      {
        at: time.clock(),
        correlationId: 'correlation-1',
        decision: 'issued',
        caller: {
          issuer: 'contoso',
          class: 'app',
          tenantId,
          objectId: callerObjectId,
          appId: callerAppId,
          subject: callerObjectId,
          tokenId: 'callers-own-uti',
        },
        target: 'prod/fraud-aml token',
        grant: 'checkout-uses-fraud',
        identity: 'reader',
        tokenSha256: createHash('sha256').update(credential).digest('hex'),
        tokenId: 'uti-of-the-token',
        expiresOn,
        policyHash: 'hash-of-the-policy',
      },
    ]);
  });

  it('P2: the record never has the token or a part of it', async () => {
    const { issue, time, audit } = setUp();
    const credential = aJwt({ uti: 'u', aud: 'x' });
    await issue(aRequest(), async () => ({ credential, expiresOn: time.in(60), identity: 'reader', answer: {} }));
    const text = JSON.stringify(audit.records);
    for (const part of credential.split('.')) expect(text).not.toContain(part);
  });

  it.each([
    ['an opaque token', 'opaque'],
    ['a token whose payload is no JSON', 'abc.def.ghi'],
    ['a token whose payload is no object', `e30.${Buffer.from('null').toString('base64url')}.c2ln`],
    ['a token whose uti is no text', aJwt({ uti: 7 })],
    ['a token without uti', aJwt({})],
    ['something with two parts', `e30.${Buffer.from('{"uti":"u"}').toString('base64url')}`],
  ])('issues %s and leaves its uti out of the record', async (_what, credential) => {
    const { issue, time, audit } = setUp();
    await issue(aRequest(), async () => ({ credential, expiresOn: time.in(60), identity: 'reader', answer: {} }));
    expect(audit.records).toHaveLength(1);
    expect(audit.records[0]).not.toHaveProperty('tokenId');
    expect(audit.records[0]).toMatchObject({ tokenSha256: createHash('sha256').update(credential).digest('hex') });
  });

  it('records a key, which has no end, without one', async () => {
    const { issue, audit } = setUp();
    await issue(aRequest(), async () => ({ credential: 'key', expiresOn: undefined, identity: 'reader', answer: {} }));
    expect(audit.records[0]).not.toHaveProperty('expiresOn');
  });

  it('hands the grant’s permit and the target to the one who obtains', async () => {
    const { issue, obtain } = setUp();
    const seen: unknown[] = [];
    await issue(
      aRequest({ target: { kind: 'workspaceToken', workspace: 'prod', audience: 'aml' } }),
      (asked, permit) => {
        seen.push(asked, permit);
        return obtain();
      },
    );
    expect(seen).toEqual([
      { kind: 'workspaceToken', workspace: 'prod', audience: 'aml' },
      { grant: 'checkout-uses-fraud', maxLifetimeSeconds: 90_000, identity: 'trainer' },
    ]);
  });
});

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

  it('does not take a slow record for a caller’s too large minRemaining', async () => {
    const { issue, time, audit } = setUp();
    audit.before = async () => time.advance(30);
    expect(await issue(aRequest({ minRemainingSeconds: 600 }), living(time.in(610)))).toBe('released');
  });
});

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
