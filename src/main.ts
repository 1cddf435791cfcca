import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { app, type HttpMethod } from '@azure/functions';
import { createRecorder } from './audit/recorder.ts';
import { createKeyRing } from './callers/published-keys.ts';
import { createVerifier } from './callers/verify.ts';
import { type Policy, parsePolicy } from './config/policy.ts';
import type { Identity } from './config/policy-schema.ts';
import { type Parsed, parseSettings, type Settings } from './config/settings.ts';
import { BrokerError } from './errors.ts';
import { createEndpointCatalogue, type FetchedWorkspace } from './freshness/endpoint-catalogue.ts';
import { createEndpointTokens } from './freshness/endpoint-tokens.ts';
import { createRefresh } from './freshness/refresh.ts';
import { endpointKey } from './functions/endpoint-key.ts';
import { endpointToken } from './functions/endpoint-token.ts';
import { live, ready } from './functions/health.ts';
import { listWorkspaces } from './functions/list-workspaces.ts';
import { refreshEndpointTokens } from './functions/refresh-endpoint-tokens.ts';
import { rotateSecrets } from './functions/rotate-secrets.ts';
import { workspaceToken } from './functions/workspace-token.ts';
import { compileGrants } from './grants/compile.ts';
import { createHealth, type Report } from './health.ts';
import { createAppTokens } from './issuing/app-tokens.ts';
import { createIssueEndpointKey } from './issuing/endpoint-key.ts';
import { createIssueEndpointToken } from './issuing/endpoint-token.ts';
import { createFindEndpoint } from './issuing/find-endpoint.ts';
import { createIssue } from './issuing/issue.ts';
import { createListWorkspaces } from './issuing/list-workspaces.ts';
import { createIssueWorkspaceToken } from './issuing/workspace-token.ts';
import { createLog, nameError } from './log.ts';

/**
 * Composition: settings and policy → adapters → operations → triggers. Everything is built here, once. Nothing here or
 * below throws while it loads: an app that does has no functions and gives no clear error.
 */

const clock = () => new Date();
const log = createLog({ info: console.info, warn: console.warn, error: console.error });

/** The app folder: this file is bundled into `dist` or runs from `src`. */
const appFolder = path.resolve(import.meta.dirname, '..');

/** The Azure SDKs are heavy: they load in parallel, in files of their own, while the host indexes the functions. */
async function loadAdapters() {
  const [tables, audit, tokens, keys, sealing, vault, credentials, learning] = await Promise.all([
    import('./azure/tables.ts'),
    import('./azure/audit-store.ts'),
    import('./azure/token-store.ts'),
    import('./azure/entra-keys.ts'),
    import('./azure/sealing-keys.ts'),
    import('./azure/key-vault.ts'),
    import('./azure/credentials.ts'),
    import('./azure/machine-learning.ts'),
  ]);
  return { ...tables, ...audit, ...tokens, ...keys, ...sealing, ...vault, ...credentials, ...learning };
}

type Adapters = Awaited<ReturnType<typeof loadAdapters>>;

function namesOf(policy: Policy, use: Identity['use']): string[] {
  return Object.entries(policy.identities).flatMap(([name, identity]) => (identity.use === use ? [name] : []));
}

function fetchedWorkspaces(policy: Policy): Map<string, FetchedWorkspace> {
  return new Map(
    Object.entries(policy.workspaces).flatMap(([name, workspace]) =>
      workspace.fetch === undefined ? [] : [[name, { name, workspace, identity: workspace.fetch }]],
    ),
  );
}

/** What signs in: the broker's own identity, and a cache of tokens for each use of the policy's identities. */
function buildIdentities(azure: Adapters, settings: Settings, policy: Policy, report: Report) {
  const own = azure.managedIdentityCredential(settings.brokerIdentityClientId);
  const readSecret = azure.createReadSecret({
    url: settings.keyVaultUrl,
    credential: own,
    challengeVerification: settings.challengeVerification,
  });
  const { identities } = policy;
  const { authorityHost } = settings.cloud;
  const ask = azure.createObtainToken({
    identities,
    authorityHost,
    instanceDiscovery: settings.instanceDiscovery,
    readSecret,
  });
  const obtain: typeof ask = async (identity, scope) => {
    try {
      const token = await ask(identity, scope);
      report('identities', true, identity);
      return token;
    } catch (error) {
      report('identities', false, identity);
      throw error;
    }
  };
  const tokensFor = (use: Identity['use']) => createAppTokens({ identities: namesOf(policy, use), obtain, clock, log });
  return { own, readSecret, fetchToken: tokensFor('fetch'), issueToken: tokensFor('issue') };
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
    report: (ok) => report('tokenCacheKey', ok),
  });
  const tokenStore = azure.createTokenStore({
    tables: azure.createTables('token store', settings.tokenStoreUrl, own),
    keys,
    clock,
    report: (ok) => report('tokenStore', ok),
  });
  const auditTables = settings.auditStoreUrls.map((url) => azure.createTables('audit store', url, own));
  const instanceId = randomUUID();
  const stores = auditTables.map((tables, index) =>
    azure.createAuditStore({ tables, name: `audit ${index + 1}`, instanceId, newId: randomUUID }),
  );
  const writeAudit = createRecorder({ stores, log, report: (ok, store) => report('auditStore', ok, store) });

  let keptAt: string | undefined;
  const keepAuditTables = async () => {
    const hour = clock().toISOString().slice(0, 13);
    if (keptAt === hour) return;
    await azure.keepAuditTables(auditTables, clock(), settings.auditRetentionMonths);
    keptAt = hour;
  };
  return { keys, tokenStore, writeAudit, keepAuditTables, instanceId };
}

/** All operations of the broker on one policy. */
async function build(settings: Settings, policy: Policy) {
  const azure = await loadAdapters();
  const { cloud } = settings;
  const report: Report = (...told) => health.report(...told);
  const identities = buildIdentities(azure, settings, policy, report);
  const stores = buildStores(azure, settings, identities, report);
  const { tokenStore, writeAudit, keepAuditTables } = stores;

  const fetchKeys = azure.createFetchEntraKeys(cloud.authorityHost);
  const keyRing = createKeyRing({ fetchKeys, clock, log, report: (ok, tenant) => report('callerKeys', ok, tenant) });
  const { issuerV1, issuerV2 } = cloud;
  const verifyCaller = createVerifier({ issuers: policy.issuers, issuerV1, issuerV2, keyRing, clock });

  const credentialOf = (identity: string) => azure.asTokenCredential(identities.fetchToken, identity);
  const { armEndpoint, armScope } = cloud;
  const machineLearning = azure.createMachineLearning({ armEndpoint, armScope, credentialOf, clock });
  const { endpointLookSeconds: lookSeconds, refreshAheadSeconds } = settings;
  const catalogue = createEndpointCatalogue({ machineLearning, store: tokenStore, clock, log, lookSeconds });
  const tokens = createEndpointTokens({ machineLearning, store: tokenStore, clock, log, refreshAheadSeconds });

  const grants = compileGrants(policy);
  const workspaces = fetchedWorkspaces(policy);
  const reachable = grants.workspacesWithEndpoints.flatMap((name) => workspaces.get(name) ?? []);
  const issue = createIssue({ grants, policyHash: policy.hash, writeAudit, clock, log });
  const findEndpoint = createFindEndpoint(workspaces, catalogue);

  const health = createHealth({
    clock,
    probes: {
      callerKeys: () => Promise.all(Object.values(policy.issuers).map(({ entraTenant }) => keyRing(entraTenant, ''))),
      auditStore: () =>
        writeAudit({ at: clock(), correlationId: stores.instanceId, decision: 'checked', policyHash: policy.hash }),
      tokenStore: () => tokenStore.prepare(),
      tokenCacheKey: () => stores.keys.current(),
      identities: () => Promise.all(namesOf(policy, 'fetch').map((name) => identities.fetchToken(name, armScope))),
    },
  });

  if (settings.role === 'all') {
    await keepAuditTables().catch((error) => log.error('audit_tables_not_kept', { error: nameError(error) }));
  }
  if (settings.role !== 'rotator') await health.readiness();
  return {
    verifyCaller,
    health,
    keepAuditTables,
    issueWorkspaceToken: createIssueWorkspaceToken({
      issue,
      appToken: identities.issueToken,
      scopes: { aml: cloud.amlScope, arm: cloud.armScope },
    }),
    issueEndpointToken: createIssueEndpointToken({ issue, findEndpoint, tokens }),
    issueEndpointKey: createIssueEndpointKey({ issue, findEndpoint, machineLearning }),
    listWorkspaces: createListWorkspaces({ grants, names: Object.keys(policy.workspaces), workspaces, catalogue }),
    refresh: createRefresh({ workspaces: reachable, grants, catalogue, tokens, log }),
  };
}

async function readPolicy({ policy }: Settings): Promise<Parsed<Policy>> {
  try {
    return parsePolicy(await readFile(path.resolve(appFolder, policy), 'utf8'));
  } catch (error) {
    return { ok: false, problems: [`POLICY: the file ${policy} cannot be read: ${nameError(error)}`] };
  }
}

/** A broken configuration is told whole in the log; the functions register all the same and answer 503. */
function refuseConfig(problems: readonly string[]): never {
  for (const problem of problems) log.error('config_problem', { problem });
  throw new BrokerError('config_invalid', { reason: `${problems.length} problems, each in a config_problem line` });
}

async function start(settings: Parsed<Settings>) {
  if (!settings.ok) return refuseConfig(settings.problems);
  const policy = await readPolicy(settings.value);
  if (!policy.ok) return refuseConfig(policy.problems);
  return build(settings.value, policy.value);
}

const settings = parseSettings(process.env);
const started = start(settings);
// Told to every caller; without this line an early failure would end the process instead.
started.catch(() => undefined);
const broker = () => started;

/** With broken settings the role is not known: everything registers, and everything answers 503. */
const role = settings.ok ? settings.value.role : 'all';

/** A schedule that is set is named, so that the host reads the setting; otherwise the preset holds. */
const scheduleOf = (name: string, set: string | undefined, preset: string) =>
  set === undefined ? preset : `%${name}%`;
const { refreshSchedule, rotateSchedule } = settings.ok ? settings.value : {};

if (role !== 'rotator') {
  const post = { methods: ['POST'] satisfies HttpMethod[], authLevel: 'anonymous' as const };
  const get = { methods: ['GET'] satisfies HttpMethod[], authLevel: 'anonymous' as const };
  const endpointRoute = 'workspaces/{workspace}/endpoints/{endpoint}';
  app.http('workspaceToken', { ...post, route: 'workspaces/{workspace}/token', handler: workspaceToken(broker) });
  app.http('endpointToken', { ...post, route: `${endpointRoute}/token`, handler: endpointToken(broker) });
  app.http('endpointKey', { ...post, route: `${endpointRoute}/key`, handler: endpointKey(broker) });
  app.http('listWorkspaces', { ...get, route: 'workspaces', handler: listWorkspaces(broker) });
  app.http('live', { ...get, route: 'health/live', handler: live() });
  app.http('ready', { ...get, route: 'health/ready', handler: ready(broker) });
  app.timer('refreshEndpointTokens', {
    schedule: scheduleOf('REFRESH_SCHEDULE', refreshSchedule, '0 * * * * *'),
    handler: refreshEndpointTokens(broker),
  });
}
if (role !== 'issuer') {
  app.timer('rotateSecrets', {
    schedule: scheduleOf('ROTATE_SCHEDULE', rotateSchedule, '0 */5 * * * *'),
    handler: rotateSecrets(broker),
  });
}
