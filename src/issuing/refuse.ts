import type { AuditRecord, WriteAudit } from '../audit/record.ts';
import type { Caller } from '../callers/caller.ts';
import type { Clock } from '../clock.ts';
import type { BrokerError } from '../errors.ts';
import { type Log, nameError } from '../log.ts';

/** What every record about a verified caller says. */
export interface Asked {
  caller: Caller;
  /** What was asked for, in words. */
  target: string;
  correlationId: string;
}

export type Refuse = (asked: Asked & { grant?: string }, error: BrokerError) => Promise<never>;

export interface RefuseOptions {
  policyHash: string;
  writeAudit: WriteAudit;
  clock: Clock;
  log: Log;
}

/** The part of an audit record that does not depend on the decision. */
export function recordOf(
  { caller, target, correlationId }: Asked,
  policyHash: string,
  at: Date,
): Omit<AuditRecord, 'decision'> {
  return {
    at,
    correlationId,
    caller: {
      issuer: caller.issuer,
      class: caller.class,
      tenantId: caller.tenantId,
      objectId: caller.objectId,
      appId: caller.appId,
      subject: caller.subject,
      tokenId: caller.tokenId,
    },
    target,
    policyHash,
  };
}

/** Records the refusal of a verified caller and throws it. Where no store takes the record it is logged, and the refusal still stands. */
export function createRefuse({ policyHash, writeAudit, clock, log }: RefuseOptions): Refuse {
  return async ({ grant, ...asked }, error) => {
    try {
      await writeAudit({
        ...recordOf(asked, policyHash, clock()),
        decision: 'refused',
        code: error.code,
        ...(error.reason === undefined ? {} : { reason: error.reason }),
        ...(grant === undefined ? {} : { grant }),
      });
    } catch (failure) {
      log.error('refusal_not_audited', { correlationId: asked.correlationId, error: nameError(failure) });
    }
    throw error;
  };
}
