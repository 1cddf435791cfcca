import { auditTableName, expiredTables, neededTables } from '../audit/months.ts';
import type { AuditRecord } from '../audit/record.ts';
import type { AuditStore } from '../audit/recorder.ts';
import { UpstreamError } from '../errors.ts';
import type { Tables } from './tables.ts';
import { callAzure } from './transport.ts';

export interface AuditStoreOptions {
  tables: Tables;
  /** Its name in the log. */
  name: string;
  /** Made at start, one for each process: writers never share a partition, so their rows never meet. */
  instanceId: string;
  newId: () => string;
}

const service = 'audit store';

const withoutAbsent = (properties: Readonly<Record<string, string | undefined>>) =>
  Object.fromEntries(Object.entries(properties).filter(([, value]) => value !== undefined));

/** Table properties are flat; absent ones are left out. */
function toEntity(record: AuditRecord, instanceId: string, id: string) {
  const { caller, ...rest } = record;
  return {
    // Hours keep partitions small and let a reader ask for a span of time.
    partitionKey: `${record.at.toISOString().slice(0, 13)}-${instanceId}`,
    rowKey: `${record.at.toISOString()}-${id}`,
    ...rest,
    ...(caller === undefined
      ? {}
      : withoutAbsent({
          callerIssuer: caller.issuer,
          callerClass: caller.class,
          callerTenantId: caller.tenantId,
          callerObjectId: caller.objectId,
          callerAppId: caller.appId,
          callerSubject: caller.subject,
          callerTokenId: caller.tokenId,
        })),
  };
}

/** Audit rows in Table Storage: inserts only, one table a month. A batch of one partition is one transaction. */
export function createAuditStore({ tables, name, instanceId, newId }: AuditStoreOptions): AuditStore {
  return {
    name,
    async append(records) {
      const groups = Map.groupBy(records, ({ at }) => `${auditTableName(at)} ${at.toISOString().slice(0, 13)}`);
      for (const group of groups.values()) {
        const [first] = group;
        if (first === undefined) continue;
        const table = tables.table(auditTableName(first.at));
        const entities = group.map((record) => toEntity(record, instanceId, newId()));
        const [only, ...others] = entities;
        await callAzure(service, async () => {
          if (only !== undefined && others.length === 0) await table.createEntity(only);
          else {
            // The SDK takes any 2xx for success: each row must have been accepted by name.
            const { status, subResponses } = await table.submitTransaction(
              entities.map((entity) => ['create', entity]),
            );
            const accepted = subResponses.filter((one) => one.status === 201 || one.status === 204).length;
            if (accepted !== entities.length)
              throw new UpstreamError({ service, kind: 'unexpected', status, upstreamCode: 'batch_not_accepted' });
          }
        });
      }
    },
  };
}

/**
 * Makes the tables of this month and the next in every account, and drops those past the retention: work for the role
 * that may do more than insert. An account that fails does not keep the others from being looked after.
 *
 * @throws the first failure, after all accounts were tried
 */
export async function keepAuditTables(accounts: readonly Tables[], now: Date, retentionMonths: number): Promise<void> {
  const outcomes = await Promise.allSettled(accounts.map((tables) => keepAccount(tables, now, retentionMonths)));
  for (const outcome of outcomes) {
    if (outcome.status === 'rejected') throw outcome.reason;
  }
}

async function keepAccount(tables: Tables, now: Date, retentionMonths: number): Promise<void> {
  for (const name of neededTables(now)) await tables.ensure(name);
  for (const name of expiredTables(await tables.list('audit'), now, retentionMonths)) await tables.drop(name);
}
