import type { Caller } from '../callers/caller.ts';
import type { FindIssuer } from '../callers/trusted-issuers.ts';
import { addSeconds, type Clock } from '../clock.ts';
import type { DescribedCaller } from '../config/policy-schema.ts';
import { BrokerError } from '../errors.ts';
import type { Refuse } from '../issuing/refuse.ts';
import { toDescribedCaller } from './described-caller.ts';
import type { Explain, Explanation } from './explain.ts';
import type { DecideOperator } from './operators.ts';
import type { Target } from './target.ts';

/** A question, read: the caller described in the policy's words or by a token's claims. */
interface Read {
  caller: { described: DescribedCaller } | { claims: Record<string, unknown> };
  target: Target;
}

/** Reads a question as it was sent; src/config has the shapes. */
export type ReadQuestion = (asked: {
  caller: unknown;
  target: unknown;
}) => { ok: true; value: Read } | { ok: false; problems: readonly string[] };

/** What a policy says; `invalid_token`: the broker would refuse a token with such claims, whoever signed it. */
export type Answered =
  | Explanation
  | { allowed: false; code: 'invalid_token'; reason: string; detail: string; grants: [] };

/**
 * The caller whom claims name, by the checks that a token's claims go through. Only its times are not looked at: the
 * author of a policy has tokens of yesterday at hand.
 *
 * @throws BrokerError `invalid_token`
 */
function fromClaims(claims: Record<string, unknown>, findIssuer: FindIssuer, now: Date): Caller {
  const seconds = Math.floor(now.getTime() / 1000);
  const exp = Math.floor(addSeconds(now, 3600).getTime() / 1000);
  const timely = { ...claims, iat: seconds, nbf: seconds, exp };
  const caller = findIssuer(timely).readCaller(timely, now);
  return { ...caller, claims };
}

/** Answers a question that was read. Pure. */
export function answerQuestion(
  { caller, target }: Read,
  explain: Explain,
  findIssuer: FindIssuer,
  now: Date,
): Answered {
  if ('described' in caller) return explain(toDescribedCaller(caller.described), target);
  try {
    return explain(fromClaims(caller.claims, findIssuer, now), target);
  } catch (error) {
    if (!(error instanceof BrokerError) || error.code !== 'invalid_token') throw error;
    const reason = error.reason ?? 'refused';
    const detail = `A token with these claims is refused before any grant is looked at: ${reason}.`;
    return { allowed: false, code: 'invalid_token', reason, detail, grants: [] };
  }
}

export interface AnswerExplainOptions {
  decideOperator: DecideOperator;
  refuse: Refuse;
  readQuestion: ReadQuestion;
  explain: Explain;
  findIssuer: FindIssuer;
  clock: Clock;
}

export type AnswerExplain = (call: {
  caller: Caller;
  correlationId: string;
  question: { caller: unknown; target: unknown };
}) => Promise<Answered>;

/**
 * `POST /explain`, for operators: what the policy in force says of a caller and a target. Issues nothing.
 *
 * @throws BrokerError `operator_required`, `caller_denied` (both on record), `invalid_request`
 */
export function createAnswerExplain(options: AnswerExplainOptions): AnswerExplain {
  const { decideOperator, refuse, readQuestion, explain, findIssuer, clock } = options;
  return async ({ caller, correlationId, question }) => {
    const decision = decideOperator(caller);
    if (!decision.allowed) {
      const asked = { caller, correlationId, target: 'explain' };
      return refuse(asked, new BrokerError(decision.code, { reason: decision.reason }));
    }
    const read = readQuestion(question);
    if (!read.ok) {
      throw new BrokerError('invalid_request', { detail: `${read.problems.join('; ')}.`, reason: 'question' });
    }
    return answerQuestion(read.value, explain, findIssuer, clock());
  };
}
