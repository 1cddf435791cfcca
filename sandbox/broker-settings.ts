import { OIDC_PREFIX } from './oidc/create-oidc.ts';
import { TOKEN_CACHE_KEY_SECRET } from './seed.ts';
import type { SandboxSettings } from './settings.ts';

export type SandboxEndpoints = Record<
  'entra' | 'managedIdentity' | 'keyVault' | 'arm' | 'graph' | 'scoring' | 'tables' | 'audit' | 'control',
  string
> & {
  /** The policy's blob, where the sandbox has one. */
  policyBlob?: string;
};

/** A broker in the sandbox follows which endpoints exist more often than one in Azure, so that a person can watch it. */
const ENDPOINT_LOOK_SECONDS = 10;
/** So is what a person changes by hand on a rotation's secret or application. */
const ROTATION_LOOK_SECONDS = 5;

/** The app settings that lead a broker to this sandbox. PUBLIC_URL, BROKER_ROLE and, unless it is in a blob, POLICY are up to who starts it. */
export function brokerSettingsFor(sandbox: {
  endpoints: SandboxEndpoints;
  identityHeader: string;
  caCertificate: string;
  settings: SandboxSettings;
}): Record<string, string> {
  const { endpoints, settings } = sandbox;
  return {
    AZURE_CLOUD: 'custom',
    ENTRA_URL: endpoints.entra,
    ARM_URL: endpoints.arm,
    GRAPH_URL: endpoints.graph,
    OIDC_URL: `${endpoints.entra}${OIDC_PREFIX}`,
    ENTRA_INSTANCE_DISCOVERY: 'off',
    KEY_VAULT_CHALLENGE_VERIFICATION: 'off',
    KEY_VAULT_URL: endpoints.keyVault,
    TOKEN_STORE_URL: endpoints.tables,
    AUDIT_STORE_URLS: endpoints.audit,
    TOKEN_CACHE_KEY: TOKEN_CACHE_KEY_SECRET,
    IDENTITY_ENDPOINT: `${endpoints.managedIdentity}/msi/token`,
    IDENTITY_HEADER: sandbox.identityHeader,
    NODE_EXTRA_CA_CERTS: sandbox.caCertificate,
    REFRESH_SCHEDULE: settings.refreshSchedule,
    ROTATE_SCHEDULE: settings.rotateSchedule,
    ...(endpoints.policyBlob === undefined ? {} : { POLICY: endpoints.policyBlob }),
    PROOF_SPREAD_SECONDS: String(settings.proofSpreadSeconds),
    ENDPOINT_LOOK_SECONDS: String(ENDPOINT_LOOK_SECONDS),
    ROTATION_LOOK_SECONDS: String(ROTATION_LOOK_SECONDS),
  };
}
