import type { EntraCaller, WorkloadCaller } from '../../src/callers/caller.ts';

export const objectId = 'e0000000-0000-4000-8000-0000000000f1';
export const otherObjectId = 'e0000000-0000-4000-8000-0000000000f2';
export const appId = 'e0000000-0000-4000-8000-000000000001';

/** A verified app; tests change what matters to them. */
export function callerWith(changes: Partial<EntraCaller> = {}): EntraCaller {
  return {
    issuer: 'contoso',
    class: 'app',
    subject: 'subject-1',
    tenantId: '11111111-1111-4111-8111-111111111111',
    objectId,
    appId,
    roles: [],
    tokenId: undefined,
    claims: {},
    expiresOn: new Date('2026-03-01T13:00:00Z'),
    ...changes,
  };
}

/** A verified workload of an OIDC issuer, as GitHub Actions names it. */
export function workloadWith(changes: Partial<WorkloadCaller> = {}): WorkloadCaller {
  return {
    issuer: 'github',
    class: 'workload',
    subject: 'repo:contoso/fraud:ref:refs/heads/main',
    roles: [],
    tokenId: undefined,
    claims: { repository_owner_id: '1234', ref: 'refs/heads/main', run_attempt: 1 },
    expiresOn: new Date('2026-03-01T13:00:00Z'),
    ...changes,
  };
}
