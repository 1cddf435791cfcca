import * as z from 'zod';
import { type Cloud, clouds } from './clouds.ts';
import { isNcrontab } from './ncrontab.ts';
import { isBlobUrl } from './policy-source.ts';

/**
 * The app settings, read once. This file says what each means; the README's table repeats it for people. Nothing else
 * in the product reads the environment.
 */

export type Role = 'issuer' | 'rotator' | 'all';

export interface Settings {
  role: Role;
  /** Where callers reach the broker; links and audiences are built on it, never on the Host header. */
  publicUrl: string;
  /** Path of broker.yaml, absolute or relative to the app folder; or the https URL of a blob. */
  policy: string;
  keyVaultUrl: string;
  /** The storage account's table service that holds sealed endpoint tokens. */
  tokenStoreUrl: string;
  /** One or two storage accounts' table services for audit rows; tried in order. */
  auditStoreUrls: readonly string[];
  /** The Key Vault secret that holds the key for sealing endpoint tokens. */
  tokenCacheKey: string;
  cloud: Cloud;
  /** Off only where the cloud is `custom`: no instance discovery at Microsoft's own host. */
  instanceDiscovery: boolean;
  /** Off only where the cloud is `custom`: Key Vault's challenge may name another host than the vault's. */
  challengeVerification: boolean;
  /** Only where the cloud is `custom`: OIDC issuers may be on loopback, on the link or at a private address. */
  internalIssuers: boolean;
  /** Only where the cloud is `custom`: where the documents of OIDC issuers are fetched instead of at the issuers. */
  oidcUrl: string | undefined;
  /** Client id of the user-assigned identity for Key Vault and tables; absent means system-assigned. */
  brokerIdentityClientId: string | undefined;
  /** Six-field NCRONTAB texts; absent means that the default of the trigger holds. */
  refreshSchedule: string | undefined;
  rotateSchedule: string | undefined;
  /** How long a description of an endpoint (mode, creation, address) is used before it is looked at again. */
  endpointLookSeconds: number;
  /** How long before `refreshBy` the timer obtains the next endpoint token, at most. */
  refreshAheadSeconds: number;
  auditRetentionMonths: number;
  /** A rotation at rest is looked at again after this long: what was changed by hand is noticed then. */
  rotationLookSeconds: number;
  /** From the first to the last of the sign-ins that prove a new secret. */
  proofSpreadSeconds: number;
  /** How many sign-ins in a row prove a new secret. */
  proofCount: number;
  /** What one caller may ask of one instance. */
  callerRequestsPerMinute: number;
}

export type Parsed<T> = { ok: true; value: T } | { ok: false; problems: string[] };

/** Broken settings still say where the policy is, so that its problems can be told in the same breath. */
export type ParsedSettings = Parsed<Settings> & { policy: string };

const withoutSlash = (url: string): string => url.replace(/\/+$/, '');

const httpsUrl = z.url({ protocol: /^https$/, error: 'must be an https URL' }).transform(withoutSlash);

/** A query could hold a shared access signature, which is a secret in a setting that is shown around. */
function isPlainHttps(text: string): boolean {
  const url = URL.parse(text);
  return url?.protocol === 'https:' && url.pathname.length > 1 && url.search + url.hash + url.username === '';
}

const onOff = z.enum(['on', 'off'], 'must be on or off').default('on');

const wholeNumber = (minimum: number, maximum: number) =>
  z
    .string()
    .regex(/^\d{1,9}$/, `must be a whole number from ${minimum} to ${maximum}`)
    .transform(Number)
    .refine((value) => value >= minimum && value <= maximum, `must be from ${minimum} to ${maximum}`);

const schedule = z
  .string()
  .refine(isNcrontab, 'must be an NCRONTAB text of six fields: second minute hour day month weekday');

const DEFAULT_POLICY = 'broker.yaml';
export const DEFAULT_TOKEN_CACHE_KEY = 'token-cache-key';

const environment = z.object({
  BROKER_ROLE: z.enum(['issuer', 'rotator', 'all'], 'must be issuer, rotator or all').default('issuer'),
  PUBLIC_URL: z
    .url({ protocol: /^https?$/, error: 'must be the URL at which callers reach the broker' })
    .transform(withoutSlash),
  POLICY: z
    .string()
    .min(1)
    .refine(
      (text) => !isBlobUrl(text) || isPlainHttps(text),
      'must be a path, or the https URL of a blob without a query: the broker signs in to read it',
    )
    .default(DEFAULT_POLICY),
  KEY_VAULT_URL: httpsUrl,
  TOKEN_STORE_URL: httpsUrl,
  AUDIT_STORE_URLS: z
    .string()
    .transform((text) => text.split(/[\s,]+/).filter((part) => part !== ''))
    .pipe(z.array(httpsUrl).min(1, 'must name one or two https URLs').max(2, 'must name one or two https URLs')),
  TOKEN_CACHE_KEY: z
    .string()
    .regex(/^[0-9a-zA-Z-]{1,127}$/, 'must be the name of a Key Vault secret: letters, digits and hyphens')
    .default(DEFAULT_TOKEN_CACHE_KEY),
  AZURE_CLOUD: z
    .enum(['public', 'china', 'usgovernment', 'custom'], 'must be public, china, usgovernment or custom')
    .default('public'),
  ENTRA_URL: httpsUrl.optional(),
  ARM_URL: httpsUrl.optional(),
  GRAPH_URL: httpsUrl.optional(),
  OIDC_URL: httpsUrl.optional(),
  ENTRA_INSTANCE_DISCOVERY: onOff,
  KEY_VAULT_CHALLENGE_VERIFICATION: onOff,
  BROKER_IDENTITY_CLIENT_ID: z.guid('must be the client id of a user-assigned managed identity').optional(),
  REFRESH_SCHEDULE: schedule.optional(),
  ROTATE_SCHEDULE: schedule.optional(),
  ENDPOINT_LOOK_SECONDS: wholeNumber(1, 3600).default(60),
  REFRESH_AHEAD_SECONDS: wholeNumber(1, 86_400).default(900),
  AUDIT_RETENTION_MONTHS: wholeNumber(1, 120).default(13),
  ROTATION_LOOK_SECONDS: wholeNumber(1, 86_400).default(300),
  PROOF_SPREAD_SECONDS: wholeNumber(0, 3600).default(60),
  PROOF_COUNT: wholeNumber(1, 10).default(3),
  CALLER_REQUESTS_PER_MINUTE: wholeNumber(1, 10_000_000).default(6000),
});

type Environment = z.output<typeof environment>;

const customNeeds = ['ENTRA_URL', 'ARM_URL', 'GRAPH_URL'] as const;
const customOnly = [...customNeeds, 'OIDC_URL'] as const;

/** Rules that no single setting can state; told even where single settings are broken. */
function crossCheck(given: Readonly<Record<string, string | undefined>>): string[] {
  if (given.AZURE_CLOUD === 'custom') {
    return customNeeds.flatMap((name) =>
      given[name] === undefined ? [`${name}: is needed where AZURE_CLOUD is custom`] : [],
    );
  }
  const problems = customOnly.flatMap((name) =>
    given[name] === undefined ? [] : [`${name}: is read only where AZURE_CLOUD is custom; remove it`],
  );
  for (const name of ['ENTRA_INSTANCE_DISCOVERY', 'KEY_VAULT_CHALLENGE_VERIFICATION']) {
    if (given[name] === 'off') problems.push(`${name}: may be off only where AZURE_CLOUD is custom`);
  }
  if (given.PUBLIC_URL?.startsWith('http:')) problems.push('PUBLIC_URL: must be an https URL');
  return problems;
}

/** A custom cloud moves where keys and tokens are fetched, never the issuer that a token must name. */
function cloudOf(env: Environment): Cloud {
  if (env.AZURE_CLOUD !== 'custom') return clouds[env.AZURE_CLOUD];
  const armEndpoint = env.ARM_URL ?? clouds.public.armEndpoint;
  return {
    ...clouds.public,
    authorityHost: env.ENTRA_URL ?? clouds.public.authorityHost,
    armEndpoint,
    amlRegionEndpoint: () => armEndpoint,
    graphEndpoint: env.GRAPH_URL ?? clouds.public.graphEndpoint,
  };
}

function describe(issue: z.core.$ZodIssue): string {
  const name = issue.path[0]?.toString() ?? 'settings';
  const missing = issue.code === 'invalid_type' && issue.input === undefined;
  return `${name}: ${missing ? 'is missing' : issue.message}`;
}

/**
 * Reads the settings from an environment. All problems are reported together, each naming its setting; an empty value
 * counts as absent, because templates often leave one behind.
 */
export function parseSettings(env: Readonly<Record<string, string | undefined>>): ParsedSettings {
  const given = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== undefined && value !== ''));
  const policy = given.POLICY ?? DEFAULT_POLICY;
  const parsed = environment.safeParse(given, { reportInput: true });
  const problems = [...(parsed.error?.issues.map(describe) ?? []), ...crossCheck(given)];
  if (!parsed.success || problems.length > 0) return { ok: false, problems, policy };
  const values = parsed.data;
  return {
    ok: true,
    policy,
    value: {
      role: values.BROKER_ROLE,
      publicUrl: values.PUBLIC_URL,
      policy: values.POLICY,
      keyVaultUrl: values.KEY_VAULT_URL,
      tokenStoreUrl: values.TOKEN_STORE_URL,
      auditStoreUrls: values.AUDIT_STORE_URLS,
      tokenCacheKey: values.TOKEN_CACHE_KEY,
      cloud: cloudOf(values),
      instanceDiscovery: values.ENTRA_INSTANCE_DISCOVERY === 'on',
      challengeVerification: values.KEY_VAULT_CHALLENGE_VERIFICATION === 'on',
      internalIssuers: values.AZURE_CLOUD === 'custom',
      oidcUrl: values.OIDC_URL,
      brokerIdentityClientId: values.BROKER_IDENTITY_CLIENT_ID,
      refreshSchedule: values.REFRESH_SCHEDULE,
      rotateSchedule: values.ROTATE_SCHEDULE,
      endpointLookSeconds: values.ENDPOINT_LOOK_SECONDS,
      refreshAheadSeconds: values.REFRESH_AHEAD_SECONDS,
      auditRetentionMonths: values.AUDIT_RETENTION_MONTHS,
      rotationLookSeconds: values.ROTATION_LOOK_SECONDS,
      proofSpreadSeconds: values.PROOF_SPREAD_SECONDS,
      proofCount: values.PROOF_COUNT,
      callerRequestsPerMinute: values.CALLER_REQUESTS_PER_MINUTE,
    },
  };
}
