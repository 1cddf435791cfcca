import * as z from 'zod';
import type { AnswerExplain } from '../grants/answer-explain.ts';
import { type CallerGate, forCallers } from '../http/handler.ts';
import { toJsonAnswer } from '../http/problem.ts';
import { readJsonBody } from '../http/request.ts';

export const explainBody = z.strictObject({
  caller: z.record(z.string(), z.unknown(), 'must describe a caller, or be the claims of its token'),
  target: z.union([z.string(), z.record(z.string(), z.unknown())], 'must be a target, as under allow or in words'),
});

/** `POST /explain` */
export function explain(broker: () => Promise<CallerGate & { explain: AnswerExplain }>) {
  return forCallers(broker, async ({ broker: ready, caller, request, correlationId }) => {
    const question = await readJsonBody(request, explainBody);
    return toJsonAnswer(await ready.explain({ caller, correlationId, question }));
  });
}
