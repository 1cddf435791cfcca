import { UserAssertion } from './user-assertion.ts';
import type { VerifyCaller } from './verify.ts';

/**
 * Makes a verifier whose callers of class user bring their own token along. It is added for this one request: what the
 * verifier remembers has no token in it.
 */
export function withUserAssertion(verify: VerifyCaller): VerifyCaller {
  return async (token) => {
    const caller = await verify(token);
    return caller.class === 'user' ? { ...caller, assertion: new UserAssertion(token) } : caller;
  };
}
