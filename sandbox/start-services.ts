import { createArm } from './arm/arm.ts';
import { faultBody as armFaultBody } from './arm/arm-errors.ts';
import { createEndpointOperations } from './arm/endpoint-operations.ts';
import { resourceGroupId } from './arm/resource-ids.ts';
import { type PolicyOperations, startPolicyBlob } from './blobs/start-policy-blob.ts';
import type { SandboxEndpoints } from './broker-settings.ts';
import { startControl } from './control/start-control.ts';
import { createEntra } from './entra/create-entra.ts';
import { entraFaultBody } from './entra/fault-body.ts';
import type { EntraKeys } from './entra/keys.ts';
import { createGraph } from './graph/create-graph.ts';
import { graphFaultBody } from './graph/graph-answers.ts';
import { type FaultBody, type Handler, type ServiceName, serve } from './http/service.ts';
import { createKeyVault } from './key-vault/key-vault.ts';
import { createSecretOperations } from './key-vault/secret-operations.ts';
import { faultBody as keyVaultFaultBody } from './key-vault/vault-answers.ts';
import { createManagedIdentity, managedIdentityFaultBody } from './managed-identity/create-managed-identity.ts';
import { createModelManagement, MODEL_MANAGEMENT_PREFIX } from './model-management/model-management.ts';
import type { OidcKeys } from './oidc/keys.ts';
import { createScoring, faultBody as scoringFaultBody } from './scoring/scoring.ts';
import { BROKER_IDENTITY, REGION, TENANT_ID } from './seed.ts';
import type { SandboxSettings } from './settings.ts';
import { createApplicationOperations } from './state/application-operations.ts';
import type { PretendAzure } from './state/pretend-azure.ts';
import type { Random } from './state/random.ts';
import { startTables } from './tables/start-tables.ts';

/** What the services share. */
export interface ServicesContext {
  azure: PretendAzure;
  keys: EntraKeys;
  oidcKeys: OidcKeys;
  identityHeader: string;
  tls: { cert: string; key: string };
  folder: string;
  settings: SandboxSettings;
  /** 0: free ports; else service n of the row listens on `firstPort` + n. */
  firstPort: number;
  clock: () => Date;
  random: Random;
}

export interface Stoppable {
  stop(): Promise<void>;
}

/** The two storage accounts, which Azurite serves behind proxies. */
type Storage = 'tables' | 'audit';

/** Where each service stands in the row of ports; 0 is the broker's HTTPS, which is not of the sandbox. */
const PORT_OFFSETS = {
  entra: 1,
  managedIdentity: 2,
  keyVault: 3,
  arm: 4,
  graph: 5,
  scoring: 6,
  tables: 7,
  audit: 8,
  control: 9,
  azurite: 10,
} as const;

/**
 * Starts all services and gives their URLs. What runs is added to `started` as soon as it runs, so that the caller can stop it
 * when a later one fails.
 */
export async function startServices(context: ServicesContext, started: Stoppable[]): Promise<SandboxEndpoints> {
  // Azurite is a process of its own and takes the longest: it starts while the others do. Both are waited for, also when one
  // fails, so that nothing starts after the caller has stopped what runs.
  const policy = context.settings.policyBlob ? await startPolicy(context, started) : undefined;
  const [storage, services] = await Promise.allSettled([
    startStorage(context, started),
    startAzure(context, policy, started),
  ]);
  if (storage.status === 'rejected') throw storage.reason;
  if (services.status === 'rejected') throw services.reason;
  return { ...services.value, ...storage.value, ...(policy === undefined ? {} : { policyBlob: policy.url }) };
}

async function startPolicy(context: ServicesContext, started: Stoppable[]) {
  const { azure, keys, folder, tls, clock, random } = context;
  const { calls, faults } = azure;
  const policy = await startPolicyBlob({ folder, tls, entra: keys, calls, faults, clock, random });
  started.push(policy);
  return policy;
}

async function startAzure(
  context: ServicesContext,
  policy: PolicyOperations | undefined,
  started: Stoppable[],
): Promise<Omit<SandboxEndpoints, Storage>> {
  const { azure, keys, settings, clock, random } = context;
  const { accessTokenSeconds, propagationSeconds } = settings;
  const common = { clock, random, keys, directory: azure.directory, accessTokenSeconds, propagationSeconds };
  let ownUrl = '';
  const entraHandler = createEntra({ ...common, oidcKeys: context.oidcKeys, baseUrl: () => ownUrl });
  const entra = await start('entra', entraHandler, entraFaultBody(common), context, started);
  ownUrl = entra;

  const identityHandler = createManagedIdentity({ ...common, identityHeader: context.identityHeader });
  const identityFault = managedIdentityFaultBody(random);
  const managedIdentity = await start('managedIdentity', identityHandler, identityFault, context, started);
  const keyVault = await start('keyVault', makeKeyVault(context, entra), keyVaultFaultBody, context, started);
  const graph = await start('graph', createGraph(common), graphFaultBody(common), context, started);
  const scorer = createScoring({ store: azure.endpoints, services: azure.webServices, entra: keys, clock, random });
  const scoring = await start('scoring', scorer, scoringFaultBody, context, started);
  const arm = await start('arm', makeArm(context, entra, scoring), armFaultBody, context, started);
  const control = await startControlService(context, policy, started);
  return { entra, managedIdentity, keyVault, arm, graph, scoring, control };
}

async function start(
  name: Exclude<ServiceName, Storage | 'blobs'>,
  handler: Handler,
  faultBody: FaultBody,
  context: ServicesContext,
  started: Stoppable[],
): Promise<string> {
  const { tls, clock, azure } = context;
  const { calls, faults } = azure;
  const service = await serve({ name, port: portOf(name, context), tls, handler, faultBody, calls, faults, clock });
  started.push(service);
  return `https://localhost:${service.port}`;
}

function makeKeyVault({ azure, keys, clock, random }: ServicesContext, entraUrl: string): Handler {
  return createKeyVault({
    store: azure.secrets,
    entra: keys,
    entraUrl,
    tenantId: TENANT_ID,
    resourceId: `${resourceGroupId}/providers/Microsoft.KeyVault/vaults/kv-token-broker`,
    region: REGION,
    secretsOfficers: [BROKER_IDENTITY.oid],
    clock,
    uuid: random.id,
  });
}

function makeArm(
  { azure, keys, settings, clock, random }: ServicesContext,
  entraUrl: string,
  scoringUrl: string,
): Handler {
  const arm = createArm({
    store: azure.endpoints,
    entra: keys,
    entraUrl,
    scoringUrl,
    endpointTokenSeconds: settings.endpointTokenSeconds,
    endpointRefreshAfterSeconds: settings.endpointRefreshAfterSeconds,
    clock,
    random,
  });
  // In Azure it has a host for each region; here it is ARM's.
  const modelManagement = createModelManagement({
    store: azure.webServices,
    entra: keys,
    scoringUrl,
    tokenSeconds: settings.endpointTokenSeconds,
    refreshAfterSeconds: settings.endpointRefreshAfterSeconds,
    clock,
    random,
  });
  return (exchange) => (exchange.path.startsWith(MODEL_MANAGEMENT_PREFIX) ? modelManagement : arm)(exchange);
}

async function startStorage(context: ServicesContext, started: Stoppable[]): Promise<Pick<SandboxEndpoints, Storage>> {
  const { folder, tls, keys, clock, azure } = context;
  const storage = await startTables({
    ports: {
      tables: portOf('tables', context),
      audit: portOf('audit', context),
      azurite: portOf('azurite', context),
    },
    folder,
    tls,
    entra: keys,
    contributors: [BROKER_IDENTITY.oid],
    calls: azure.calls,
    faults: azure.faults,
    clock,
  });
  started.push(storage);
  return { tables: storage.tables, audit: storage.audit };
}

async function startControlService(
  context: ServicesContext,
  policy: PolicyOperations | undefined,
  started: Stoppable[],
): Promise<string> {
  const { azure, keys, oidcKeys, settings, clock, random } = context;
  const control = await startControl({
    port: portOf('control', context),
    keys,
    oidcKeys,
    random,
    clock,
    accessTokenSeconds: settings.accessTokenSeconds,
    calls: azure.calls,
    faults: azure.faults,
    applications: createApplicationOperations(azure.directory, clock, random),
    secrets: createSecretOperations(azure.secrets),
    policy,
    endpoints: createEndpointOperations(azure.endpoints, clock),
  });
  started.push(control);
  return `http://127.0.0.1:${control.port}`;
}

function portOf(name: keyof typeof PORT_OFFSETS, { firstPort }: ServicesContext): number {
  return firstPort === 0 ? 0 : firstPort + PORT_OFFSETS[name];
}
