import type { JWTPayload } from 'jose';
import * as z from 'zod';
import { appClaims, userClaims } from '../entra/claims.ts';
import type { EntraKeys } from '../entra/keys.ts';
import { workloadClaims } from '../oidc/claims.ts';
import { GITHUB_ACTIONS, KUBERNETES } from '../oidc/issuers.ts';
import type { OidcKeys } from '../oidc/keys.ts';
import { BROKER_API, DEFAULT_CALLER, DEFAULT_WORKLOADS, TENANT_ID } from '../seed.ts';
import type { Random } from '../state/random.ts';

const MAX_LIFETIME_SECONDS = 366 * 86_400;

/** What only a token of Entra, and what only a token of another issuer is made from. */
const ENTRA_ONLY = ['tenant', 'version', 'appId', 'oid', 'roles', 'scp'] as const;
const WORKLOAD_ONLY = ['issuer', 'subject'] as const;

const callerShape = z.strictObject({
  tenant: z.guid().optional(),
  version: z.enum(['1.0', '2.0']).optional(),
  class: z.enum(['app', 'user', 'workload']).optional(),
  appId: z.guid().optional(),
  oid: z.guid().optional(),
  /** App roles of the broker's API. */
  roles: z.array(z.string()).optional(),
  /** Delegated permissions, separated by spaces; only for users. */
  scp: z.string().optional(),
  /** The `iss` of a workload's token, word for word. */
  issuer: z.string().min(1).optional(),
  /** The `sub` of a workload's token. */
  subject: z.string().min(1).optional(),
  /** Negative: a token that ended that long ago. */
  lifetimeSeconds: z.int().min(-MAX_LIFETIME_SECONDS).max(MAX_LIFETIME_SECONDS).optional(),
  /** Replaces or adds claims; null takes a claim away. */
  claims: z.record(z.string(), z.json()).default({}),
});

/** Body of `POST /callers`. */
export const callerRequestSchema = callerShape
  .refine((caller) => caller.scp === undefined || caller.class !== 'app', {
    path: ['scp'],
    message: 'is for class "user"; set it by "claims" to make a token that Entra would not make',
  })
  .superRefine((caller, context) => {
    const isWorkload = caller.class === 'workload';
    for (const name of isWorkload ? ENTRA_ONLY : WORKLOAD_ONLY) {
      if (caller[name] === undefined) continue;
      const message = isWorkload
        ? 'is for tokens of Entra; leave it out for class "workload"'
        : 'needs class "workload"';
      context.addIssue({ code: 'custom', path: [name], message });
    }
  });

export type CallerRequest = z.infer<typeof callerRequestSchema>;

export interface CallerTokenContext {
  keys: EntraKeys;
  oidcKeys: OidcKeys;
  random: Random;
  clock: () => Date;
  accessTokenSeconds: number;
}

/**
 * Makes a token for the broker, as a client would get it: of Entra for its API, or of another issuer for class workload.
 * With neither `appId` nor `oid` it is the default caller; with one of them, the other is random. A workload is the
 * issuer's default one unless its subject is given; GitHub Actions is the default issuer.
 */
export function makeCallerToken(caller: CallerRequest, context: CallerTokenContext): Promise<string> {
  if (caller.class === 'workload') return makeWorkloadToken(caller, context);
  const { random } = context;
  const isUser = caller.class === 'user' || (caller.class === undefined && caller.scp !== undefined);
  const isStranger = caller.appId !== undefined || caller.oid !== undefined;
  const defaultOid = isUser ? DEFAULT_CALLER.userOid : DEFAULT_CALLER.oid;
  const version = caller.version ?? '2.0';
  const basis = {
    version,
    tenant: caller.tenant ?? TENANT_ID,
    audience: version === '1.0' ? BROKER_API.identifierUri : BROKER_API.appId,
    appId: caller.appId ?? (isStranger ? random.id() : DEFAULT_CALLER.appId),
    oid: caller.oid ?? (isStranger ? random.id() : defaultOid),
    acr: isUser ? '0' : '1',
    roles: caller.roles,
    now: context.clock(),
    lifetimeSeconds: caller.lifetimeSeconds ?? context.accessTokenSeconds,
  } as const;
  const claims = isUser ? userClaims(basis, caller.scp ?? 'user_impersonation', random) : appClaims(basis, random);
  return context.keys.sign(override(claims, caller.claims), version);
}

function makeWorkloadToken(caller: CallerRequest, { oidcKeys, random, clock, accessTokenSeconds }: CallerTokenContext) {
  const issuer = caller.issuer ?? GITHUB_ACTIONS.issuer;
  const { kubernetes, github } = DEFAULT_WORKLOADS;
  const claims = workloadClaims(
    {
      issuer,
      subject: caller.subject ?? (issuer === KUBERNETES.issuer ? kubernetes : github),
      audience: BROKER_API.workloadAudience,
      now: clock(),
      lifetimeSeconds: caller.lifetimeSeconds ?? accessTokenSeconds,
    },
    random,
  );
  return oidcKeys.sign(override(claims, caller.claims), issuer);
}

function override(claims: JWTPayload, changes: CallerRequest['claims']): JWTPayload {
  return Object.fromEntries(Object.entries({ ...claims, ...changes }).filter(([, value]) => value !== null));
}
