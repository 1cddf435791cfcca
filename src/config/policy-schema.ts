import * as z from 'zod';
import { durationSeconds } from './duration.ts';

/** The shape of broker.yaml. What no shape can say (dangling names, grants that never match) is in `cross-checks.ts`. */

const name = z
  .string()
  .regex(
    /^(?!\d+$)[a-zA-Z0-9][a-zA-Z0-9-]{0,62}$/,
    'must be letters, digits and hyphens, at most 63, not starting with a hyphen and not a mere number',
  );

const guid = z.guid('must be a GUID').transform((text) => text.toLowerCase());

const audience = z
  .string()
  .min(1)
  .refine(
    (text) => text.toLowerCase() !== 'api://azureadtokenexchange',
    'is the audience of federated credentials: a token for it must never be sent to a broker',
  );

const issuer = z
  .strictObject({
    entraTenant: guid.describe('Tenant whose v1 and v2 access tokens are accepted.'),
    audience: z
      .union([audience.transform((one) => [one]), z.array(audience).min(1).max(4)])
      .describe(
        'What the token’s aud must be, exactly: the application id URI (v1 tokens), the application id (v2 tokens).',
      ),
  })
  .describe('An issuer of caller tokens.');

const entraNames = ['email', 'upn', 'preferred_username', 'unique_name', 'name', 'family_name', 'given_name'];

const matcher = z
  .strictObject({
    issuer: name.describe('A name under issuers.'),
    class: z.enum(['user', 'app']).describe('user: a signed-in person; app: a service, job or managed identity.'),
    oid: guid.optional().describe('Object id of the user or service principal.'),
    subject: z.string().min(1).optional().describe('The sub claim.'),
    appId: guid.optional().describe('Client id of the calling application; class app only.'),
    roles: z.array(z.string().min(1)).min(1).optional().describe('App roles that the token must all have.'),
    claims: z
      .record(
        z
          .string()
          .refine(
            (claim) => !entraNames.includes(claim.toLowerCase()),
            'is a name that its holder or an administrator can change: match on oid or subject',
          ),
        z.union([z.string(), z.number(), z.boolean()]),
      )
      .optional()
      .describe('Claims that the token must all have, exactly.'),
  })
  .describe('Which callers are meant.');

const managedIdentity = z.strictObject({
  clientId: guid.optional().describe('Client id of a user-assigned identity; absent means system-assigned.'),
});

const servicePrincipal = z.strictObject({
  tenantId: guid,
  clientId: guid,
  secret: z
    .string()
    .regex(/^[0-9a-zA-Z-]{1,127}$/, 'must be the name of a Key Vault secret, not the secret')
    .describe('Name of the Key Vault secret that holds the password.'),
});

const identity = z
  .strictObject({
    use: z
      .enum(['fetch', 'issue'])
      .describe('fetch: the broker itself calls Azure ML with it; issue: its tokens are handed out. Never both.'),
    sharedBy: z.array(name).min(2).optional().describe('Workspaces that knowingly share an issue identity.'),
    managedIdentity: managedIdentity.optional(),
    servicePrincipal: servicePrincipal.optional(),
  })
  .refine(
    (value) => (value.managedIdentity === undefined) !== (value.servicePrincipal === undefined),
    'must say exactly one of managedIdentity and servicePrincipal',
  )
  .describe('What obtains tokens from Entra.');

const workspace = z
  .strictObject({
    subscription_id: guid,
    resource_group: z.string().regex(/^[-\w._()]{1,90}$/, 'must be the name of a resource group'),
    workspace_name: z.string().regex(/^[a-zA-Z0-9][\w-]{2,32}$/, 'must be the name of an Azure ML workspace'),
    fetch: name.optional().describe('The fetch identity that reads endpoints and obtains their tokens and keys.'),
  })
  .describe('An Azure ML workspace: the keys of its config.json, verbatim.');

const endpointPattern = z
  .string()
  .regex(/^[a-zA-Z0-9][a-zA-Z0-9-]*\/[a-zA-Z0-9_*-]{1,255}$/, 'must be workspace/endpoint; * stands for any characters')
  .describe('workspace/endpoint; * stands for any characters.');

const allowed = z.union(
  [
    z.strictObject({
      workspace: name,
      audience: z.enum(['aml', 'arm']).describe('aml: Azure ML’s own API; arm: Resource Manager.'),
      identity: name,
    }),
    z.strictObject({
      endpointToken: endpointPattern,
      identity: name.optional().describe('For endpoints in aad_token mode: the issue identity.'),
    }),
    z.strictObject({ endpointKey: endpointPattern }),
  ],
  'must be { workspace, audience, identity }, { endpointToken, identity? } or { endpointKey }',
);

const grant = z
  .strictObject({
    caller: matcher,
    allow: z.array(allowed).min(1),
    maxLifetime: durationSeconds.describe('The most seconds that a token may have left when it is handed out.'),
    suspended: z.boolean().default(false).describe('true: the grant is kept but allows nothing.'),
    bypassesConditionalAccess: z
      .boolean()
      .default(false)
      .describe('Class user only: says knowingly that the user’s Conditional Access is not asked.'),
  })
  .describe('Callers that match may obtain these targets, for at most this long.');

/** Key Vault allows 127 characters; eight are kept for `-pending`, the secret that holds the next password. */
const rotationName = z
  .string()
  .regex(
    /^[0-9a-zA-Z-]{1,119}$/,
    'must be the name of a Key Vault secret: letters, digits and hyphens, at most 119 so that {name}-pending fits too',
  );

/** Shorter ones would only fill Key Vault with versions. */
const SHORTEST_ROTATION_SECONDS = 60;

const rotateEvery = durationSeconds
  .refine((seconds) => seconds >= SHORTEST_ROTATION_SECONDS, 'must be at least 1m')
  .describe('How old the secret or key in use may become before the next one is made.');

const overlap = durationSeconds
  .prefault('24h')
  .describe('How long the previous one keeps working after its successor became current. Default 24h.');

const secretRotation = z
  .strictObject({
    tenantId: guid,
    clientId: guid.describe('Client id (appId) of the application. Never the broker’s own.'),
    application: guid.describe('Object id of the application: az ad app show --id <clientId> --query id.'),
    rotateEvery,
    lifetime: durationSeconds
      .prefault('90d')
      .describe('Life asked for each new password; longer than rotateEvery and overlap together. Default 90d.'),
    overlap,
  })
  .describe('A service principal’s password. The entry’s name is the Key Vault secret that holds it.');

const keyRotation = z
  .strictObject({
    endpointKeys: z
      .string()
      .regex(/^[a-zA-Z0-9][a-zA-Z0-9-]*\/[a-zA-Z0-9][a-zA-Z0-9_-]{0,254}$/, 'must be workspace/endpoint, without *')
      .describe('workspace/endpoint: an endpoint in key mode.'),
    rotateEvery,
    overlap,
  })
  .describe('The two keys of an online endpoint, by turns.');

export const policySchema = z.strictObject({
  issuers: z.record(name, issuer),
  operators: z.array(matcher).default([]),
  identities: z.record(name, identity).default({}),
  workspaces: z.record(name, workspace).default({}),
  grants: z.record(name, grant).default({}),
  rotations: z
    .record(rotationName, z.union([secretRotation, keyRotation]))
    .default({})
    .describe('What is rotated: service principals’ passwords by the name of their Key Vault secret, endpoints’ keys.'),
  deny: z.array(matcher).default([]).describe('Callers cut off at once, whatever the grants say.'),
});

export type PolicyDocument = z.output<typeof policySchema>;
export type Matcher = PolicyDocument['deny'][number];
export type Grant = PolicyDocument['grants'][string];
export type Allowed = Grant['allow'][number];
export type Issuer = PolicyDocument['issuers'][string];
export type Identity = PolicyDocument['identities'][string];
export type Workspace = PolicyDocument['workspaces'][string];
export type RotationEntry = PolicyDocument['rotations'][string];

/** The JSON Schema of broker.yaml for editors, made from the schema that validates it. */
export function policyJsonSchema(): object {
  return {
    ...z.toJSONSchema(policySchema, { io: 'input', unrepresentable: 'any' }),
    title: 'Policy of the Azure ML token broker (broker.yaml)',
  };
}
