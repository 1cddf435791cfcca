import { describe, expect, it } from 'vitest';
import { matchesCaller } from '../../src/grants/match-caller.ts';
import { appId, callerWith, objectId, otherObjectId, workloadWith } from './callers.ts';

const anyApp = { issuer: 'contoso', class: 'app' } as const;
const anyUser = { issuer: 'contoso', class: 'user' } as const;

describe('matchesCaller', () => {
  it.each([
    ['issuer and class alone', anyApp, {}],
    ['the object id', { ...anyApp, oid: objectId }, {}],
    ['the subject', { ...anyApp, subject: 'subject-1' }, {}],
    ['the client of an app', { ...anyApp, appId }, {}],
    ['one of the roles', { ...anyApp, roles: ['Train'] }, { roles: ['Score', 'Train'] }],
    ['all of the roles', { ...anyApp, roles: ['Train', 'Score'] }, { roles: ['Score', 'Train'] }],
    [
      'claims of every plain type',
      { ...anyApp, claims: { a: 'x', b: 7, c: true } },
      { claims: { a: 'x', b: 7, c: true } },
    ],
    [
      'everything at once',
      { ...anyApp, oid: objectId, subject: 'subject-1', appId, roles: ['Train'], claims: { a: 'x' } },
      { roles: ['Train'], claims: { a: 'x' } },
    ],
    ['a user', { ...anyUser, oid: objectId }, { class: 'user' as const }],
  ])('matches on %s', (_what, matcher, changes) => {
    expect(matchesCaller(matcher, callerWith(changes))).toBe(true);
  });

  it.each([
    ['another issuer', anyApp, { issuer: 'fabrikam' }],
    ['a user where an app is meant', anyApp, { class: 'user' as const }],
    ['an app where a user is meant', anyUser, {}],
    ['another object id', { ...anyApp, oid: otherObjectId }, {}],
    ['another subject', { ...anyApp, subject: 'subject-2' }, {}],
    ['the subject in other letters', { ...anyApp, subject: 'SUBJECT-1' }, {}],
    ['another client', { ...anyApp, appId: otherObjectId }, {}],
    ['the client’s id as object id', { ...anyApp, oid: appId }, {}],
    ['a role too few', { ...anyApp, roles: ['Train', 'Score'] }, { roles: ['Train'] }],
    ['no role at all', { ...anyApp, roles: ['Train'] }, {}],
    ['a role in other letters', { ...anyApp, roles: ['Train'] }, { roles: ['train'] }],
    ['a claim that is missing', { ...anyApp, claims: { a: 'x' } }, {}],
    ['a claim with another value', { ...anyApp, claims: { a: 'x' } }, { claims: { a: 'y' } }],
    ['a claim of another type', { ...anyApp, claims: { a: 7 } }, { claims: { a: '7' } }],
    ['a claim that is a list with the value', { ...anyApp, claims: { a: 'x' } }, { claims: { a: ['x'] } }],
    ['one of two claims', { ...anyApp, claims: { a: 'x', b: 'y' } }, { claims: { a: 'x' } }],
    ['a claim that every object inherits', { ...anyApp, claims: { constructor: 'x' } }, {}],
    ['all but the object id', { ...anyApp, oid: otherObjectId, subject: 'subject-1', appId }, {}],
  ])('P1: does not match with %s', (_what, matcher, changes) => {
    expect(matchesCaller(matcher, callerWith(changes))).toBe(false);
  });

  it('P1: never matches a user by appId, which names the program and not the person', () => {
    const user = callerWith({ class: 'user' });
    expect(matchesCaller({ ...anyUser, appId }, user)).toBe(false);
    expect(matchesCaller({ ...anyUser, appId, oid: objectId }, user)).toBe(false);
    expect(matchesCaller({ ...anyApp, appId }, user)).toBe(false);
    expect(matchesCaller({ ...anyApp, appId }, callerWith())).toBe(true);
  });
});

describe('matchesCaller, for workloads', () => {
  const anyJob = { issuer: 'github', class: 'workload' } as const;

  it.each([
    ['issuer and class alone', anyJob],
    ['the subject', { ...anyJob, subject: 'repo:contoso/fraud:ref:refs/heads/main' }],
    ['a pattern for the subject', { ...anyJob, subject: 'repo:contoso/*:ref:refs/heads/*' }],
    ['a pattern that stands for nothing', { ...anyJob, subject: '*repo:contoso/fraud:ref:refs/heads/main*' }],
    ['claims', { ...anyJob, claims: { repository_owner_id: '1234', ref: 'refs/heads/main', run_attempt: 1 } }],
    ['a pattern for a claim', { ...anyJob, claims: { ref: 'refs/heads/*' } }],
    ['any text of a claim', { ...anyJob, claims: { ref: '*' } }],
  ])('matches on %s', (_what, matcher) => {
    expect(matchesCaller(matcher, workloadWith())).toBe(true);
  });

  it.each([
    ['another issuer with the same subject', { ...anyJob, issuer: 'cluster' }, {}],
    ['a pattern that fits only a part, at the end', { ...anyJob, subject: 'repo:contoso/fraud:*:refs/heads/mai' }, {}],
    ['a pattern that fits only a part, at the start', { ...anyJob, subject: 'contoso/fraud:*' }, {}],
    ['a text that is a part', { ...anyJob, subject: 'repo:contoso/fraud' }, {}],
    ['a pattern in other letters', { ...anyJob, subject: 'REPO:contoso/*' }, {}],
    ['a dot for any character', { ...anyJob, claims: { ref: 'refs.heads.main' } }, {}],
    ['a question mark for any character', { ...anyJob, claims: { ref: 'refs/heads/mai?' } }, {}],
    ['an expression', { ...anyJob, claims: { ref: 'refs/heads/.*' } }, {}],
    ['a pattern for a number', { ...anyJob, claims: { run_attempt: '*' } }, {}],
    ['a pattern for a list', { ...anyJob, claims: { ref: 'refs/*' } }, { claims: { ref: ['refs/heads/main'] } }],
    ['a pattern for a claim that is missing', { ...anyJob, claims: { environment: '*' } }, {}],
    ['a pattern for what every object inherits', { ...anyJob, claims: { constructor: '*' } }, {}],
    ['a number as a text', { ...anyJob, claims: { repository_owner_id: 1234 } }, {}],
    [
      'a line break before the end',
      { ...anyJob, claims: { ref: 'refs/heads/main' } },
      { claims: { ref: 'refs/heads/main\n' } },
    ],
    ['an object id', { ...anyJob, oid: objectId }, {}],
    ['a client', { ...anyJob, appId }, {}],
    ['roles, also those in its claims', { ...anyJob, roles: ['Operator'] }, { claims: { roles: ['Operator'] } }],
    ['class app', { ...anyJob, class: 'app' as const }, {}],
    ['class user', { ...anyJob, class: 'user' as const }, {}],
  ])('P1: does not match with %s', (_what, matcher, changes) => {
    expect(matchesCaller(matcher, workloadWith(changes))).toBe(false);
  });

  it('P1: takes * for itself in an app’s subject and claims', () => {
    const anApp = { issuer: 'contoso', class: 'app' } as const;
    expect(matchesCaller({ ...anApp, subject: '*' }, callerWith())).toBe(false);
    expect(matchesCaller({ ...anApp, claims: { a: 'x*' } }, callerWith({ claims: { a: 'xy' } }))).toBe(false);
    expect(matchesCaller({ ...anApp, claims: { a: 'x*' } }, callerWith({ claims: { a: 'x*' } }))).toBe(true);
  });

  it('P1: a * spans line breaks, slashes and everything else alike', () => {
    const claims = { text: 'a\n/b\u2028c' };
    expect(matchesCaller({ ...anyJob, claims: { text: 'a*c' } }, workloadWith({ claims }))).toBe(true);
    expect(matchesCaller({ ...anyJob, claims: { text: 'a*b' } }, workloadWith({ claims }))).toBe(false);
  });
});
