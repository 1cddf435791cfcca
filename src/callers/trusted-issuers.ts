import type { EntraIssuer, Issuer, OidcIssuer } from '../config/policy-schema.ts';
import { refuseToken } from './bearer.ts';
import type { Caller } from './caller.ts';
import type { Payload } from './claims.ts';
import { readEntraCaller } from './entra-caller.ts';
import type { KeySource } from './published-keys.ts';
import { entraHeader, readKeyId, workloadAlgorithms, workloadHeader } from './token-parts.ts';
import { readWorkloadCaller } from './workload-caller.ts';

/** What is to be known of an issuer to verify a token of it. */
export interface TrustedIssuer {
  keySource: KeySource;
  /** Signature algorithms that a token may name. */
  algorithms: readonly string[];
  /** The key that the header names. @throws BrokerError `invalid_token` for a header that such an issuer does not send */
  readKeyId(header: Payload): string;
  /** The caller whom signed claims name. @throws BrokerError `invalid_token` */
  readCaller(payload: Payload, now: Date): Caller;
}

/** The `iss` of a tenant's v1 and v2 tokens. */
export interface TenantIssuers {
  issuerV1: (tenantId: string) => string;
  issuerV2: (tenantId: string) => string;
}

function* trustTenant(
  name: string,
  { entraTenant: tenantId, audience }: EntraIssuer,
  { issuerV1, issuerV2 }: TenantIssuers,
): Generator<[iss: string, TrustedIssuer]> {
  for (const [version, iss] of [['1.0', issuerV1(tenantId)] as const, ['2.0', issuerV2(tenantId)] as const]) {
    const trusted = { name, tenantId, audience, version };
    yield [
      iss,
      {
        keySource: { entraTenant: tenantId },
        algorithms: ['RS256'],
        readKeyId: (header) => readKeyId(entraHeader, header),
        readCaller: (payload, now) => readEntraCaller(payload, trusted, now),
      },
    ];
  }
}

function trustOidcIssuer(name: string, { issuer, audience, jwksUri }: OidcIssuer): TrustedIssuer {
  return {
    keySource: { issuer, jwksUri },
    algorithms: workloadAlgorithms,
    readKeyId: (header) => readKeyId(workloadHeader, header),
    readCaller: (payload, now) => readWorkloadCaller(payload, { name, audience }, now),
  };
}

/** Finds the issuer that a token's unverified `iss` names exactly. @throws BrokerError `invalid_token` where none is trusted */
export type FindIssuer = (payload: Payload) => TrustedIssuer;

export function createFindIssuer(issuers: Readonly<Record<string, Issuer>>, tenants: TenantIssuers): FindIssuer {
  const byIss = new Map<string, TrustedIssuer>();
  for (const [name, issuer] of Object.entries(issuers)) {
    if ('issuer' in issuer) byIss.set(issuer.issuer, trustOidcIssuer(name, issuer));
    else for (const [iss, trusted] of trustTenant(name, issuer, tenants)) byIss.set(iss, trusted);
  }
  return ({ iss }) => {
    const trusted = typeof iss === 'string' ? byIss.get(iss) : undefined;
    if (trusted === undefined) throw refuseToken('issuer');
    return trusted;
  };
}

/** Where the keys of every trusted issuer are published. */
export function keySourcesOf(issuers: Readonly<Record<string, Issuer>>): KeySource[] {
  return Object.values(issuers).map((issuer) =>
    'issuer' in issuer ? { issuer: issuer.issuer, jwksUri: issuer.jwksUri } : { entraTenant: issuer.entraTenant },
  );
}
