import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { Target } from '../../src/grants/target.ts';
import { aCaller, aJwt, aPolicy, callerAppId, callerObjectId, tenantId } from '../support/builders.ts';
import { createDeferred, rejectionOf, settle } from '../support/ports.ts';
import { aRequest, auditDown, elsewhere, setUp } from './issue-in-memory.ts';

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
