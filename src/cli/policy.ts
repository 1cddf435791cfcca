import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { CliError } from './cli-error.ts';
import { checkPolicy, explainPolicy } from './policy-commands.ts';
import { failureInWords } from './words.ts';

/** `npm run policy`: the only file of this command that sees files and the terminal. It needs no settings and no network. */

const HELP = `Policies from a terminal, for authors of grants and their CI.

npm run policy -- check [FILE]
  Checks the policy as the broker would, then runs its own tests, which are listed under expect.
  Exit code: 0 when all is well, 1 when the policy has a problem or a test fails, 2 when the command is wrong.

npm run policy -- explain --caller JSON --target TARGET [FILE]
  Says which grant allows this caller this target, or why none does.
  Exit code: 0 allowed, 1 not allowed, 2 when the command or the policy is wrong.

  --caller   as under expect: '{"issuer":"contoso","class":"app","oid":"…"}', or all claims of a token (with its iss)
  --target   "prod aml", "prod arm", "prod/fraud-scorer token", "prod/fraud-scorer key", or JSON as under allow

FILE is broker.yaml here, where nothing else is said.`;

const seeHelp = 'npm run policy -- --help tells how it is used.';
const print = (line: string) => console.log(line);

function readArguments(words: readonly string[]) {
  try {
    return parseArgs({
      args: [...words],
      allowPositionals: true,
      options: {
        help: { type: 'boolean', short: 'h' },
        caller: { type: 'string' },
        target: { type: 'string' },
      },
    });
  } catch {
    throw new CliError(2, `One option is not known, or lacks its value. ${seeHelp}`);
  }
}

async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch {
    throw new CliError(2, `${file} cannot be read. Check the path; it counts from ${process.cwd()}.`);
  }
}

async function run(words: readonly string[]): Promise<0 | 1> {
  const { values, positionals } = readArguments(words);
  const [verb, file = 'broker.yaml', ...more] = positionals;
  if (values.help === true || words.length === 0) {
    print(HELP);
    return 0;
  }
  if (more.length > 0) throw new CliError(2, `Name one file. ${seeHelp}`);
  const { caller, target } = values;
  const name = path.normalize(file);
  if (verb === 'check') {
    if (caller !== undefined || target !== undefined) throw new CliError(2, `check takes no such option. ${seeHelp}`);
    return checkPolicy(await readText(file), name, print);
  }
  if (verb === 'explain') {
    if (caller === undefined || target === undefined) {
      throw new CliError(2, `Say --caller and --target. ${seeHelp}`);
    }
    return explainPolicy({ text: await readText(file), name, caller, target }, () => new Date(), print);
  }
  throw new CliError(2, `Say check or explain. ${seeHelp}`);
}

try {
  process.exitCode = await run(process.argv.slice(2));
} catch (error) {
  console.error(failureInWords(error));
  process.exitCode = error instanceof CliError ? error.exitCode : 1;
}
