import type { UserAssertion } from './user-assertion.ts';

interface AnyCaller {
  /** The issuer's name in the policy: subjects of two issuers are never the same caller. */
  issuer: string;
  /** The `sub` claim. */
  subject: string;
  /** App roles; empty when the token has none. */
  roles: readonly string[];
  /** The token's own id (`uti`, `jti`); for the audit. */
  tokenId: string | undefined;
  /** All claims, for matchers. */
  claims: Readonly<Record<string, unknown>>;
  /** The `exp` claim. */
  expiresOn: Date;
}

/** An application or a person of an Entra tenant. */
export interface EntraCaller extends AnyCaller {
  class: 'user' | 'app';
  /** The `tid` claim. */
  tenantId: string;
  /** The `oid` claim: the user's (a guest's too: the one in this tenant) or the service principal's object id. */
  objectId: string;
  /** The client application (`azp` in v2, `appid` in v1). For class user it is the program the person used. */
  appId: string;
  /** The user's own token, for `onBehalfOf`. */
  assertion?: UserAssertion;
}

/** A caller of any other OIDC issuer: a Kubernetes service account, a GitHub Actions job. */
export interface WorkloadCaller extends AnyCaller {
  class: 'workload';
  tenantId?: undefined;
  objectId?: undefined;
  appId?: undefined;
  assertion?: undefined;
}

/** Who asks: the verified issuer and subject of a presented token, with what grants may match on. */
export type Caller = EntraCaller | WorkloadCaller;
