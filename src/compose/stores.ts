import { randomUUID } from 'node:crypto';
import type { RecorderOptions } from '../audit/recorder.ts';
import type { Clock } from '../clock.ts';
import type { Context } from './context.ts';
import type { Own } from './identities.ts';

/** Where state lives: sealed tokens, the key that seals them, records of rotations, and audit rows. */
export function buildStores({ azure, settings, clock, log, report }: Context, { credential, readSecret }: Own) {
  const keys = azure.createSealingKeys({
    readSecret,
    name: settings.tokenCacheKey,
    clock,
    log,
    report: (ok) => report('tokenCacheKey', ok ? 'ok' : 'down'),
  });
  const tables = azure.createTables('token store', settings.tokenStoreUrl, credential);
  const tokenStore = azure.createTokenStore({
    tables,
    keys,
    clock,
    report: (ok) => report('tokenStore', ok ? 'ok' : 'down'),
  });
  const auditTables = settings.auditStoreUrls.map((url) => azure.createTables('audit store', url, credential));
  const instanceId = randomUUID();
  const stores = auditTables.map((tables, index) =>
    azure.createAuditStore({ tables, name: `audit ${index + 1}`, instanceId, newId: randomUUID }),
  );
  const recorder: RecorderOptions = {
    stores,
    log,
    report: (ok, store) => report('auditStore', ok ? 'ok' : 'down', store),
  };
  const keepAuditTables = hourly(clock, () =>
    azure.keepAuditTables(auditTables, clock(), settings.auditRetentionMonths),
  );
  const records = { secrets: azure.createRecords(tables), endpointKeys: azure.createKeyRecords(tables) };
  return { keys, tokenStore, records, recorder, keepAuditTables, instanceId };
}
export type Stores = ReturnType<typeof buildStores>;

/** Does the work once in each hour of the clock; what failed is due again. */
export function hourly(clock: Clock, work: () => Promise<unknown>): () => Promise<void> {
  let doneIn: string | undefined;
  return async () => {
    const hour = clock().toISOString().slice(0, 13);
    if (doneIn === hour) return;
    await work();
    doneIn = hour;
  };
}
