import type { HttpHandler } from '@azure/functions';
import type { Health } from '../health.ts';
import { answering } from '../http/handler.ts';
import { toJsonAnswer } from '../http/problem.ts';

/** `GET /health/live`: the process answers. */
export function live(): HttpHandler {
  return answering(async () => toJsonAnswer({ status: 'ok' }));
}

/**
 * `GET /health/ready`: 200 while anything can be issued, a failing part reading `degraded`; 503 without published keys
 * or an audit store. A broken configuration is a 503 problem.
 */
export function ready(broker: () => Promise<{ health: Health }>): HttpHandler {
  return answering(async () => {
    const { ready: canIssue, parts } = await (await broker()).health.readiness();
    const whole = Object.values(parts).every((state) => state === 'ok');
    return toJsonAnswer(
      { status: canIssue ? (whole ? 'ok' : 'degraded') : 'unavailable', parts },
      canIssue ? 200 : 503,
    );
  });
}
