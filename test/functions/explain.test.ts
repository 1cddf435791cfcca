import { describe, expect, it } from 'vitest';
import { createRecorder } from '../../src/audit/recorder.ts';
import { createFindIssuer } from '../../src/callers/trusted-issuers.ts';
import { clouds } from '../../src/config/clouds.ts';
import { parsePolicy } from '../../src/config/policy.ts';
import { parseQuestion } from '../../src/config/question.ts';
import { explain } from '../../src/functions/explain.ts';
import { createAnswerExplain } from '../../src/grants/answer-explain.ts';
import { createExplain } from '../../src/grants/explain.ts';
import { createOperators } from '../../src/grants/operators.ts';
import { createRefuse } from '../../src/issuing/refuse.ts';
import { goodPolicy } from '../config/policy-text.ts';
import { aCaller } from '../support/builders.ts';
import { createMovableClock } from '../support/clock.ts';
import { createLogSpy, createMemoryAuditStore } from '../support/ports.ts';
import { aPost, invoke } from './invoke.ts';

const oid = 'e0000000-0000-4000-8000-0000000000f1';
const question = { caller: { issuer: 'contoso', class: 'app', oid }, target: 'prod/fraud-aml token' };

function setUp(roles: string[] = ['Operator']) {
  const parsed = parsePolicy(goodPolicy);
  if (!parsed.ok) throw new Error(parsed.problems.join());
  const policy = parsed.value;
  const { clock } = createMovableClock();
  const { log } = createLogSpy();
  const audit = createMemoryAuditStore();
  const writeAudit = createRecorder({ stores: [audit], log, report: () => undefined });
  const answer = createAnswerExplain({
    decideOperator: createOperators(policy),
    refuse: createRefuse({ policyHash: policy.hash, writeAudit, clock, log }),
    readQuestion: parseQuestion,
    explain: createExplain(policy),
    findIssuer: createFindIssuer(policy.issuers, clouds.public),
    clock,
  });
  const handler = explain(async () => ({ explain: answer, verifyCaller: async () => aCaller({ roles }) }));
  return { ask: (body: unknown) => invoke(handler, aPost({}, body)), records: () => audit.batches.flat() };
}

describe('POST /explain', () => {
  it('200 with the grant, its identity and its limit', async () => {
    const { ask } = setUp();
    const answer = await ask(question);
    expect(answer.status).toBe(200);
    expect(answer.headers.get('cache-control')).toBe('no-store');
    expect(answer.body).toEqual({
      ...{ allowed: true, grant: 'scores', identity: null, maxLifetimeSeconds: 86_400, reason: 'granted' },
      detail: 'The grant scores allows prod/fraud-aml token.',
    });
  });

  it('200 with the first reason where no grant matches, and what each grant says', async () => {
    const { ask } = setUp();
    const answer = await ask({ ...question, target: { workspace: 'prod', audience: 'arm' } });
    expect(answer.status).toBe(200);
    expect(answer.body).toMatchObject({
      ...{ allowed: false, code: 'not_granted', reason: 'no_grant_for_target' },
      grants: [
        { grant: 'scores', verdict: 'no entry under allow is for prod arm token' },
        { grant: 'trains', verdict: 'caller.roles must have Train' },
      ],
    });
  });

  it('200 invalid_token for claims that would be refused, with the check that refuses them', async () => {
    const { ask } = setUp();
    const claims = { iss: 'https://sts.windows.net/11111111-1111-4111-8111-111111111111/', ver: '1.0' };
    expect((await ask({ ...question, caller: claims })).body).toMatchObject({
      allowed: false,
      code: 'invalid_token',
      reason: expect.stringMatching(/^claim_/),
    });
  });

  it('P1: 403 operator_required for everybody else, on record, before the question is read', async () => {
    const { ask, records } = setUp([]);
    for (const body of [question, { caller: {}, target: 'made up' }]) {
      expect(await ask(body)).toMatchObject({ status: 403, body: { code: 'operator_required' } });
    }
    expect(records()).toMatchObject([
      { decision: 'refused', code: 'operator_required', target: 'explain' },
      { decision: 'refused', code: 'operator_required', target: 'explain' },
    ]);
  });

  it.each([
    ['no caller', { target: 'prod' }],
    ['no target', { caller: question.caller }],
    ['a further field', { ...question, token: 'made-up-secret' }],
    ['a caller of no issuer', { ...question, caller: { class: 'app', oid: 'made-up-secret' } }],
    ['a target that is not understood', { ...question, target: 'made-up-secret what' }],
    ['no object', []],
  ])('400 invalid_request for %s, without repeating it', async (_what, body) => {
    const { ask } = setUp();
    const answer = await ask(body);
    expect(answer).toMatchObject({ status: 400, body: { code: 'invalid_request' } });
    expect(answer.text + answer.lines.join()).not.toContain('made-up-secret');
  });
});
