import type { PolicyDocument } from '../config/policy-schema.ts';
import { toDescribedCaller } from './described-caller.ts';
import { createExplain, type Explanation } from './explain.ts';
import { nameTarget } from './target.ts';

/** How one test of the policy ended. */
export interface Outcome {
  /** Its place under `expect`. */
  index: number;
  /** What was asked, in words. */
  question: string;
  /** Why it failed; undefined where it holds. */
  failure: string | undefined;
}

function failureOf(found: Explanation, { allow, deny }: PolicyDocument['expect'][number]): string | undefined {
  if (deny !== undefined) {
    if (found.allowed) return `must be denied, and the grant ${found.grant} allows it`;
    return deny === true || deny === found.reason ? undefined : `must be denied as ${deny}, and is as ${found.reason}`;
  }
  if (!found.allowed) return `must be allowed${allow === true ? '' : ` by ${allow}`}. ${found.detail}`;
  return allow === true || allow === found.grant ? undefined : `must be allowed by ${allow}, and is by ${found.grant}`;
}

/** Runs the tests that a policy brings along, under `expect`. */
export function checkExpectations(policy: Pick<PolicyDocument, 'grants' | 'deny' | 'expect'>): Outcome[] {
  const explain = createExplain(policy);
  return policy.expect.map((expected, index) => {
    const { issuer, class: kind, oid, subject, appId } = expected.caller;
    const who = [issuer, kind, oid ?? subject ?? appId].filter((part) => part !== undefined).join(' ');
    const found = explain(toDescribedCaller(expected.caller), expected.target);
    return { index, question: `${who}: ${nameTarget(expected.target)}`, failure: failureOf(found, expected) };
  });
}
