import type { FoundApplication } from '../azure/graph.ts';
import type { Password } from '../rotation/facts.ts';
import { CliError } from './cli-error.ts';
import { instantText, quoted } from './words.ts';

/** Asks the person at the terminal one question; undefined where nobody can be asked. */
export type Ask = ((question: string) => Promise<string>) | undefined;

/** Graph goes on showing the first characters of each password's text (Graph reference: passwordCredential, `hint`). */
const HINT_CHARACTERS = 3;

/** The passwords that can be this secret: those that begin alike, and those of which Graph shows no beginning. */
export function findCandidates({ application, hints }: FoundApplication, secretText: string): Password[] {
  const beginning = secretText.slice(0, HINT_CHARACTERS);
  return application.passwords.filter(({ keyId }) => (hints.get(keyId) ?? beginning) === beginning);
}

const lineOf = ({ keyId, displayName, startsOn, endsOn }: Password): string =>
  `${keyId} ${quoted(displayName)}, from ${instantText(startsOn)} to ${instantText(endsOn)}`;

/**
 * Which of the application's passwords the secret is.
 *
 * @param keyId the person's answer, given beforehand
 * @throws CliError where none fits, or where several do and nobody can be asked
 */
export async function choosePassword(
  found: FoundApplication,
  secretText: string,
  keyId: string | undefined,
  ask: Ask,
): Promise<Password> {
  const candidates = findCandidates(found, secretText);
  const [only, second] = candidates;
  if (only === undefined) {
    throw new CliError(
      1,
      `Graph lists no password of the application ${found.objectId} that begins like this secret. A new one is listed after some minutes: try again. A password of the service principal (not of the application) cannot be rotated: make one with az ad app credential reset --id ${found.objectId} --append, and import that.`,
    );
  }
  const list = candidates.map((password, index) => `  ${index + 1}. ${lineOf(password)}`).join('\n');
  if (keyId !== undefined) {
    const named = candidates.find((password) => password.keyId === keyId);
    if (named !== undefined) return named;
    throw new CliError(1, `--key-id names none of the passwords that begin like this secret:\n${list}`);
  }
  if (second === undefined) return only;
  const several = `Several passwords of the application begin like this secret:\n${list}`;
  if (ask === undefined) {
    throw new CliError(1, `${several}\nFind out which one it is, and run the import again with --key-id and its id.`);
  }
  const answer = (await ask(`${several}\nWhich one is it? Its number: `)).trim();
  const chosen = /^\d{1,4}$/.test(answer) ? candidates[Number(answer) - 1] : undefined;
  if (chosen !== undefined) return chosen;
  throw new CliError(1, 'No password was chosen, and nothing was done. Run the import again.');
}
