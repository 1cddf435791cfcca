import type { AuditRecord } from '../../src/audit/record.ts';
import type { EntraCaller } from '../../src/callers/caller.ts';
import { addSeconds } from '../../src/clock.ts';
import { type PolicyDocument, policySchema, type Workspace } from '../../src/config/policy-schema.ts';
import { UpstreamError, type UpstreamErrorOptions, type UpstreamKind } from '../../src/errors.ts';
import type { FetchedWorkspace } from '../../src/freshness/fetched-workspaces.ts';
import { type Endpoint, type EndpointToken, endpointId } from '../../src/freshness/ports.ts';

export const tenantId = '11111111-1111-4111-8111-111111111111';
export const callerObjectId = 'e0000000-0000-4000-8000-0000000000f1';
export const callerAppId = 'e0000000-0000-4000-8000-000000000001';

const start = new Date('2026-11-22T10:00:00.000Z');

export function aCaller(overrides: Partial<EntraCaller> = {}): EntraCaller {
  return {
    issuer: 'contoso',
    class: 'app',
    subject: callerObjectId,
    tenantId,
    objectId: callerObjectId,
    appId: callerAppId,
    roles: [],
    tokenId: 'callers-own-uti',
    claims: {},
    expiresOn: addSeconds(start, 3600),
    ...overrides,
  };
}

export function aWorkspace(overrides: Partial<Workspace> = {}): Workspace {
  return {
    subscription_id: '00000000-0000-4000-8000-00000000000a',
    resource_group: 'ml-platform',
    workspace_name: 'ml-prod',
    fetch: 'reader',
    ...overrides,
  };
}

/** The workspace `prod` of the policy, read by the identity `reader`; any other name gets a workspace of its own. */
export function aFetchedWorkspace(name = 'prod', identity = 'reader'): FetchedWorkspace {
  return { name, workspace: aWorkspace({ workspace_name: `ml-${name}`, fetch: identity }), identity };
}

/** An endpoint in aml_token mode, unless told otherwise. */
export function anEndpoint(overrides: Partial<Endpoint> = {}, from: FetchedWorkspace = aFetchedWorkspace()): Endpoint {
  const name = overrides.name ?? 'fraud-aml';
  return {
    id: endpointId(from.workspace, name),
    name,
    kind: 'managed',
    authMode: 'aml_token',
    createdAt: '2026-01-01T00:00:00.000Z',
    scoringUri: `https://${name}.westeurope.inference.ml.azure.com/score`,
    ...overrides,
  };
}

/** A token that lives an hour from `obtainedAt` and is to be refreshed after half of it. */
export function anEndpointToken(overrides: Partial<EndpointToken> = {}): EndpointToken {
  const obtainedAt = overrides.obtainedAt ?? start;
  return {
    accessToken: 'opaque-endpoint-token',
    obtainedAt,
    refreshBy: addSeconds(obtainedAt, 1800),
    expiresOn: addSeconds(obtainedAt, 3600),
    ...overrides,
  };
}

/** Compact JWS with these claims and a signature that nobody checks. */
export function aJwt(claims: object): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  return `${part({ alg: 'RS256', typ: 'JWT' })}.${part(claims)}.c2lnbmF0dXJl`;
}

export function upstream(kind: UpstreamKind, more: Partial<UpstreamErrorOptions> = {}): UpstreamError {
  return new UpstreamError({ kind, service: 'azure machine learning', ...more });
}

export function aRecord(overrides: Partial<AuditRecord> = {}): AuditRecord {
  return {
    at: start,
    correlationId: 'correlation',
    decision: 'issued',
    policyHash: 'hash-of-the-policy',
    ...overrides,
  };
}

/** The broker.yaml of the tests, as it is written; `grants` and `deny` are what differs. */
export function aPolicy(parts: { grants?: object; deny?: object[] } = {}): PolicyDocument {
  return policySchema.parse({
    issuers: { contoso: { entraTenant: tenantId, audience: ['api://broker'] } },
    identities: {
      reader: { use: 'fetch', managedIdentity: {} },
      trainer: { use: 'issue', managedIdentity: { clientId: 'c0000000-0000-4000-8000-000000000009' } },
    },
    workspaces: { prod: aWorkspace(), dev: aWorkspace({ workspace_name: 'ml-dev' }) },
    grants: parts.grants ?? {
      'checkout-uses-fraud': {
        caller: { issuer: 'contoso', class: 'app', oid: callerObjectId },
        allow: [
          { workspace: 'prod', audience: 'aml', identity: 'trainer' },
          { endpointToken: 'prod/fraud-*' },
          { endpointKey: 'prod/fraud-*' },
        ],
        maxLifetime: '25h',
      },
    },
    deny: parts.deny ?? [],
  });
}
