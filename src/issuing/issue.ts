import { createHash } from 'node:crypto';
import type { WriteAudit } from '../audit/record.ts';
import type { Caller } from '../callers/caller.ts';
import { type Clock, secondsBetween } from '../clock.ts';
import { BrokerError, toBrokerError } from '../errors.ts';
import type { Grants, Permit } from '../grants/compile.ts';
import { nameTarget, type Target } from '../grants/target.ts';
import { type Asked, type Refuse, recordOf } from './refuse.ts';

/** One request of a verified caller for one thing. */
export interface IssueRequest<T extends Target = Target> {
  caller: Caller;
  target: T;
  correlationId: string;
  /** The caller wants at least this many seconds of life; absent: any. */
  minRemainingSeconds: number | undefined;
}

/** What was obtained for a caller and may be released once it is on record. */
export interface Obtained<Answer> {
  /** The token or key itself; only its hash is recorded. */
  credential: string;
  /** Absent for keys, which have no life of their own. */
  expiresOn: Date | undefined;
  /** Given where an answer after this instant would break P4: then another one is obtained. */
  refreshBy?: Date;
  /** The identity that it came through. */
  identity: string;
  /** Given where another grant than the first one that matches allowed it: that one’s limits hold and go on record. */
  permit?: Permit;
  /** What the caller receives. */
  answer: Answer;
}

export interface IssueOptions {
  grants: Grants;
  policyHash: string;
  writeAudit: WriteAudit;
  refuse: Refuse;
  clock: Clock;
}

export type Issue = <T extends Target, Answer>(
  request: IssueRequest<T>,
  obtain: (target: T, permit: Permit) => Promise<Obtained<Answer>>,
) => Promise<Answer>;

/** The claims of a token that can be read, without any check; undefined for one that cannot. For the record only. */
function readTokenId(credential: string): string | undefined {
  const [, payload, signature] = credential.split('.');
  if (payload === undefined || signature === undefined) return undefined;
  try {
    const claims: unknown = JSON.parse(Buffer.from(payload, 'base64url').toString());
    const uti = typeof claims === 'object' && claims !== null && 'uti' in claims ? claims.uti : undefined;
    return typeof uti === 'string' ? uti : undefined;
  } catch {
    return undefined;
  }
}

/** P3 and P4 at the moment of handing out: alive, no longer than the grant says, no shorter than the caller wants. */
function checkLife(
  expiresOn: Date | undefined,
  permit: Permit,
  minRemainingSeconds: number | undefined,
  now: Date,
): void {
  if (expiresOn === undefined) return;
  const left = Math.floor(secondsBetween(now, expiresOn));
  if (left <= 0)
    throw new BrokerError('upstream_unavailable', { reason: 'expired_before_release', retryAfterSeconds: 5 });
  if (left > permit.maxLifetimeSeconds) {
    throw new BrokerError('lifetime_exceeds_grant', {
      detail: `The token has ${left} seconds left; the grant allows ${permit.maxLifetimeSeconds}. Ask the owner of the policy to raise maxLifetime, or to use an identity with shorter tokens.`,
    });
  }
  if (minRemainingSeconds !== undefined && left < minRemainingSeconds) {
    throw new BrokerError('insufficient_lifetime', {
      detail: `The token has ${left} seconds left; ${minRemainingSeconds} were asked for. Ask for a smaller minRemaining, or again after the next refresh.`,
      members: { secondsAvailable: left },
    });
  }
}

/** A record that takes so long that the token passes its refreshBy makes one more try worth while, not more. */
const TRIES = 2;

/** A decision against the caller, ours or Entra's about the user, as opposed to a failure: these are audited. */
const isRefusal = (error: BrokerError): boolean => [401, 403, 409].includes(error.status);

/**
 * The one way in which anything is issued: the grant is found, the credential obtained, its life checked, the audit
 * record accepted by a store, and only then the answer released (P1). A refusal of a verified caller is recorded too.
 *
 * @throws BrokerError with the code that the caller sees.
 */
export function createIssue({ grants, policyHash, writeAudit, refuse, clock }: IssueOptions): Issue {
  const recordIssue = (
    asked: Asked,
    { grant }: Permit,
    { credential, expiresOn, identity }: Obtained<unknown>,
  ): Promise<void> => {
    const tokenId = readTokenId(credential);
    return writeAudit({
      ...recordOf(asked, policyHash, clock()),
      decision: 'issued',
      grant,
      identity,
      tokenSha256: createHash('sha256').update(credential).digest('hex'),
      ...(tokenId === undefined ? {} : { tokenId }),
      ...(expiresOn === undefined ? {} : { expiresOn }),
    });
  };

  return async (request, obtain) => {
    const { caller, correlationId } = request;
    const asked = { caller, correlationId, target: nameTarget(request.target) };
    const decision = grants.decide(caller, request.target);
    if (!decision.allowed) return refuse(asked, new BrokerError(decision.code, { reason: decision.reason }));
    const { permit } = decision;
    let used = permit;
    try {
      for (let left = TRIES; left > 0; left--) {
        const obtained = await obtain(request.target, permit);
        used = obtained.permit ?? permit;
        checkLife(obtained.expiresOn, used, request.minRemainingSeconds, clock());
        await recordIssue(asked, used, obtained);
        // The record may have taken a while.
        checkLife(obtained.expiresOn, used, request.minRemainingSeconds, clock());
        if (obtained.refreshBy === undefined || clock() < obtained.refreshBy) return obtained.answer;
      }
      throw new BrokerError('audit_unavailable', { reason: 'record_took_too_long', retryAfterSeconds: 5 });
    } catch (thrown) {
      const error = toBrokerError(thrown);
      return isRefusal(error) ? refuse({ ...asked, grant: used.grant }, error) : Promise.reject(error);
    }
  };
}
