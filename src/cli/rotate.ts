import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { createInterface } from 'node:readline/promises';
import { setTimeout as delay } from 'node:timers/promises';
import tls from 'node:tls';
import { type Command, HELP, parseArguments, type Source } from './arguments.ts';
import { checkCloud } from './check-cloud.ts';
import { CliError } from './cli-error.ts';
import { importSecret } from './import-secret.ts';
import { showPlan } from './plan-command.ts';
import { admitRotation, policyLines } from './policy-entry.ts';
import { fromFile, fromVariables, type ImportedSecret } from './read-secret.ts';
import { parseSettingsFile } from './settings-file.ts';
import { createSetup, readConfig } from './setup.ts';
import { failureInWords, instantText } from './words.ts';

/** `npm run rotate`: the only file of the terminal's that sees the environment, the files and the terminal itself. */

const appFolder = path.resolve(import.meta.dirname, '../..');
const clock = () => new Date();
const print = (line: string) => console.log(line);

async function read(file: string, what: string): Promise<Buffer> {
  try {
    return await readFile(file);
  } catch {
    // The word is not repeated: it may have been a secret, typed in the wrong place.
    throw new CliError(2, `${what} cannot be read. Check the path; it counts from ${process.cwd()}.`);
  }
}

/** Settings that the environment lacks, for this process and the SDKs in it: as the Functions host does. */
async function applySettingsFile(named: string | undefined): Promise<void> {
  const usual = path.join(appFolder, 'local.settings.json');
  if (named === undefined && !existsSync(usual)) return;
  const text = await read(named ?? usual, 'The file of --settings');
  const values = parseSettingsFile(text.toString('utf8'), named === undefined ? usual : 'The file of --settings');
  const trusted = process.env.NODE_EXTRA_CA_CERTS ? undefined : values.NODE_EXTRA_CA_CERTS;
  for (const [name, value] of Object.entries(values)) process.env[name] ||= value;
  if (!trusted) return;
  // Node reads this variable before any file can set it.
  const certificates = await read(path.resolve(appFolder, trusted), 'The file of NODE_EXTRA_CA_CERTS');
  tls.setDefaultCACertificates([...tls.getCACertificates('default'), certificates.toString('utf8')]);
}

async function readSecret(source: Source, environment: NodeJS.ProcessEnv): Promise<ImportedSecret> {
  if (source.kind === 'file') return fromFile(await read(source.path, 'The file to import'), source.form);
  const found = fromVariables(environment, 'The environment');
  if (found !== undefined) return found;
  if (existsSync('.env')) return fromFile(await read('.env', 'The file .env'), 'env');
  throw new CliError(
    2,
    'The environment holds no secret of a service principal: set AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET (or the AML_… ones), or name a file.',
  );
}

async function ask(question: string): Promise<string> {
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return await terminal.question(question);
  } finally {
    terminal.close();
  }
}

async function runImport(command: Extract<Command, { do: 'import' }>): Promise<number> {
  const secret = await readSecret(command.source, { ...process.env });
  await applySettingsFile(command.settings);
  const config = await readConfig(process.env, appFolder);
  checkCloud(secret.authorityUrl, config.settings.cloud);
  const { ports, findApplication, limits, rotator } = await createSetup(config, process.env);
  const atTerminal = process.stdin.isTTY === true;
  const outcome = await importSecret(secret, command.wanted, {
    ports,
    findApplication,
    limits,
    rotator,
    admit: (rotation) => admitRotation(rotation, config),
    clock,
    sleep: delay,
    newId: randomUUID,
    print,
    ask: atTerminal ? ask : undefined,
    confirm:
      atTerminal && !command.yes ? async (question) => /^y(es)?$/i.test(await ask(`${question} [y/N] `)) : undefined,
  });
  if (outcome === 'declined') {
    print('Nothing was done.');
    return 1;
  }
  const { rotation, configured, keyId, goesAt } = outcome;
  print('The new secret is current and proved.');
  if (configured) print(`The policy has the rotation ${rotation.name} already: nothing is to be added.`);
  else print(['', 'Add this to broker.yaml and deploy it:', '', ...policyLines(rotation), ''].join('\n'));
  const when = configured ? '' : ' once the config is deployed';
  if (goesAt === undefined) print(`The imported password ${keyId} is removed.`);
  else
    print(`The imported password ${keyId} signs in until ${instantText(goesAt)}; the broker removes it then${when}.`);
  print('Have its consumers read Key Vault, and delete the copy that was imported: it has been on a disk.');
  return 0;
}

async function run(words: readonly string[]): Promise<number> {
  const command = parseArguments(words);
  if (command.do === 'help') {
    print(HELP);
    return 0;
  }
  if (command.do === 'import') return runImport(command);
  await applySettingsFile(command.settings);
  const config = await readConfig(process.env, appFolder);
  return showPlan(await createSetup(config, process.env), clock, print);
}

try {
  process.exitCode = await run(process.argv.slice(2));
} catch (error) {
  console.error(failureInWords(error));
  process.exitCode = error instanceof CliError ? error.exitCode : 1;
}
