import * as z from 'zod';
import { durationSeconds } from './duration.ts';
import { issuerSchema } from './issuer-schema.ts';
import { matcherSchema } from './matcher-schema.ts';
import { expectation } from './question-schema.ts';
import { guid, name } from './shapes.ts';

/** The shape of broker.yaml. What no shape can say (dangling names, grants that never match) is in `cross-checks.ts`. */

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

/** The managed identity whose token proves an application to Entra, in place of a secret (workload identity federation). */
const assertedBy = {
  tenantId: guid,
  clientId: guid.describe('Client id of the application that trusts the managed identity by a federated credential.'),
  managedIdentity: managedIdentity.describe('The managed identity whose token is the client assertion.'),
};

const kinds = ['managedIdentity', 'servicePrincipal', 'federated', 'onBehalfOf'] as const;

const identity = z
  .strictObject({
    use: z
      .enum(['fetch', 'issue'])
      .describe('fetch: the broker itself calls Azure ML with it; issue: its tokens are handed out. Never both.'),
    sharedBy: z.array(name).min(2).optional().describe('Workspaces that knowingly share an issue identity.'),
    managedIdentity: managedIdentity.optional(),
    servicePrincipal: servicePrincipal.optional(),
    federated: z.strictObject(assertedBy).optional().describe('An application without a secret: the default choice.'),
    onBehalfOf: z
      .strictObject(assertedBy)
      .optional()
      .describe('The signed-in user’s own access, through the application whose API the user’s token is for.'),
  })
  .refine(
    (value) => kinds.filter((kind) => value[kind] !== undefined).length === 1,
    'must say exactly one of managedIdentity, servicePrincipal, federated and onBehalfOf',
  )
  .describe('What obtains tokens from Entra.');

/** Names of services of SDK v1: Microsoft's reference of `Webservice.deploy`. */
const serviceName = z
  .string()
  .regex(
    /^[a-z](?:[a-z0-9-]{0,30}[a-z0-9])?$/,
    'must be the name of a web service: lower-case letters, digits and hyphens, at most 32, a letter first',
  );

const workspace = z
  .strictObject({
    subscription_id: guid,
    resource_group: z.string().regex(/^[-\w._()]{1,90}$/, 'must be the name of a resource group'),
    workspace_name: z.string().regex(/^[a-zA-Z0-9][\w-]{2,32}$/, 'must be the name of an Azure ML workspace'),
    fetch: name.optional().describe('The fetch identity that reads endpoints and obtains their tokens and keys.'),
    endpoints: z
      .record(serviceName, z.strictObject({ kind: z.literal('webService').describe('A web service of SDK v1.') }))
      .optional()
      .describe('What is not an online endpoint, by its name; online endpoints need no entry.'),
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
    caller: matcherSchema,
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
  issuers: z.record(name, issuerSchema),
  operators: z.array(matcherSchema).default([]),
  identities: z.record(name, identity).default({}),
  workspaces: z.record(name, workspace).default({}),
  grants: z.record(name, grant).default({}),
  rotations: z
    .record(rotationName, z.union([secretRotation, keyRotation]))
    .default({})
    .describe('What is rotated: service principals’ passwords by the name of their Key Vault secret, endpoints’ keys.'),
  deny: z.array(matcherSchema).default([]).describe('Callers cut off at once, whatever the grants say.'),
  expect: z.array(expectation).default([]).describe('Tests of this policy, run by npm run policy -- check.'),
});

export type PolicyDocument = z.output<typeof policySchema>;
export type Matcher = PolicyDocument['deny'][number];
export type Grant = PolicyDocument['grants'][string];
export type Allowed = Grant['allow'][number];
export type Issuer = PolicyDocument['issuers'][string];
export type EntraIssuer = Extract<Issuer, { entraTenant: string }>;
export type OidcIssuer = Extract<Issuer, { issuer: string }>;
export type Identity = PolicyDocument['identities'][string];
export type Workspace = PolicyDocument['workspaces'][string];
export type DescribedCaller = PolicyDocument['expect'][number]['caller'];
export type RotationEntry = PolicyDocument['rotations'][string];

/** The JSON Schema of broker.yaml for editors, made from the schema that validates it. */
export function policyJsonSchema(): object {
  return {
    ...z.toJSONSchema(policySchema, { io: 'input', unrepresentable: 'any' }),
    title: 'Policy of the Azure ML token broker (broker.yaml)',
  };
}
