import type { Caller } from '../callers/caller.ts';
import type { DescribedCaller } from '../config/policy-schema.ts';

/** No description has an end; nothing here depends on it. */
const NEVER = new Date('9999-12-31T23:59:59.000Z');

/** What matches nothing, where the description says nothing. */
const UNSAID = '';

/**
 * The caller whom a description names, as if its token had been verified. What a description leaves out fits no demand
 * of a matcher.
 */
export function toDescribedCaller({ class: kind, issuer, oid, appId, roles, ...said }: DescribedCaller): Caller {
  const subject = said.subject ?? (kind === 'app' ? oid : undefined) ?? UNSAID;
  const claims = {
    ...(subject === UNSAID ? {} : { sub: subject }),
    ...(oid === undefined ? {} : { oid }),
    ...(roles.length === 0 ? {} : { roles }),
    ...said.claims,
  };
  const common = { issuer, subject, roles, claims, tokenId: undefined, expiresOn: NEVER };
  if (kind === 'workload') return { class: kind, ...common };
  return { class: kind, ...common, tenantId: UNSAID, objectId: oid ?? UNSAID, appId: appId ?? UNSAID };
}
