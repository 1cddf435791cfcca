import type { TimerHandler } from '@azure/functions';

/** Timer `rotateSecrets`: the rotator's round. Today it keeps the audit tables; secrets are not rotated yet. */
export function rotateSecrets(broker: () => Promise<{ keepAuditTables: () => Promise<void> }>): TimerHandler {
  return async () => {
    const { keepAuditTables } = await broker();
    await keepAuditTables();
  };
}
