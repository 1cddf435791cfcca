import { describe, expect, it } from 'vitest';
import { matchesCaller } from '../../src/grants/match-caller.ts';
import { appId, callerWith, objectId, otherObjectId } from './callers.ts';

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
