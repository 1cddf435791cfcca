import { describe, expect, it } from 'vitest';
import { checkPolicy, explainPolicy } from '../../src/cli/policy-commands.ts';
import { goodPolicy } from '../config/policy-text.ts';

const oid = 'e0000000-0000-4000-8000-0000000000f1';
const who = `{ issuer: contoso, class: app, oid: ${oid} }`;

const check = (text: string) => {
  const lines: string[] = [];
  return { code: checkPolicy(text, 'broker.yaml', (line) => lines.push(line)), lines };
};
const expecting = (...tests: string[]) => `${goodPolicy}expect:\n${tests.map((test) => `  - ${test}\n`).join('')}`;

describe('policy check', () => {
  it('is content with a good policy without tests', () => {
    expect(check(goodPolicy)).toEqual({ code: 0, lines: ['broker.yaml: 2 grants, 0 tests, 0 failed.'] });
  });

  it('runs the policy’s own tests', () => {
    const tests = [
      `{ caller: ${who}, target: prod/fraud-aml token, allow: scores }`,
      `{ caller: ${who}, target: { endpointKey: prod/fraud-aml }, allow: true }`,
      `{ caller: ${who}, target: { workspace: prod, audience: aml }, deny: no_grant_for_target }`,
      '{ caller: { issuer: contoso, class: app, oid: e0000000-0000-4000-8000-0000000000f2 }, target: prod, deny: denied }',
      '{ caller: { issuer: contoso, class: user }, target: prod, deny: true }',
      '{ caller: { issuer: contoso, class: app, roles: [Train], claims: { xms_mirid: one } }, target: prod, allow: trains }',
    ];
    expect(check(expecting(...tests))).toEqual({ code: 0, lines: ['broker.yaml: 2 grants, 6 tests, 0 failed.'] });
  });

  it.each([
    [
      `{ caller: ${who}, target: prod/churn, allow: true }`,
      /^broker.yaml: expect.0: contoso app e0.*f1: prod\/churn token: must be allowed\. No grant allows prod\/churn token/,
    ],
    [`{ caller: ${who}, target: prod/churn, allow: scores }`, /must be allowed by scores\. No grant/],
    [`{ caller: ${who}, target: prod/fraud-aml, allow: trains }`, /must be allowed by trains, and is by scores$/],
    [`{ caller: ${who}, target: prod/fraud-aml, deny: true }`, /must be denied, and the grant scores allows it$/],
    [
      `{ caller: ${who}, target: prod, deny: grant_suspended }`,
      /must be denied as grant_suspended, and is as no_grant_for_target$/,
    ],
  ])('fails for %s', (test, line) => {
    const { code, lines } = check(expecting(test));
    expect(code).toBe(1);
    expect(lines).toEqual([expect.stringMatching(line), 'broker.yaml: 2 grants, 1 test, 1 failed.']);
  });

  it.each([
    [`{ caller: ${who}, target: prod }`, 'must say either allow or deny'],
    [`{ caller: ${who}, target: prod, allow: true, deny: true }`, 'must say either allow or deny'],
    [`{ caller: ${who}, target: prod, allow: nobody }`, 'there is no grant named nobody'],
    [`{ caller: ${who}, target: staging, deny: true }`, 'there is no workspace named staging'],
    ['{ caller: { issuer: elsewhere, class: app }, target: prod, deny: true }', 'there is no issuer named elsewhere'],
    [`{ caller: ${who}, target: prod, deny: because }`, 'must be true or one of'],
    [`{ caller: ${who}, target: prod/fraud-*, deny: true }`, 'must be'],
  ])('names the line of a test that makes no sense: %s', (test, problem) => {
    const { code, lines } = check(expecting(test));
    expect(code).toBe(1);
    const line = goodPolicy.split('\n').length + 1;
    expect(lines).toHaveLength(2);
    expect(lines[0]).toMatch(new RegExp(`^broker.yaml: line ${line}: expect\\.0`));
    expect(lines[0]).toContain(problem);
    expect(lines[1]).toBe('1 problem; the broker would refuse this policy.');
  });

  it('tells every problem with its line', () => {
    const { code, lines } = check(`${goodPolicy}denied: []\nissuer: 1\n`);
    expect(code).toBe(1);
    expect(lines).toHaveLength(3);
    expect(lines[0]).toMatch(/^broker.yaml: line \d+: denied: is not a known key$/);
  });
});

describe('policy explain', () => {
  const explain = (caller: string, target: string, text = goodPolicy) => {
    const lines: string[] = [];
    const clock = () => new Date('2026-11-22T10:00:00Z');
    const code = explainPolicy({ text, name: 'broker.yaml', caller, target }, clock, (line) => lines.push(line));
    return { code, lines };
  };
  const described = JSON.stringify({ issuer: 'contoso', class: 'app', oid });

  it('says which grant allows it', () => {
    expect(explain(described, 'prod/fraud-aml')).toEqual({
      code: 0,
      lines: ['allowed: The grant scores allows prod/fraud-aml token.', '  for at most 86400 s'],
    });
  });

  it('says why none does, grant by grant', () => {
    expect(explain(described, '{"endpointKey":"prod/churn"}')).toEqual({
      code: 1,
      lines: [
        'denied (not_granted, no_grant_for_target): No grant allows prod/churn key. The nearest is scores: no entry under allow is for prod/churn key.',
        '  scores: no entry under allow is for prod/churn key',
        '  trains: caller.roles must have Train',
      ],
    });
  });

  it('takes the claims of a token, of any cloud, whatever its times say', () => {
    const claims = {
      ...{ ver: '2.0', aud: 'broker', tid: '11111111-1111-4111-8111-111111111111', exp: 1 },
      ...{ oid, sub: oid, azp: 'e0000000-0000-4000-8000-000000000001' },
    };
    for (const host of ['login.microsoftonline.com', 'login.partner.microsoftonline.cn', 'login.microsoftonline.us']) {
      const iss = `https://${host}/11111111-1111-4111-8111-111111111111/v2.0`;
      expect(explain(JSON.stringify({ ...claims, iss }), 'prod/fraud-aml').code).toBe(0);
    }
    const refused = explain(JSON.stringify({ ...claims, iss: 'https://elsewhere.example' }), 'prod');
    expect(refused).toEqual({
      code: 1,
      lines: [
        'denied (invalid_token, issuer): A token with these claims is refused before any grant is looked at: issuer.',
      ],
    });
  });

  it.each([
    ['a caller that is no JSON', 'contoso', 'prod', '--caller: must be JSON'],
    ['a caller that is not described', '{}', 'prod', '--caller.issuer'],
    ['a target that is not understood', described, 'prod what', '--target: must be'],
    ['a target that is no JSON', described, '{', '--target: must be words'],
  ])('refuses %s with exit code 2', (_what, caller, target, message) => {
    expect(() => explain(caller, target)).toThrow(
      expect.objectContaining({ exitCode: 2, message: expect.stringContaining(message) }),
    );
  });

  it('refuses a broken policy with exit code 2 and its problems', () => {
    expect(() => explain(described, 'prod', 'denied: []\n')).toThrow(
      expect.objectContaining({ exitCode: 2, message: expect.stringContaining('line 1: denied: is not a known key') }),
    );
  });
});
