import { describe, expect, it } from 'vitest';
import { parseQuestion } from '../../src/config/question.ts';

const caller = { issuer: 'contoso', class: 'app' };
const targetOf = (target: unknown) => {
  const parsed = parseQuestion({ caller, target });
  return parsed.ok ? parsed.value.target : parsed.problems;
};
const problemsOf = (asked: { caller: unknown; target: unknown }) => {
  const parsed = parseQuestion(asked);
  return parsed.ok ? [] : parsed.problems;
};

describe('a target', () => {
  const endpoint = { workspace: 'prod', endpoint: 'fraud-aml' };
  it.each([
    ['prod', { kind: 'workspaceToken', workspace: 'prod', audience: 'aml' }],
    ['prod aml', { kind: 'workspaceToken', workspace: 'prod', audience: 'aml' }],
    [' prod  arm token ', { kind: 'workspaceToken', workspace: 'prod', audience: 'arm' }],
    ['prod/Fraud-AML', { kind: 'endpointToken', ...endpoint }],
    ['prod/fraud-aml token', { kind: 'endpointToken', ...endpoint }],
    ['prod/fraud-aml key', { kind: 'endpointKey', ...endpoint }],
    [{ workspace: 'prod' }, { kind: 'workspaceToken', workspace: 'prod', audience: 'aml' }],
    [
      { workspace: 'prod', audience: 'arm' },
      { kind: 'workspaceToken', workspace: 'prod', audience: 'arm' },
    ],
    [{ endpointToken: 'prod/fraud-aml' }, { kind: 'endpointToken', ...endpoint }],
    [{ endpointKey: 'prod/Fraud-Aml' }, { kind: 'endpointKey', ...endpoint }],
  ])('%j is %j', (said, meant) => {
    expect(targetOf(said)).toEqual(meant);
  });

  it.each(['', 'prod key', 'prod aml key', 'prod/fraud-*', 'prod/a/b', 'prod/fraud-aml arm', 'a b c d'])(
    '%j is not understood, and not repeated',
    (said) => {
      expect(targetOf(said)).toEqual([expect.stringMatching(/^target: must be/)]);
    },
  );

  it.each([
    {},
    { workspace: 'prod', audience: 'graph' },
    { endpointToken: 'prod/*' },
    { endpointToken: 'p/e', x: 1 },
    7,
  ])('%j is not understood either', (said) => {
    expect(targetOf(said)).toEqual(expect.arrayContaining([expect.stringMatching(/^target/)]));
  });
});

describe('a caller', () => {
  it('is described in the words of a matcher', () => {
    expect(
      parseQuestion({ caller: { ...caller, oid: 'E0000000-0000-4000-8000-0000000000F1' }, target: 'prod' }),
    ).toEqual({
      ok: true,
      value: {
        caller: {
          described: { ...caller, oid: 'e0000000-0000-4000-8000-0000000000f1', roles: [], claims: {} },
        },
        target: { kind: 'workspaceToken', workspace: 'prod', audience: 'aml' },
      },
    });
  });

  it('is given by a token’s claims where there is an iss', () => {
    const claims = { iss: 'https://issuer.example', sub: 's', email: 'x' };
    expect(parseQuestion({ caller: claims, target: 'prod' })).toMatchObject({
      ok: true,
      value: { caller: { claims } },
    });
  });

  it.each([
    [{}, ['caller.issuer', 'caller.class']],
    [{ ...caller, email: 'made-up@example.com' }, ['caller: has a member']],
    [{ ...caller, oid: 'made-up' }, ['caller.oid']],
    ['made-up', ['caller']],
  ])('%j is refused, and not repeated', (said, starts) => {
    const problems = problemsOf({ caller: said, target: 'prod' });
    expect(problems).toEqual(starts.map((start) => expect.stringMatching(new RegExp(`^${start}`))));
    expect(problems.join()).not.toContain('made-up');
  });

  it('and the target are told together', () => {
    expect(problemsOf({ caller: {}, target: '' })).toHaveLength(3);
  });
});
