import { createRecorder } from '../audit/recorder.ts';
import { createKeyRing } from '../callers/published-keys.ts';
import { createRateLimit } from '../callers/rate-limit.ts';
import { buildFetchKeys } from './caller-keys.ts';
import type { Context } from './context.ts';
import { buildOwn } from './identities.ts';
import { buildRotator } from './rotator.ts';
import { buildStores } from './stores.ts';

/** What depends on settings alone and lives as long as the process, whatever the policy says. */
export function buildBase(context: Context) {
  const { settings, clock, log, report } = context;
  const own = buildOwn(context);
  const stores = buildStores(context, own);
  const keyRing = createKeyRing({
    fetchKeys: buildFetchKeys(context),
    ...{ clock, log },
    report: (state, source) => report('callerKeys', state, source),
  });
  return {
    own,
    stores,
    keyRing,
    countRequest: createRateLimit({ requestsPerMinute: settings.callerRequestsPerMinute, clock }),
    writeAudit: createRecorder(stores.recorder),
    rotatorRoundOf: buildRotator(context, own, stores),
  };
}
export type Base = ReturnType<typeof buildBase>;
