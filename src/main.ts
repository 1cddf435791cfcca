import { randomBytes, randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import '@azure/functions';
import { createRecorder, type RecorderOptions, tryEachStore } from './audit/recorder.ts';
import { createKeyRing } from './callers/published-keys.ts';
import { createVerifier } from './callers/verify.ts';
import { addSeconds } from './clock.ts';
import { FUNCTION_TIMEOUT_OVERRIDE, parseFunctionTimeout } from './config/function-timeout.ts';
import { identityNames, type Policy, parsePolicy } from './config/policy.ts';
import type { Identity } from './config/policy-schema.ts';
import { toRotations } from './config/rotations.ts';
import { type Parsed, type ParsedSettings, parseSettings, type Settings } from './config/settings.ts';
import { BrokerError } from './errors.ts';
import { createEndpointCatalogue } from './freshness/endpoint-catalogue.ts';
import { createEndpointTokens } from './freshness/endpoint-tokens.ts';
import { fetchedWorkspaces } from './freshness/fetched-workspaces.ts';
import { createRefresh } from './freshness/refresh.ts';
import { compileGrants } from './grants/compile.ts';
import { createOperators } from './grants/operators.ts';
import { createHealth, type Report, watch } from './health.ts';
import { createAppTokens } from './issuing/app-tokens.ts';
import { createIssueEndpointKey } from './issuing/endpoint-key.ts';
import { createIssueEndpointToken } from './issuing/endpoint-token.ts';
import { createIssue } from './issuing/issue.ts';
import { createListWorkspaces } from './issuing/list-workspaces.ts';
import { createRefuse } from './issuing/refuse.ts';
import { createUseEndpoint } from './issuing/use-endpoint.ts';
import { createIssueWorkspaceToken } from './issuing/workspace-token.ts';
import { createLog, nameError } from './log.ts';
import { createFindKeyInUse } from './rotation/key-in-use.ts';
import type { KeyPorts } from './rotation/key-ports.ts';
import { createKeyRound } from './rotation/key-round.ts';
import { createRotationGroup } from './rotation/request-records.ts';
import { createRotationRequests } from './rotation/requests.ts';
import { createRotatorRound } from './rotation/rotator-round.ts';
import { createRound, ROTATIONS_AT_ONCE } from './rotation/round.ts';
import { keyDetails, secretDetails } from './rotation/state.ts';
import { createWriteBudget, GRAPH_WRITES, pausingWrites } from './rotation/write-budget.ts';
import { type Broker, registerTriggers } from './triggers.ts';

/**
 * Composition: settings and policy → adapters → operations → triggers. Everything is built here, once. Nothing here or
 * below throws while it loads: an app that does has no functions and gives no clear error.
 */

const clock = () => new Date();
const log = createLog({ info: console.info, warn: console.warn, error: console.error });

/** The app folder: this file is bundled into `dist` or runs from `src`. */
const appFolder = path.resolve(import.meta.dirname, '..');

/** The Azure SDKs are heavy: they load, in files of their own, while the host indexes the functions. */
const loadAdapters = () => import('./azure/index.ts');
type Adapters = Awaited<ReturnType<typeof loadAdapters>>;

/** What signs in: the broker's own identity, and a cache of tokens for each use of the policy's identities. */
function buildIdentities(azure: Adapters, settings: Settings, policy: Policy, report: Report) {
  const own = azure.managedIdentityCredential(settings.brokerIdentityClientId);
  const { keyVaultUrl: url, challengeVerification } = settings;
  const vault = { url, credential: own, challengeVerification };
  const read = azure.createReadSecret(vault);
  const readSecret: typeof read = (...asked) => watch(report, 'keyVault')(() => read(...asked));
  const { identities } = policy;
  const { authorityHost } = settings.cloud;
  const ask = azure.createObtainToken({
    identities,
    authorityHost,
    instanceDiscovery: settings.instanceDiscovery,
    readSecret,
  });
  const obtain: typeof ask = (identity, scope) => watch(report, 'identities', identity)(() => ask(identity, scope));
  const tokensFor = (use: Identity['use']) =>
    createAppTokens({ identities: identityNames(policy, use), obtain, clock, log });
  return { own, vault, readSecret, fetchToken: tokensFor('fetch'), issueToken: tokensFor('issue') };
}

/** Where state lives: sealed tokens, the key that seals them, and audit rows. */
function buildStores(
  azure: Adapters,
  settings: Settings,
  { own, readSecret }: ReturnType<typeof buildIdentities>,
  report: Report,
) {
  const keys = azure.createSealingKeys({
    readSecret,
    name: settings.tokenCacheKey,
    clock,
    log,
    report: (ok) => report('tokenCacheKey', ok ? 'ok' : 'down'),
  });
  const tables = azure.createTables('token store', settings.tokenStoreUrl, own);
  const tokenStore = azure.createTokenStore({
    tables,
    keys,
    clock,
    report: (ok) => report('tokenStore', ok ? 'ok' : 'down'),
  });
  const auditTables = settings.auditStoreUrls.map((url) => azure.createTables('audit store', url, own));
  const instanceId = randomUUID();
  const stores = auditTables.map((tables, index) =>
    azure.createAuditStore({ tables, name: `audit ${index + 1}`, instanceId, newId: randomUUID }),
  );
  const recorder: RecorderOptions = {
    stores,
    log,
    report: (ok, store) => report('auditStore', ok ? 'ok' : 'down', store),
  };

  const keepAuditTables = hourly(() => azure.keepAuditTables(auditTables, clock(), settings.auditRetentionMonths));
  const records = { secrets: azure.createRecords(tables), endpointKeys: azure.createKeyRecords(tables) };
  return { keys, tokenStore, records, recorder, keepAuditTables, instanceId };
}

/** Does the work once in each hour of the clock; what failed is due again. */
function hourly(work: () => Promise<unknown>): () => Promise<void> {
  let doneIn: string | undefined;
  return async () => {
    const hour = clock().toISOString().slice(0, 13);
    if (doneIn === hour) return;
    await work();
    doneIn = hour;
  };
}

interface RotatorOptions {
  azure: Adapters;
  settings: Settings;
  policy: Policy;
  functionTimeoutSeconds: number;
  identities: ReturnType<typeof buildIdentities>;
  stores: ReturnType<typeof buildStores>;
  machineLearning: KeyPorts['machineLearning'];
}

/** One round of the timer: rotation of secrets and endpoint keys, the sealing key, the audit tables. */
function buildRotatorRound(options: RotatorOptions): () => Promise<void> {
  const { azure, settings, policy, functionTimeoutSeconds, identities, stores, machineLearning } = options;
  const { cloud, instanceDiscovery, rotationLookSeconds: lookSeconds } = settings;
  const { graphEndpoint: endpoint, graphScope: scope, authorityHost } = cloud;
  const rotations = toRotations(policy);
  const budget = createWriteBudget({ clock, ...GRAPH_WRITES });
  const limits = {
    proofs: settings.proofCount,
    spreadSeconds: settings.proofSpreadSeconds,
    orphanGraceSeconds: 2 * functionTimeoutSeconds,
  };
  const rotateSecrets = createRound({
    rotations: rotations.secrets,
    ports: {
      applications: pausingWrites(azure.createGraph({ endpoint, scope, credential: identities.own }), budget, clock),
      vault: azure.createVault(identities.vault),
      signIn: azure.createSignIn({ authorityHost, instanceDiscovery, scope }),
      records: stores.records.secrets,
    },
    ...{ limits, budget, clock, log, newId: randomUUID, lookSeconds, atOnce: ROTATIONS_AT_ONCE },
  });
  const rotateKeys = createKeyRound({
    rotations: rotations.endpointKeys,
    ports: { machineLearning, records: stores.records.endpointKeys, workspaces: fetchedWorkspaces(policy.workspaces) },
    ...{ clock, log, newId: randomUUID, lookSeconds },
  });
  const keepSealingKey = async () => {
    const kept = await azure.keepSealingKey({
      readSecret: identities.readSecret,
      writeSecret: azure.createWriteSecret(identities.vault),
      name: settings.tokenCacheKey,
      ...{ clock, log, random: randomBytes },
    });
    // A role or a network that is on its way: the next round tries again.
    if (kept === 'unreadable' || kept === 'forbidden')
      throw new BrokerError('internal_error', { reason: `sealing key ${kept}` });
  };
  // A round that is cut off by the host does no harm; one that ends by itself leaves no step half done.
  const until = () => addSeconds(clock(), 0.8 * functionTimeoutSeconds);
  return createRotatorRound(
    {
      auditTables: stores.keepAuditTables,
      sealingKey: hourly(keepSealingKey),
      secrets: () => rotateSecrets(until()),
      endpointKeys: () => rotateKeys(until()),
    },
    log,
  );
}

/** All operations of the broker on one policy. */
async function build(settings: Settings, policy: Policy, functionTimeoutSeconds: number): Promise<Broker> {
  const azure = await loadAdapters();
  const { cloud } = settings;
  const report: Report = (...told) => health.report(...told);
  const identities = buildIdentities(azure, settings, policy, report);
  const stores = buildStores(azure, settings, identities, report);
  const { tokenStore, recorder, keepAuditTables, records } = stores;
  const writeAudit = createRecorder(recorder);

  const fetchKeys = azure.createFetchEntraKeys(cloud.authorityHost);
  const keyRing = createKeyRing({
    fetchKeys,
    clock,
    log,
    report: (state, tenant) => report('callerKeys', state, tenant),
  });
  const { issuerV1, issuerV2 } = cloud;
  const verifyCaller = createVerifier({ issuers: policy.issuers, issuerV1, issuerV2, keyRing, clock });

  const credentialOf = (identity: string) => azure.asTokenCredential(identities.fetchToken, identity);
  const { armEndpoint, armScope } = cloud;
  const watched = watch(report, 'machineLearning');
  const machineLearning = azure.createMachineLearning({ armEndpoint, armScope, credentialOf, clock, watched });
  const { endpointLookSeconds: lookSeconds, refreshAheadSeconds } = settings;
  const catalogue = createEndpointCatalogue({ machineLearning, store: tokenStore, clock, log, lookSeconds });
  const tokens = createEndpointTokens({ machineLearning, store: tokenStore, clock, log, refreshAheadSeconds });

  const grants = compileGrants(policy);
  const workspaces = fetchedWorkspaces(policy.workspaces);
  const reachable = grants.workspacesWithEndpoints.flatMap((name) => workspaces.get(name) ?? []);
  const refuse = createRefuse({ policyHash: policy.hash, writeAudit, clock, log });
  const issue = createIssue({ grants, policyHash: policy.hash, writeAudit, refuse, clock });
  const useEndpoint = createUseEndpoint(workspaces, catalogue);

  const health = createHealth({
    clock,
    probes: {
      callerKeys: () => Promise.all(Object.values(policy.issuers).map(({ entraTenant }) => keyRing(entraTenant, ''))),
      auditStore: () =>
        tryEachStore(recorder, {
          at: clock(),
          correlationId: stores.instanceId,
          decision: 'checked',
          policyHash: policy.hash,
        }),
      tokenStore: () => tokenStore.prepare(),
      tokenCacheKey: () => stores.keys.current(),
      keyVault: () => stores.keys.current(),
      identities: () =>
        Promise.all([
          ...identityNames(policy, 'fetch').map((name) => identities.fetchToken(name, armScope)),
          ...identityNames(policy, 'issue').map((name) => identities.issueToken(name, cloud.amlScope)),
        ]),
      machineLearning: () => Promise.all(reachable.map((from) => catalogue.relist(from))),
    },
  });

  if (settings.role === 'all') {
    await keepAuditTables().catch((error) => log.error('audit_tables_not_kept', { error: nameError(error) }));
  }
  // Begun, not awaited: a part that hangs must not keep callers from the others.
  if (settings.role !== 'rotator') void health.readiness();
  const rotations = toRotations(policy);
  const findKeyInUse = createFindKeyInUse({
    rotations: rotations.endpointKeys,
    ...{ workspaces, records: records.endpointKeys, clock, log },
  });
  return {
    verifyCaller,
    health,
    rotatorRound: buildRotatorRound({
      ...{ azure, settings, policy, functionTimeoutSeconds, identities, stores, machineLearning },
    }),
    rotations: createRotationRequests({
      decideOperator: createOperators(policy),
      groups: [
        createRotationGroup({
          kind: 'secret',
          ...{ rotations: rotations.secrets, records: records.secrets, details: secretDetails },
        }),
        createRotationGroup({
          kind: 'endpointKeys',
          ...{ rotations: rotations.endpointKeys, records: records.endpointKeys, details: keyDetails },
        }),
      ],
      ...{ refuse, writeAudit, policyHash: policy.hash, publicUrl: settings.publicUrl, clock, newId: randomUUID },
    }),
    issueWorkspaceToken: createIssueWorkspaceToken({
      issue,
      appToken: identities.issueToken,
      scopes: { aml: cloud.amlScope, arm: cloud.armScope },
    }),
    issueEndpointToken: createIssueEndpointToken({ issue, useEndpoint, tokens }),
    issueEndpointKey: createIssueEndpointKey({ issue, useEndpoint, machineLearning, findKeyInUse }),
    listWorkspaces: createListWorkspaces({
      grants,
      names: Object.keys(policy.workspaces),
      workspaces,
      catalogue,
      refuse,
    }),
    refresh: createRefresh({ workspaces: reachable, grants, catalogue, tokens, log }),
  };
}

async function readPolicy(file: string, reserved: Settings | undefined): Promise<Parsed<Policy>> {
  try {
    return parsePolicy(await readFile(path.resolve(appFolder, file), 'utf8'), reserved);
  } catch (error) {
    return { ok: false, problems: [`POLICY: the file ${file} cannot be read: ${nameError(error)}`] };
  }
}

/** A broken configuration is told whole in the log; the functions register all the same and answer 503. */
function refuseConfig(problems: readonly string[]): never {
  for (const problem of problems) log.error('config_problem', { problem });
  throw new BrokerError('config_invalid', { reason: `${problems.length} problems, each in a config_problem line` });
}

async function readFunctionTimeout(): Promise<Parsed<number>> {
  const hostJson = await readFile(path.resolve(appFolder, 'host.json'), 'utf8').catch(() => '');
  return parseFunctionTimeout(hostJson, process.env[FUNCTION_TIMEOUT_OVERRIDE]);
}

async function start(settings: ParsedSettings): Promise<Broker> {
  const policy = await readPolicy(settings.policy, settings.ok ? settings.value : undefined);
  const functionTimeout = await readFunctionTimeout();
  if (settings.ok && policy.ok && functionTimeout.ok) {
    return build(settings.value, policy.value, functionTimeout.value);
  }
  return refuseConfig([settings, policy, functionTimeout].flatMap((parsed) => (parsed.ok ? [] : parsed.problems)));
}

const settings = parseSettings(process.env);
const started = start(settings);
// Told to every caller; without this line an early failure would end the process instead.
started.catch(() => undefined);

/** A schedule that is set is named, so that the host reads the setting; otherwise the preset holds. */
const scheduleOf = (name: string, set: string | undefined, preset: string) =>
  set === undefined ? preset : `%${name}%`;
const { refreshSchedule, rotateSchedule } = settings.ok ? settings.value : {};

registerTriggers({
  // With broken settings the role is not known: everything registers, and everything answers 503.
  role: settings.ok ? settings.value.role : 'all',
  broker: () => started,
  refreshSchedule: scheduleOf('REFRESH_SCHEDULE', refreshSchedule, '0 * * * * *'),
  rotateSchedule: scheduleOf('ROTATE_SCHEDULE', rotateSchedule, '0 * * * * *'),
});
