import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { AzureCliCredential } from '@azure/identity';
import { decodeJwt } from 'jose';
import { managedIdentityCredential } from '../azure/credentials.ts';
import { createGraph, type Graph } from '../azure/graph.ts';
import { createKeyRecords } from '../azure/key-records.ts';
import { createPolicyBlob } from '../azure/policy-blob.ts';
import { createVault } from '../azure/rotated-secrets.ts';
import { createRecords } from '../azure/rotation-records.ts';
import { createSignIn } from '../azure/sign-in.ts';
import { createTables } from '../azure/tables.ts';
import { callAzure } from '../azure/transport.ts';
import { FUNCTION_TIMEOUT_OVERRIDE, parseFunctionTimeout } from '../config/function-timeout.ts';
import { type Policy, parsePolicy } from '../config/policy.ts';
import { isBlobUrl } from '../config/policy-source.ts';
import { type Parsed, type ParsedSettings, parseSettings, type Settings } from '../config/settings.ts';
import { UpstreamError } from '../errors.ts';
import { nameError } from '../log.ts';
import type { PlanLimits } from '../rotation/facts.ts';
import type { KeyRecords } from '../rotation/key-ports.ts';
import type { RotationPorts } from '../rotation/ports.ts';
import { CliError } from './cli-error.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** Settings and policy of the app, as it would read them. */
export interface Config {
  settings: Settings;
  policy: Policy;
  policyText: string;
  limits: PlanLimits;
}

/** What the commands work with: the app's own operations reach Azure through these. */
export interface Setup extends Config {
  ports: RotationPorts;
  keyRecords: Pick<KeyRecords, 'read'>;
  findApplication: Graph['findApplication'];
  /** Object id of the managed identity that is signed in; undefined for a person. */
  rotator: string | undefined;
}

const readText = async (appFolder: string, file: string, setting: string): Promise<Parsed<string>> => {
  try {
    return { ok: true, value: await readFile(path.resolve(appFolder, file), 'utf8') };
  } catch {
    return { ok: false, problems: [`${setting}: the file ${file} cannot be read`] };
  }
};

/**
 * Reads settings, policy and host.json; all problems are told together.
 *
 * @throws CliError exit code 2
 */
export async function readConfig(env: Environment, appFolder: string): Promise<Config> {
  const settings = parseSettings(env);
  const policyText = await readPolicyText(env, appFolder, settings);
  const hostJson = await readText(appFolder, 'host.json', 'host.json');
  const policy = policyText.ok
    ? parsePolicy(policyText.value, settings.ok ? settings.value : undefined)
    : { ...policyText };
  const timeout = hostJson.ok ? parseFunctionTimeout(hostJson.value, env[FUNCTION_TIMEOUT_OVERRIDE]) : hostJson;
  if (settings.ok && policyText.ok && policy.ok && timeout.ok) {
    const { proofCount: proofs, proofSpreadSeconds: spreadSeconds } = settings.value;
    const limits = { proofs, spreadSeconds, orphanGraceSeconds: 2 * timeout.value };
    return { settings: settings.value, policy: policy.value, policyText: policyText.value, limits };
  }
  const problems = [settings, policy, timeout].flatMap((parsed) => (parsed.ok ? [] : parsed.problems));
  throw new CliError(
    2,
    `Settings or policy are wrong; mend them (or name the settings with --settings FILE):\n${problems.map((problem) => `  ${problem}`).join('\n')}`,
  );
}

/** The policy, from its file, or from its blob with good settings. */
async function readPolicyText(env: Environment, appFolder: string, settings: ParsedSettings): Promise<Parsed<string>> {
  if (!isBlobUrl(settings.policy)) return readText(appFolder, settings.policy, 'POLICY');
  if (!settings.ok) return { ok: false, problems: [] };
  const { policy: url, cloud } = settings.value;
  const blob = createPolicyBlob({ url, scope: cloud.storageScope, credential: ownCredential(env, settings.value) });
  try {
    const read = await blob.read(undefined);
    return { ok: true, value: read === 'unchanged' ? '' : read.text };
  } catch (error) {
    const advice = 'whoever is signed in needs the role Storage Blob Data Reader';
    return { ok: false, problems: [`POLICY: the blob cannot be read (${nameError(error)}): ${advice}`] };
  }
}

/** Signs in with one thing only: what happens to be in AZURE_… variables may be the very secret to import. */
function ownCredential(env: Environment, settings: Settings) {
  return env.IDENTITY_ENDPOINT
    ? managedIdentityCredential(settings.brokerIdentityClientId)
    : new AzureCliCredential({ processTimeoutInMs: 30_000 });
}

/**
 * Joins settings and adapters for the terminal, as src/main.ts does for the app.
 *
 * @throws UpstreamError where nobody is signed in
 */
export async function createSetup(config: Config, env: Environment): Promise<Setup> {
  const { settings } = config;
  const { cloud, challengeVerification } = settings;
  const credential = ownCredential(env, settings);
  const token = await callAzure('azure', () => credential.getToken(cloud.graphScope));
  if (token === null) throw new UpstreamError({ service: 'azure', kind: 'credential_refused' });
  const tables = createTables('token store', settings.tokenStoreUrl, credential);
  const graph = createGraph({ endpoint: cloud.graphEndpoint, scope: cloud.graphScope, credential });
  return {
    ...config,
    ports: {
      applications: graph,
      vault: createVault({ url: settings.keyVaultUrl, credential, challengeVerification }),
      signIn: createSignIn({
        authorityHost: cloud.authorityHost,
        instanceDiscovery: settings.instanceDiscovery,
        scope: cloud.graphScope,
      }),
      records: createRecords(tables),
    },
    keyRecords: createKeyRecords(tables),
    findApplication: (clientId) => graph.findApplication(clientId),
    rotator: env.IDENTITY_ENDPOINT ? objectIdOf(token.token) : undefined,
  };
}

/** Names the identity in an administrator's command; a token that cannot be read names nobody. */
function objectIdOf(token: string): string | undefined {
  try {
    const { oid } = decodeJwt(token);
    return typeof oid === 'string' ? oid : undefined;
  } catch {
    return undefined;
  }
}
