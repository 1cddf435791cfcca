/**
 * What the pretend Azure holds at its start: fixed ids, so that policies, tours and tests can name them.
 * Secrets are not here: they are made anew at each start.
 */

export const TENANT_ID = '11111111-1111-4111-8111-111111111111';
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

export const MANAGED_IDENTITIES = [
  BROKER_IDENTITY,
  READER_IDENTITY,
  DEV_RUNNER_IDENTITY,
  FRAUD_SCORER_IDENTITY,
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
  /** The person in whose name the same application asks when `class` is `user`. */
  userOid: 'e0000000-0000-4000-8000-0000000000f2',
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
