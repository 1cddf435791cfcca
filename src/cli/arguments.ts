import { parseArgs } from 'node:util';
import * as z from 'zod';
import { durationSeconds } from '../config/duration.ts';
import { CliError } from './cli-error.ts';

export const HELP = `Rotation from a terminal.

npm run rotate -- plan [--settings FILE]
  Shows each rotation of the policy: what is due, overdue, orphaned, foreign, over-long or not owned. Reads only.
  Exit code: 0 when nothing needs a person, 1 when something does, 2 when the command or the configuration is wrong.

npm run rotate -- import FILE      [options]
npm run rotate -- import --env     [FILE] [options]
  Takes over the secret of a service principal: stores it in Key Vault, rotates it at once, prints what to add to the
  policy. FILE is what az ad sp create-for-rbac printed (with --json-auth, --sdk-auth or plain), or a .env file; --env
  without FILE reads the environment, then the file .env here. Variables: AZURE_TENANT_ID, AZURE_CLIENT_ID and
  AZURE_CLIENT_SECRET, or AML_TENANT_ID, AML_PRINCIPAL_ID and AML_PRINCIPAL_PASS, or AZURE_CREDENTIALS with the JSON.
  Running the same import again is safe.

  --name NAME            the Key Vault secret and the rotation (default: made from the display name or the client id)
  --rotate-every 30d     how old the secret may become before the next one is made
  --lifetime 90d         life of a new password; longer than the other two together
  --overlap 24h          how long the previous secret goes on signing in
  --key-id ID            which password it is, where several begin alike
  --yes                  does not ask before it begins

Settings are the app's own, from the environment; what is missing there comes from --settings FILE, a Functions settings
file (default: local.settings.json in the app folder). Signs in with the managed identity where there is one
(IDENTITY_ENDPOINT), else as az does: az login.`;

/** Where the secret to import is. */
export type Source = { kind: 'environment' } | { kind: 'file'; path: string; form: 'any' | 'env' };

/** What may be said of a rotation to be made; what is not said has a default. */
export interface Wanted {
  name: string | undefined;
  rotateEverySeconds: number | undefined;
  lifetimeSeconds: number | undefined;
  overlapSeconds: number | undefined;
  keyId: string | undefined;
}

export type Command =
  | { do: 'help' }
  | { do: 'plan'; settings: string | undefined }
  | { do: 'import'; settings: string | undefined; source: Source; wanted: Wanted; yes: boolean };

const seeHelp = 'npm run rotate -- --help tells how it is used.';
const noSecretHere =
  'A secret is never given as an argument: other users can see it there, and the shell keeps it. Put it into a file or into the environment. Treat the one that was typed as known to others.';

const text = z.string('needs a value').min(1, 'needs a value');
const flag = z.boolean('takes no value').default(false);

const plainOptions = { help: flag, settings: text.optional() };
const planOptions = z.strictObject(plainOptions);
const importOptions = z.strictObject({
  ...plainOptions,
  env: z.union([z.boolean(), text]).default(false),
  name: z
    .string('needs a value')
    .regex(/^[0-9a-zA-Z-]{1,119}$/, 'must be letters, digits and hyphens, at most 119')
    .optional(),
  'rotate-every': durationSeconds.optional(),
  lifetime: durationSeconds.optional(),
  overlap: durationSeconds.optional(),
  'key-id': z.guid('must be the key id (a GUID) of a password').toLowerCase().optional(),
  yes: flag,
});

/** An option's name as it may be repeated: never something that could be a secret. */
const shown = (name: string): string => (/^[a-z-]{1,20}$/.test(name) ? `--${name}` : 'One option');

function describe(issue: z.core.$ZodIssue): string {
  if (issue.code !== 'unrecognized_keys') return `${shown(String(issue.path[0]))}: ${issue.message}.`;
  if (issue.keys.some((key) => /secret|pass|credential/i.test(key))) return noSecretHere;
  return `${issue.keys.map(shown).join(', ')}: is not known.`;
}

function parseOptions<T extends z.ZodType>(schema: T, values: object): z.output<T> {
  const parsed = schema.safeParse(values);
  if (parsed.success) return parsed.data;
  throw new CliError(2, [...parsed.error.issues.map(describe), seeHelp].join('\n'));
}

/** Which source the words after `import` name. An argument that looks like the secret itself is refused. */
function sourceOf(env: boolean | string, files: readonly string[]): Source {
  const named = typeof env === 'string' ? [env, ...files] : files;
  const [path] = named;
  if (named.length > 1) throw new CliError(2, `Name one file to import. ${seeHelp}`);
  if (path === undefined) {
    if (env === true) return { kind: 'environment' };
    throw new CliError(2, `Name the file to import, or say --env. ${seeHelp}`);
  }
  if (path.trimStart().startsWith('{') || /^[A-Z_]+=/.test(path)) throw new CliError(2, noSecretHere);
  return { kind: 'file', path, form: env === false ? 'any' : 'env' };
}

/**
 * Reads the words of the command line. No message repeats a word that could be a secret.
 *
 * @throws CliError exit code 2
 */
export function parseArguments(words: readonly string[]): Command {
  const { values, positionals } = parseArgs({
    args: [...words],
    strict: false,
    allowPositionals: true,
    options: {
      help: { type: 'boolean', short: 'h' },
      settings: { type: 'string' },
      env: { type: 'boolean' },
      name: { type: 'string' },
      'rotate-every': { type: 'string' },
      lifetime: { type: 'string' },
      overlap: { type: 'string' },
      'key-id': { type: 'string' },
      yes: { type: 'boolean' },
    },
  });
  const [verb, ...files] = positionals;
  if (values.help === true || (verb === undefined && words.length === 0)) return { do: 'help' };
  if (verb === 'plan') {
    const { settings } = parseOptions(planOptions, values);
    if (files.length > 0) throw new CliError(2, `plan takes no further words. ${seeHelp}`);
    return { do: 'plan', settings };
  }
  if (verb === 'import') {
    const options = parseOptions(importOptions, values);
    const wanted = {
      name: options.name,
      rotateEverySeconds: options['rotate-every'],
      lifetimeSeconds: options.lifetime,
      overlapSeconds: options.overlap,
      keyId: options['key-id'],
    };
    const source = sourceOf(options.env, files);
    return { do: 'import', settings: options.settings, source, wanted, yes: options.yes };
  }
  throw new CliError(2, `Say plan or import. ${seeHelp}`);
}
