import type { TimerHandler } from '@azure/functions';
import type { RefreshOutcome } from '../freshness/refresh.ts';
import { logOf } from '../http/handler.ts';

/** Timer `refreshEndpointTokens`: learns which endpoints exist and obtains the next token of each in time. */
export function refreshEndpointTokens(broker: () => Promise<{ refresh: () => Promise<RefreshOutcome> }>): TimerHandler {
  return async (_timer, context) => {
    const { refresh } = await broker();
    const { refreshed, failed } = await refresh();
    if (failed > 0) logOf(context).warn('refresh_round', { refreshed, failed });
    else if (refreshed > 0) logOf(context).info('refresh_round', { refreshed, failed });
  };
}
