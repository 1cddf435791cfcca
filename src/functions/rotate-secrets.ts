import type { TimerHandler } from '@azure/functions';

/** Timer `rotateSecrets`: one round over everything that the rotator keeps. */
export function rotateSecrets(broker: () => Promise<{ rotatorRound: () => Promise<void> }>): TimerHandler {
  return async () => {
    const { rotatorRound } = await broker();
    await rotatorRound();
  };
}
