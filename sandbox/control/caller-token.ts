import type { JWTPayload } from 'jose';
import * as z from 'zod';
import { appClaims, userClaims } from '../entra/claims.ts';
import type { EntraKeys } from '../entra/keys.ts';
import { BROKER_API, DEFAULT_CALLER, TENANT_ID } from '../seed.ts';
import type { Random } from '../state/random.ts';

const MAX_LIFETIME_SECONDS = 366 * 86_400;

/** Body of `POST /callers`. */
export const callerRequestSchema = z
  .strictObject({
    tenant: z.guid().default(TENANT_ID),
    version: z.enum(['1.0', '2.0']).default('2.0'),
    class: z.enum(['app', 'user']).optional(),
    appId: z.guid().optional(),
    oid: z.guid().optional(),
    /** App roles of the broker's API. */
    roles: z.array(z.string()).optional(),
    /** Delegated permissions, separated by spaces; only for users. */
    scp: z.string().optional(),
    /** Negative: a token that ended that long ago. */
    lifetimeSeconds: z.int().min(-MAX_LIFETIME_SECONDS).max(MAX_LIFETIME_SECONDS).optional(),
    /** Replaces or adds claims; null takes a claim away. */
    claims: z.record(z.string(), z.json()).default({}),
  })
  .refine((caller) => caller.scp === undefined || caller.class !== 'app', {
    path: ['scp'],
    message: 'is for class "user"; set it by "claims" to make a token that Entra would not make',
  });

export type CallerRequest = z.infer<typeof callerRequestSchema>;

export interface CallerTokenContext {
  keys: EntraKeys;
  random: Random;
  clock: () => Date;
  accessTokenSeconds: number;
}

/**
 * Makes an Entra token for the broker's API, as a client would get it. With neither `appId` nor `oid` it is the default caller;
 * with one of them, the other is random.
 */
export function makeCallerToken(caller: CallerRequest, context: CallerTokenContext): Promise<string> {
  const { random } = context;
  const isUser = caller.class === 'user' || (caller.class === undefined && caller.scp !== undefined);
  const isStranger = caller.appId !== undefined || caller.oid !== undefined;
  const defaultOid = isUser ? DEFAULT_CALLER.userOid : DEFAULT_CALLER.oid;
  const basis = {
    version: caller.version,
    tenant: caller.tenant,
    audience: caller.version === '1.0' ? BROKER_API.identifierUri : BROKER_API.appId,
    appId: caller.appId ?? (isStranger ? random.id() : DEFAULT_CALLER.appId),
    oid: caller.oid ?? (isStranger ? random.id() : defaultOid),
    acr: isUser ? '0' : '1',
    roles: caller.roles,
    now: context.clock(),
    lifetimeSeconds: caller.lifetimeSeconds ?? context.accessTokenSeconds,
  } as const;
  const claims = isUser ? userClaims(basis, caller.scp ?? 'user_impersonation', random) : appClaims(basis, random);
  return context.keys.sign(override(claims, caller.claims), caller.version);
}

function override(claims: JWTPayload, changes: CallerRequest['claims']): JWTPayload {
  return Object.fromEntries(Object.entries({ ...claims, ...changes }).filter(([, value]) => value !== null));
}
