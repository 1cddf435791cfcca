/** One row of the audit: who asked for what, what was decided, and which token left or run began. Holds no secret. */
export interface AuditRecord {
  at: Date;
  correlationId: string;
  /**
   * `requested`: an operator asked for a rotation; `checked`: an instance found that it can write, and says which policy
   * it has in force.
   */
  decision: 'issued' | 'refused' | 'requested' | 'checked';
  /** The error code of a refusal. */
  code?: string;
  /** Why, in one word, where the code does not say it; of a request, the operator's reason. */
  reason?: string;
  /** The caller: policy name of the issuer, class, and the ids that its token has. Absent where nobody asked. */
  caller?: {
    issuer: string;
    class: string;
    tenantId?: string | undefined;
    objectId?: string | undefined;
    appId?: string | undefined;
    subject: string;
    tokenId: string | undefined;
  };
  /** What was asked for, for example `prod/fraud-scorer token`. */
  target?: string;
  grant?: string;
  identity?: string;
  /** SHA-256 of the token or key that was handed out, hex. */
  tokenSha256?: string;
  /** The `uti` of the token that was handed out, where it can be read. */
  tokenId?: string;
  expiresOn?: Date;
  /** The run that an operator's request began, or that the same key had begun before. */
  run?: string;
  /** SHA-256 of the policy that was in force, hex. */
  policyHash: string;
}

/** Where audit records go. Resolves only when a store has accepted the record; otherwise nothing may be handed out. */
export type WriteAudit = (record: AuditRecord) => Promise<void>;
