import { execFile } from 'node:child_process';
import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { listen } from '../../sandbox/http/listen.ts';
import { recipe, sharedFile } from '../docs/callers-page.ts';

/**
 * Runs recipes of docs/callers.md as they stand there, in processes of their own. What a test cannot have (a browser, a
 * person, `az`, PowerShell, Azure’s metadata endpoints) is played by stand-ins, which check how they are asked.
 */

const root = path.resolve(import.meta.dirname, '../..');
const run = promisify(execFile);

export interface Bench {
  /** Runs a recipe in JavaScript; gives the token that its credential gets for a scope. */
  runJs(name: string, scope: string, environment?: Record<string, string>): Promise<string>;
  /** Runs a recipe for the shell; gives what it prints. */
  runSh(name: string, environment?: Record<string, string>): Promise<string>;
  stop(): Promise<void>;
}

export interface BenchOptions {
  /** What stands between angle brackets on the page, by what it is here. */
  places: Readonly<Record<string, string>>;
  caCertificate: string;
  /** Entra’s address in the sandbox. */
  authority: string;
  /** The scope of the broker’s API, which whoever is signed in must be asked for. */
  callerScope: string;
}

/** `@azure/identity`, real but for the address of Entra and for what needs a person. */
const identityStandIn = `
import * as real from ${JSON.stringify(path.join(root, 'node_modules/@azure/identity/dist/esm/index.js'))};
const { RECIPE_AUTHORITY: authorityHost, RECIPE_CALLER: token, RECIPE_SCOPE } = process.env;
const entra = { authorityHost, disableInstanceDiscovery: true };
export const { ManagedIdentityCredential, AzurePowerShellCredential } = real;
export class EnvironmentCredential extends real.EnvironmentCredential {
  constructor(options) { super({ ...options, ...entra }); }
}
export class ClientSecretCredential extends real.ClientSecretCredential {
  constructor(tenant, client, secret) { super(tenant, client, secret, entra); }
}
class SignedIn {
  constructor({ tenantId, clientId }) { if (!tenantId || !clientId) throw new Error('tenantId and clientId are needed'); }
  async getToken(scope) {
    if (scope !== RECIPE_SCOPE) throw new Error('signed in for another API: ' + scope);
    return { token, expiresOnTimestamp: Date.now() + 3_600_000 };
  }
}
export { SignedIn as InteractiveBrowserCredential, SignedIn as DeviceCodeCredential };
`;

const az = `#!/bin/sh
[ "$*" = "account get-access-token --resource $RECIPE_API --query accessToken --output tsv" ] || exit 2
printf '%s\\n' "$RECIPE_CALLER"
`;

const pwsh = `#!/bin/sh
case "$*" in
  *Get-AzAccessToken*) printf '{"Token":"%s","ExpiresOn":"2099-01-01T00:00:00+00:00"}\\n' "$RECIPE_CALLER" ;;
  *) echo 7.5.0 ;;
esac
`;

const runner = `
const { credential } = await import('./recipe.js');
process.stdout.write((await credential.getToken(process.argv[2])).token);
`;

export async function createBench({ places, caCertificate, authority, callerScope }: BenchOptions): Promise<Bench> {
  const folder = await mkdtemp(path.join(tmpdir(), 'recipes-'));
  const file = (...names: string[]) => path.join(folder, ...names);
  const fill = (text: string) =>
    Object.entries(places).reduce((filled, [place, value]) => filled.replaceAll(place, value), text);
  await mkdir(file('bin'));
  await mkdir(file('node_modules/@azure/identity'), { recursive: true });
  await symlink(root, file('node_modules/aml-token-broker'));
  await writeFile(file('node_modules/@azure/identity/package.json'), '{"type":"module","main":"index.js"}');
  await writeFile(file('node_modules/@azure/identity/index.js'), identityStandIn);
  await writeFile(file('package.json'), '{"type":"module"}');
  await writeFile(file('broker.js'), fill(sharedFile()));
  await writeFile(file('own-code.js'), 'export const getTokenForBroker = async () => process.env.RECIPE_CALLER;\n');
  await writeFile(file('run.js'), runner);
  for (const [name, text] of [
    ['az', az],
    ['pwsh', pwsh],
  ] as const) {
    await writeFile(file('bin', name), text);
    await chmod(file('bin', name), 0o755);
  }
  const options = (environment: Record<string, string>) => ({
    cwd: folder,
    timeout: 20_000,
    env: {
      PATH: `${file('bin')}:${process.env.PATH ?? ''}`,
      NODE_EXTRA_CA_CERTS: caCertificate,
      CURL_CA_BUNDLE: caCertificate,
      RECIPE_AUTHORITY: authority,
      RECIPE_API: callerScope.replace(/\/\.default$/, ''),
      RECIPE_SCOPE: callerScope,
      ...environment,
    },
  });
  return {
    async runJs(name, scope, environment = {}) {
      await writeFile(file('recipe.js'), fill(recipe(name)));
      return (await run(process.execPath, ['run.js', scope], options(environment))).stdout;
    },
    async runSh(name, environment = {}) {
      return (await run('sh', ['-e', '-c', fill(recipe(name))], options(environment))).stdout;
    },
    stop: () => rm(folder, { recursive: true, force: true }),
  };
}

export interface MetadataEndpoint {
  url: string;
  /** How it was asked: path, query and the headers that matter. */
  asked: { path: string; query: Record<string, string>; metadata: unknown; secret: unknown }[];
  stop(): Promise<void>;
}

/** Azure’s endpoint for managed identities on a machine or on Azure ML’s compute: gives one token. */
export async function startMetadataEndpoint(token: string): Promise<MetadataEndpoint> {
  const asked: MetadataEndpoint['asked'] = [];
  const onRequest = ({ url = '/', headers }: IncomingMessage, response: ServerResponse) => {
    const { pathname, searchParams } = new URL(url, 'http://metadata');
    const path = pathname.replace(/\/$/, '');
    asked.push({ path, query: Object.fromEntries(searchParams), metadata: headers.metadata, secret: headers.secret });
    const expires_on = String(Math.floor(Date.now() / 1000) + 86_400);
    response.setHeader('Content-Type', 'application/json');
    response.end(JSON.stringify({ access_token: token, expires_on, token_type: 'Bearer' }));
  };
  const { port, stop } = await listen({ name: 'metadata endpoint', port: 0, onRequest });
  return { url: `http://127.0.0.1:${port}`, asked, stop };
}
