import type { Caller } from '../callers/caller.ts';
import type { Matcher } from '../config/policy-schema.ts';
import { compileExactPattern } from './pattern.ts';

/** A demanded text and the one that a token has; only for workloads does `*` stand for any characters. */
function matchesText(demanded: string, actual: string, callerClass: Caller['class']): boolean {
  const isPattern = callerClass === 'workload' && demanded.includes('*');
  return isPattern ? compileExactPattern(demanded)(actual) : demanded === actual;
}

/** True when the caller fits everything that the matcher says; what it does not mention does not matter. */
export function matchesCaller(matcher: Matcher, caller: Caller): boolean {
  if (matcher.issuer !== caller.issuer || matcher.class !== caller.class) return false;
  if (matcher.oid !== undefined && matcher.oid !== caller.objectId) return false;
  if (matcher.subject !== undefined && !matchesText(matcher.subject, caller.subject, caller.class)) return false;
  // A user's token names the program in appid/azp: anyone can sign in with a public client, so it proves nothing.
  if (matcher.appId !== undefined && (caller.class !== 'app' || matcher.appId !== caller.appId)) return false;
  if (matcher.roles?.some((role) => !caller.roles.includes(role))) return false;
  return Object.entries(matcher.claims ?? {}).every(([name, demanded]) => {
    const actual = Object.hasOwn(caller.claims, name) ? caller.claims[name] : undefined;
    const bothTexts = typeof demanded === 'string' && typeof actual === 'string';
    return bothTexts ? matchesText(demanded, actual, caller.class) : demanded === actual;
  });
}
