import * as z from 'zod';
import { type DescribedCaller, type DescribedTarget, describedCaller, describedTarget } from './question-schema.ts';
import type { Parsed } from './settings.ts';

/** A question about grants. A caller is described in the policy's words, or by the claims of a token. */
export interface Question {
  caller: { described: DescribedCaller } | { claims: Record<string, unknown> };
  target: DescribedTarget;
}

/** Only a token has an `iss`. */
const tokenClaims = z.looseObject({ iss: z.string() });

const inWords = (member: string, issues: readonly z.core.$ZodIssue[]): string[] =>
  issues.flatMap((issue) =>
    issue.code === 'unrecognized_keys'
      ? [`${member}: has a member that is not known here`]
      : [`${[member, ...issue.path].map(String).join('.')}: ${issue.message}`],
  );

/** Reads a question; all problems come back together and repeat nothing of it. */
export function parseQuestion(asked: { caller: unknown; target: unknown }): Parsed<Question> {
  const claims = tokenClaims.safeParse(asked.caller);
  const caller = describedCaller.safeParse(asked.caller);
  const target = describedTarget.safeParse(asked.target);
  if (target.success && claims.success)
    return { ok: true, value: { caller: { claims: claims.data }, target: target.data } };
  if (target.success && caller.success) {
    return { ok: true, value: { caller: { described: caller.data }, target: target.data } };
  }
  const callerIssues = claims.success ? [] : (caller.error?.issues ?? []);
  return {
    ok: false,
    problems: [...inWords('caller', callerIssues), ...inWords('target', target.error?.issues ?? [])],
  };
}
