/**
 * What the pretend Azure holds at its start: fixed ids, so that policies, tours and tests can name them.
 * Secrets are not here: they are made anew at each start.
 */

export const TENANT_ID = '11111111-1111-4111-8111-111111111111';
/** A second tenant, of another company: its callers use the broker too, nothing else of it is here. */
export const PARTNER_TENANT_ID = '33333333-3333-4333-8333-333333333333';
export const SUBSCRIPTION_ID = '00000000-0000-4000-8000-00000000000a';
export const RESOURCE_GROUP = 'ml-platform';
export const REGION = 'westeurope';

/** Fixed, so that settings copied for `func start` outlive a restart of the sandbox; it opens nothing but loopback. */
export const IDENTITY_HEADER = '5a4d0b0c-0000-4000-8000-000000000001';

/** The app registration whose tokens callers present to the broker. */
export const BROKER_API = {
  appId: 'b0000000-0000-4000-8000-000000000001',
  /** Audience of v1 tokens; v2 tokens name the appId. */
  identifierUri: 'api://b0000000-0000-4000-8000-000000000001',
  /** What workloads of other issuers ask for. */
  workloadAudience: 'aml-token-broker',
} as const;

export interface ManagedIdentitySeed {
  name: string;
  /** Null: the system-assigned identity, which is asked for without a client id. */
  resourceId: string | null;
  clientId: string;
  /** Object id of its service principal. */
  oid: string;
  /** Application permissions for Microsoft Graph. */
  graphRoles: readonly string[];
}

function userAssignedId(name: string): string {
  return `/subscriptions/${SUBSCRIPTION_ID}/resourcegroups/${RESOURCE_GROUP}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/${name}`;
}

/** The broker's own system-assigned identity: Key Vault secrets officer, table data contributor, owner of `trainer`. */
export const BROKER_IDENTITY: ManagedIdentitySeed = {
  name: 'aml-token-broker',
  resourceId: null,
  clientId: 'a0000000-0000-4000-8000-0000000000c1',
  oid: 'a0000000-0000-4000-8000-000000000001',
  graphRoles: ['Application.ReadWrite.OwnedBy'],
};

/** ARM: read, token, listKeys and regenerateKeys in both workspaces. */
export const READER_IDENTITY: ManagedIdentitySeed = {
  name: 'reader',
  resourceId: userAssignedId('reader'),
  clientId: 'c0000000-0000-4000-8000-000000000001',
  oid: 'c0000000-0000-4000-8000-0000000000f1',
  graphRoles: [],
};

/** ARM: all of workspace dev. */
export const DEV_RUNNER_IDENTITY: ManagedIdentitySeed = {
  name: 'dev-runner',
  resourceId: userAssignedId('dev-runner'),
  clientId: 'c0000000-0000-4000-8000-000000000002',
  oid: 'c0000000-0000-4000-8000-0000000000f2',
  graphRoles: [],
};

/** Data action score/action on the endpoints of workspace prod. */
export const FRAUD_SCORER_IDENTITY: ManagedIdentitySeed = {
  name: 'fraud-scorer-identity',
  resourceId: userAssignedId('fraud-scorer-identity'),
  clientId: 'c0000000-0000-4000-8000-000000000003',
  oid: 'c0000000-0000-4000-8000-0000000000f3',
  graphRoles: [],
};

/** Its tokens prove applications to Entra in place of secrets; it has no role of its own anywhere. */
export const FEDERATION_IDENTITY: ManagedIdentitySeed = {
  name: 'federation',
  resourceId: userAssignedId('federation'),
  clientId: 'c0000000-0000-4000-8000-000000000004',
  oid: 'c0000000-0000-4000-8000-0000000000f4',
  graphRoles: [],
};

export const MANAGED_IDENTITIES = [
  BROKER_IDENTITY,
  READER_IDENTITY,
  DEV_RUNNER_IDENTITY,
  FRAUD_SCORER_IDENTITY,
  FEDERATION_IDENTITY,
] as const;

/** The application whose password the broker uses and rotates; ARM: reads and endpoint actions of workspace prod. */
export const TRAINER = {
  displayName: 'trainer',
  appId: 'd0000000-0000-4000-8000-000000000001',
  /** Object id of the application; Graph's paths take this one. */
  objectId: 'd0000000-0000-4000-8000-0000000000a1',
  /** Object id of its service principal: the `oid` of its tokens. */
  servicePrincipalId: 'd0000000-0000-4000-8000-0000000000f1',
  /** Name of the Key Vault secret that holds its password; also of the rotation in the sandbox's policy. */
  secretName: 'trainer-password',
} as const;

/** An application without a secret, which trusts the identity `federation`; ARM: all of workspace prod. */
export const DEPLOYER = {
  displayName: 'deployer',
  appId: 'd0000000-0000-4000-8000-000000000002',
  objectId: 'd0000000-0000-4000-8000-0000000000a2',
  servicePrincipalId: 'd0000000-0000-4000-8000-0000000000f2',
} as const;

/** Audience of the assertions that federated credentials accept in the public cloud. */
export const TOKEN_EXCHANGE_AUDIENCE = 'api://AzureADTokenExchange';

/**
 * The seeded password and secret look as a rotating broker leaves them, so that nothing is due right after the start:
 * the password carries the rotation's mark and the policy's lifetime, the secret says by its tags which password it holds.
 */
export const TRAINER_ROTATION = {
  rotationId: 'seed',
  displayName: `aml-token-broker/${TRAINER.secretName}/seed`,
  lifetimeSeconds: 90 * 86_400,
} as const;

/** Who `POST /callers` with `{}` makes a token for: the policy of the sandbox grants this application. */
export const DEFAULT_CALLER = {
  appId: 'e0000000-0000-4000-8000-000000000001',
  oid: 'e0000000-0000-4000-8000-0000000000f1',
  /** The person in whose name the same application asks when `class` is `user`; ARM: reads workspace prod. */
  userOid: 'e0000000-0000-4000-8000-0000000000f2',
} as const;

/** Subjects of the workloads that the sandbox's policy grants something: a GitHub Actions job, a service account. */
export const DEFAULT_WORKLOADS = {
  github: 'repo:contoso/fraud:ref:refs/heads/main',
  kubernetes: 'system:serviceaccount:fraud:scorer',
} as const;

/** Key Vault secret with the key of the broker's token cache (32 random bytes, base64url). */
export const TOKEN_CACHE_KEY_SECRET = 'token-cache-key';

export type AuthMode = 'AMLToken' | 'Key' | 'AADToken';

export interface WorkspaceSeed {
  /** Name in the broker's policy and in the control interface. */
  name: string;
  /** Name in Azure. */
  workspaceName: string;
  endpoints: readonly { name: string; authMode: AuthMode }[];
}

export interface WebServiceSeed {
  name: string;
  computeType: 'AKS' | 'ACI';
  /** Key authentication; on AKS not together with tokens. */
  authEnabled: boolean;
  /** Token authentication; AKS only. */
  aadAuthEnabled: boolean;
}

/** Services of SDK v1 in workspace prod. No policy of the sandbox names them. */
export const WEB_SERVICES: readonly WebServiceSeed[] = [
  { name: 'churn-v1', computeType: 'AKS', authEnabled: false, aadAuthEnabled: true },
  { name: 'pricing-v1', computeType: 'AKS', authEnabled: true, aadAuthEnabled: false },
  { name: 'demo-v1', computeType: 'ACI', authEnabled: false, aadAuthEnabled: false },
];

export const WORKSPACES: readonly WorkspaceSeed[] = [
  {
    name: 'prod',
    workspaceName: 'ml-prod',
    endpoints: [
      { name: 'fraud-aml', authMode: 'AMLToken' },
      { name: 'fraud-scorer', authMode: 'Key' },
      { name: 'fraud-aad', authMode: 'AADToken' },
      { name: 'churn-aml', authMode: 'AMLToken' },
      // Its keys are rotated by turns; those of fraud-scorer are not.
      { name: 'fraud-turns', authMode: 'Key' },
    ],
  },
  { name: 'dev', workspaceName: 'ml-dev', endpoints: [{ name: 'dev-aml', authMode: 'AMLToken' }] },
];
