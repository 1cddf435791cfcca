import { createFindIssuer, type FindIssuer } from '../callers/trusted-issuers.ts';
import type { Clock } from '../clock.ts';
import { clouds } from '../config/clouds.ts';
import { type Policy, parsePolicy } from '../config/policy.ts';
import { parseQuestion } from '../config/question.ts';
import { answerQuestion } from '../grants/answer-explain.ts';
import { checkExpectations } from '../grants/check-expectations.ts';
import { createExplain } from '../grants/explain.ts';
import { CliError } from './cli-error.ts';

type Print = (line: string) => void;

const count = (number: number, one: string): string => `${number} ${one}${number === 1 ? '' : 's'}`;

/**
 * Checks a policy as the broker would, then runs the tests that it brings along under `expect`.
 *
 * @param name how the person knows the file
 * @returns the exit code: 1 where there is a problem or a test fails
 */
export function checkPolicy(text: string, name: string, print: Print): 0 | 1 {
  const parsed = parsePolicy(text);
  if (!parsed.ok) {
    for (const problem of parsed.problems) print(`${name}: ${problem}`);
    print(`${count(parsed.problems.length, 'problem')}; the broker would refuse this policy.`);
    return 1;
  }
  const outcomes = checkExpectations(parsed.value);
  const failed = outcomes.filter(({ failure }) => failure !== undefined);
  for (const { index, question, failure } of failed) print(`${name}: expect.${index}: ${question}: ${failure}`);
  const grants = count(Object.keys(parsed.value.grants).length, 'grant');
  print(`${name}: ${grants}, ${count(outcomes.length, 'test')}, ${failed.length} failed.`);
  return failed.length === 0 ? 0 : 1;
}

function readPolicy(text: string, name: string): Policy {
  const parsed = parsePolicy(text);
  if (parsed.ok) return parsed.value;
  throw new CliError(2, parsed.problems.map((problem) => `${name}: ${problem}`).join('\n'));
}

/** A token's `iss` tells its cloud, so claims of every cloud are understood. */
function inAnyCloud({ issuers }: Policy): FindIssuer {
  const finders = Object.values(clouds).map((cloud) => createFindIssuer(issuers, cloud));
  return (payload) => {
    let refusal: unknown;
    for (const find of finders) {
      try {
        return find(payload);
      } catch (error) {
        refusal = error;
      }
    }
    throw refusal;
  };
}

/** A caller given as JSON. */
function fromJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new CliError(2, '--caller: must be JSON, such as \'{"issuer":"contoso","class":"app","oid":"…"}\'.');
  }
}

/** A target given as JSON or in words. */
const targetFrom = (text: string): unknown => (text.trimStart().startsWith('{') ? fromTargetJson(text) : text);

function fromTargetJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new CliError(2, '--target: must be words such as "prod/fraud-scorer key", or JSON as under allow.');
  }
}

/**
 * Says which grant of a policy allows a caller a target, or why none does.
 *
 * @returns the exit code: 1 where it is not allowed
 * @throws CliError exit code 2 where the policy is broken or the question is not understood
 */
export function explainPolicy(
  { text, name, caller, target }: { text: string; name: string; caller: string; target: string },
  clock: Clock,
  print: Print,
): 0 | 1 {
  const policy = readPolicy(text, name);
  const question = parseQuestion({ caller: fromJson(caller), target: targetFrom(target) });
  if (!question.ok) throw new CliError(2, question.problems.map((problem) => `--${problem}.`).join('\n'));
  const found = answerQuestion(question.value, createExplain(policy), inAnyCloud(policy), clock());
  if (found.allowed) {
    const through = found.identity === null ? '' : `, through the identity ${found.identity}`;
    print(`allowed: ${found.detail}`);
    print(`  for at most ${found.maxLifetimeSeconds} s${through}`);
    return 0;
  }
  print(`denied (${found.code}, ${found.reason}): ${found.detail}`);
  for (const { grant, verdict } of found.grants) print(`  ${grant}: ${verdict}`);
  return 1;
}
