import { withRateLimit } from '../callers/rate-limit.ts';
import { withRefusalsRemembered } from '../callers/refused-tokens.ts';
import { createVerifier, type VerifyCaller } from '../callers/verify.ts';
import { withUserAssertion } from '../callers/with-user-assertion.ts';
import type { Policy } from '../config/policy.ts';
import type { Base } from './base.ts';
import type { Context } from './context.ts';

/** The check of caller tokens under one policy: what it remembers of tokens is forgotten with the policy. */
export function buildVerifier(
  { settings, clock }: Context,
  { keyRing, countRequest }: Base,
  policy: Policy,
): VerifyCaller {
  const { issuerV1, issuerV2 } = settings.cloud;
  const verify = createVerifier({ issuers: policy.issuers, issuerV1, issuerV2, keyRing, clock });
  return withUserAssertion(withRateLimit(withRefusalsRemembered(verify, clock), countRequest));
}
