import { describe, expect, it } from 'vitest';
import { createOperators } from '../../src/grants/operators.ts';
import { callerWith, objectId, otherObjectId } from './callers.ts';

const anApp = { issuer: 'contoso', class: 'app' } as const;
const refused = { allowed: false, code: 'operator_required', reason: 'no_operator_entry' };

describe('createOperators', () => {
  it('makes nobody an operator where the policy has no entry, whatever roles the token has', () => {
    const decide = createOperators({ operators: [], deny: [] });
    expect(decide(callerWith({ roles: ['Operator', 'Admin'], claims: { roles: ['Operator'] } }))).toEqual(refused);
  });

  it('makes nobody an operator by roles where the entries name others', () => {
    const decide = createOperators({ operators: [{ ...anApp, oid: otherObjectId }], deny: [] });
    expect(decide(callerWith({ roles: ['Operator'] }))).toEqual(refused);
  });

  it.each([
    ['a role too few', { roles: ['Reader'] }],
    ['another issuer with the same role', { issuer: 'fabrikam', roles: ['Operator'] }],
    ['a user with the same role', { class: 'user' as const, roles: ['Operator'] }],
  ])('refuses %s where an entry asks for the role of an app', (_what, changes) => {
    const decide = createOperators({ operators: [{ ...anApp, roles: ['Operator'] }], deny: [] });
    expect(decide(callerWith(changes))).toEqual(refused);
  });

  it('lets in whom any entry matches', () => {
    const decide = createOperators({
      operators: [
        { ...anApp, roles: ['Operator'] },
        { ...anApp, oid: objectId },
      ],
      deny: [],
    });
    expect(decide(callerWith({ roles: ['Operator'] }))).toEqual({ allowed: true });
    expect(decide(callerWith())).toEqual({ allowed: true });
    expect(decide(callerWith({ objectId: otherObjectId }))).toEqual(refused);
  });

  it('cuts off operators whom deny matches', () => {
    const decide = createOperators({ operators: [{ ...anApp }], deny: [{ ...anApp, oid: objectId }] });
    expect(decide(callerWith())).toEqual({ allowed: false, code: 'caller_denied', reason: 'denied' });
    expect(decide(callerWith({ objectId: otherObjectId }))).toEqual({ allowed: true });
  });
});
