/** Who asks: the verified issuer and subject of a presented token, with what grants may match on. */
export interface Caller {
  /** The issuer's name in the policy. */
  issuer: string;
  class: 'user' | 'app';
  /** The `sub` claim. */
  subject: string;
  /** The `tid` claim. */
  tenantId: string;
  /** The `oid` claim: the user's or the service principal's object id. */
  objectId: string;
  /** The client application (`azp` in v2, `appid` in v1). For class user it is the program the person used. */
  appId: string;
  /** App roles; empty when the token has none. */
  roles: readonly string[];
  /** The `uti` claim, the token's own id; for the audit. */
  tokenId: string | undefined;
  /** All claims, for exact matchers. */
  claims: Readonly<Record<string, unknown>>;
  /** The `exp` claim. */
  expiresOn: Date;
}
