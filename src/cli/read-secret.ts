import { parseEnv } from 'node:util';
import * as z from 'zod';
import { CliError } from './cli-error.ts';

/** A service principal's secret as it was found on a disk or in an environment. */
export interface ImportedSecret {
  tenantId: string;
  clientId: string;
  /** Goes to Entra and Key Vault and nowhere else. */
  secretText: string;
  displayName: string | undefined;
  /** Entra's URL in the cloud that the secret is of; undefined where nothing says so. */
  authorityUrl: string | undefined;
}

type Environment = Readonly<Record<string, string | undefined>>;

const guid = z.guid('must be a GUID').toLowerCase();
const secretText = z.string('is missing').min(1, 'is empty');

/** What `az ad sp create-for-rbac --json-auth` (older: `--sdk-auth`) prints, in every cloud. */
const authFile = z
  .looseObject({
    clientId: guid,
    clientSecret: secretText,
    tenantId: guid,
    activeDirectoryEndpointUrl: z.string().optional(),
  })
  .transform(
    ({ clientId, clientSecret, tenantId, activeDirectoryEndpointUrl }): ImportedSecret => ({
      tenantId,
      clientId,
      secretText: clientSecret,
      displayName: undefined,
      authorityUrl: activeDirectoryEndpointUrl,
    }),
  );

/** What the same command prints without that option; also `az ad app credential reset`. */
const plainFile = z
  .looseObject({ appId: guid, password: secretText, tenant: guid, displayName: z.string().nullish() })
  .transform(
    ({ appId, password, tenant, displayName }): ImportedSecret => ({
      tenantId: tenant,
      clientId: appId,
      secretText: password,
      displayName: displayName ?? undefined,
      authorityUrl: undefined,
    }),
  );

/** Names the fields that are wrong, never what they hold. */
function refuse(what: string, { issues }: z.ZodError, names: Readonly<Record<string, string>> = {}): never {
  const wrong = issues.map(({ path, code, message }) => {
    const field = path.map(String).join('.');
    return `  ${names[field] ?? field}: ${code === 'invalid_type' ? 'is missing' : message}`;
  });
  throw new CliError(2, `${what} cannot be imported. Mend these and run the import again:\n${wrong.join('\n')}`);
}

function fromJson(text: string, what: string): ImportedSecret {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw new CliError(2, `${what} begins like JSON and is none: keep only what az printed, from { to }.`);
  }
  const fields = z.record(z.string(), z.unknown()).safeParse(json).data ?? {};
  if ('clientCertificate' in fields || 'fileWithCertAndPrivateKey' in fields) {
    throw new CliError(
      2,
      `${what} holds a certificate. Only secrets (passwords) are rotated; make one with az ad app.`,
    );
  }
  const parsed = 'appId' in fields ? plainFile.safeParse(fields) : authFile.safeParse(fields);
  return parsed.success ? parsed.data : refuse(what, parsed.error);
}

const sets = [
  { tenantId: 'AZURE_TENANT_ID', clientId: 'AZURE_CLIENT_ID', secretText: 'AZURE_CLIENT_SECRET' },
  { tenantId: 'AML_TENANT_ID', clientId: 'AML_PRINCIPAL_ID', secretText: 'AML_PRINCIPAL_PASS' },
] as const;

const variables = z.object({ tenantId: guid, clientId: guid, secretText });

/** One set of variables, if its secret is there: a secret without its ids is a mistake to be told. */
function readSet(names: (typeof sets)[number], env: Environment, what: string): ImportedSecret[] {
  // An id alone is no secret to import: other tools, and settings of apps, use the same variable.
  if (!env[names.secretText]) return [];
  const { success, data, error } = variables.safeParse({
    tenantId: env[names.tenantId],
    clientId: env[names.clientId],
    secretText: env[names.secretText],
  });
  if (!success) return refuse(what, error, names);
  return [{ ...data, displayName: undefined, authorityUrl: env.AZURE_AUTHORITY_HOST || undefined }];
}

/**
 * Finds the secret among variables; undefined where there is none.
 *
 * @param what what the variables are of, for messages
 * @throws CliError exit code 2 where they are incomplete or name two secrets
 */
export function fromVariables(env: Environment, what: string): ImportedSecret | undefined {
  const found = sets.flatMap((names) => readSet(names, env, what));
  if (env.AZURE_CREDENTIALS) found.push(fromJson(env.AZURE_CREDENTIALS, `AZURE_CREDENTIALS of ${what}`));
  const [first, ...others] = found;
  if (first === undefined) return undefined;
  const differs = (other: ImportedSecret) =>
    other.clientId !== first.clientId || other.tenantId !== first.tenantId || other.secretText !== first.secretText;
  if (others.some(differs)) {
    throw new CliError(2, `${what} names two different secrets (AZURE_… and AML_…): take one of them away.`);
  }
  return first;
}

/** UTF-8, or UTF-16 where the file begins with its mark: what PowerShell's `>` writes. */
function decode(bytes: Uint8Array): string {
  const utf16 = bytes[0] === 0xff && bytes[1] === 0xfe;
  return new TextDecoder(utf16 ? 'utf-16le' : 'utf-8').decode(bytes);
}

/**
 * Reads a file: JSON by its first character, else variables.
 *
 * @param form `env`: variables, whatever it looks like
 * @throws CliError exit code 2
 */
export function fromFile(bytes: Uint8Array, form: 'any' | 'env'): ImportedSecret {
  const text = decode(bytes);
  if (form === 'any' && text.trimStart().startsWith('{')) return fromJson(text, 'The file');
  const found = fromVariables(parseEnv(text), 'The file');
  if (found !== undefined) return found;
  throw new CliError(
    2,
    'The file holds no secret of a service principal: neither the JSON of az ad sp create-for-rbac nor AZURE_CLIENT_SECRET or AML_PRINCIPAL_PASS with their ids.',
  );
}
