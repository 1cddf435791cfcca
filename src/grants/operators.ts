import type { Caller } from '../callers/caller.ts';
import type { PolicyDocument } from '../config/policy-schema.ts';
import { matchesCaller } from './match-caller.ts';

export type OperatorDecision =
  | { allowed: true }
  | { allowed: false; code: 'operator_required' | 'caller_denied'; reason: string };

/** Whether a caller may use the operators' routes. */
export type DecideOperator = (caller: Caller) => OperatorDecision;

/**
 * Operators are the callers whom an entry under `operators` matches: a `roles` claim makes nobody an operator where no
 * entry asks for it. `deny` cuts operators off like everybody else.
 */
export function createOperators({ operators, deny }: Pick<PolicyDocument, 'operators' | 'deny'>): DecideOperator {
  return (caller) => {
    if (deny.some((matcher) => matchesCaller(matcher, caller))) {
      return { allowed: false, code: 'caller_denied', reason: 'denied' };
    }
    return operators.some((matcher) => matchesCaller(matcher, caller))
      ? { allowed: true }
      : { allowed: false, code: 'operator_required', reason: 'no_operator_entry' };
  };
}
