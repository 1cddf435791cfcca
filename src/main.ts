import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { app, type HttpMethod } from '@azure/functions';
import { createRecorder, type RecorderOptions, tryEachStore } from './audit/recorder.ts';
import { createKeyRing } from './callers/published-keys.ts';
import { createVerifier } from './callers/verify.ts';
import { identityNames, type Policy, parsePolicy } from './config/policy.ts';
import type { Identity } from './config/policy-schema.ts';
import { type Parsed, type ParsedSettings, parseSettings, type Settings } from './config/settings.ts';
import { BrokerError } from './errors.ts';
import { createEndpointCatalogue } from './freshness/endpoint-catalogue.ts';
import { createEndpointTokens } from './freshness/endpoint-tokens.ts';
import { fetchedWorkspaces } from './freshness/fetched-workspaces.ts';
import { createRefresh } from './freshness/refresh.ts';
import { endpointKey } from './functions/endpoint-key.ts';
import { endpointToken } from './functions/endpoint-token.ts';
import { live, ready } from './functions/health.ts';
import { listWorkspaces } from './functions/list-workspaces.ts';
import { refreshEndpointTokens } from './functions/refresh-endpoint-tokens.ts';
import { rotateSecrets } from './functions/rotate-secrets.ts';
import { workspaceToken } from './functions/workspace-token.ts';
import { compileGrants } from './grants/compile.ts';
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
  const read = azure.createReadSecret({
    url: settings.keyVaultUrl,
    credential: own,
    challengeVerification: settings.challengeVerification,
  });
  const readSecret: typeof read = (name) => watch(report, 'keyVault')(() => read(name));
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
    report: (ok) => report('tokenCacheKey', ok ? 'ok' : 'down'),
  });
  const tokenStore = azure.createTokenStore({
    tables: azure.createTables('token store', settings.tokenStoreUrl, own),
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

  let keptAt: string | undefined;
  const keepAuditTables = async () => {
    const hour = clock().toISOString().slice(0, 13);
    if (keptAt === hour) return;
    await azure.keepAuditTables(auditTables, clock(), settings.auditRetentionMonths);
    keptAt = hour;
  };
  return { keys, tokenStore, recorder, keepAuditTables, instanceId };
}

/** All operations of the broker on one policy. */
async function build(settings: Settings, policy: Policy) {
  const azure = await loadAdapters();
  const { cloud } = settings;
  const report: Report = (...told) => health.report(...told);
  const identities = buildIdentities(azure, settings, policy, report);
  const stores = buildStores(azure, settings, identities, report);
  const { tokenStore, recorder, keepAuditTables } = stores;
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
  return {
    verifyCaller,
    health,
    keepAuditTables,
    issueWorkspaceToken: createIssueWorkspaceToken({
      issue,
      appToken: identities.issueToken,
      scopes: { aml: cloud.amlScope, arm: cloud.armScope },
    }),
    issueEndpointToken: createIssueEndpointToken({ issue, useEndpoint, tokens }),
    issueEndpointKey: createIssueEndpointKey({ issue, useEndpoint, machineLearning }),
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

async function readPolicy(file: string): Promise<Parsed<Policy>> {
  try {
    return parsePolicy(await readFile(path.resolve(appFolder, file), 'utf8'));
  } catch (error) {
    return { ok: false, problems: [`POLICY: the file ${file} cannot be read: ${nameError(error)}`] };
  }
}

/** A broken configuration is told whole in the log; the functions register all the same and answer 503. */
function refuseConfig(problems: readonly string[]): never {
  for (const problem of problems) log.error('config_problem', { problem });
  throw new BrokerError('config_invalid', { reason: `${problems.length} problems, each in a config_problem line` });
}

async function start(settings: ParsedSettings) {
  const policy = await readPolicy(settings.policy);
  if (settings.ok && policy.ok) return build(settings.value, policy.value);
  return refuseConfig([settings, policy].flatMap((parsed) => (parsed.ok ? [] : parsed.problems)));
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
