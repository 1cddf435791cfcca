import * as z from 'zod';
import { callerClass } from './matcher-schema.ts';
import { guid, name } from './shapes.ts';

/** The shape of a question about grants: may this caller have that? Asked in `expect` of the policy, and of explain. */

export const describedCaller = z
  .strictObject({
    issuer: name.describe('A name under issuers.'),
    class: callerClass,
    oid: guid.optional(),
    subject: z.string().min(1).optional().describe('The sub claim; for class app the oid, where nothing else is said.'),
    appId: guid.optional(),
    roles: z.array(z.string().min(1)).default([]),
    claims: z.record(z.string(), z.unknown()).default({}).describe('Further claims of the token.'),
  })
  .describe('A caller, as the token would name it.');

const audience = z.enum(['aml', 'arm'], 'must be aml or arm').default('aml');
const endpoint = z
  .string()
  .regex(/^[a-zA-Z0-9][a-zA-Z0-9-]*\/[a-zA-Z0-9][a-zA-Z0-9_-]{0,254}$/, 'must be workspace/endpoint, without *')
  .transform((text) => {
    const slash = text.indexOf('/');
    return { workspace: text.slice(0, slash), endpoint: text.slice(slash + 1).toLowerCase() };
  });

/** A target in words: what the audit says of it, or shorter. */
const inWords = z.string().transform((text, context) => {
  const [what = '', ...words] = text.trim().split(/\s+/);
  const said = words.join(' ');
  if (name.safeParse(what).success && /^((aml|arm)( token)?)?$/.test(said)) {
    return {
      kind: 'workspaceToken' as const,
      workspace: what,
      audience: said.startsWith('arm') ? 'arm' : 'aml',
    } as const;
  }
  const parsed = endpoint.safeParse(what);
  if (parsed.success && /^(token|key)?$/.test(said)) {
    return { kind: said === 'key' ? ('endpointKey' as const) : ('endpointToken' as const), ...parsed.data };
  }
  context.addIssue('must be like "prod aml", "prod arm", "prod/endpoint token" or "prod/endpoint key"');
  return z.NEVER;
});

export const describedTarget = z
  .union(
    [
      inWords,
      z.strictObject({ workspace: name, audience }).transform((said) => ({ kind: 'workspaceToken' as const, ...said })),
      z
        .strictObject({ endpointToken: endpoint })
        .transform(({ endpointToken }) => ({ kind: 'endpointToken' as const, ...endpointToken })),
      z
        .strictObject({ endpointKey: endpoint })
        .transform(({ endpointKey }) => ({ kind: 'endpointKey' as const, ...endpointKey })),
    ],
    'must be { workspace, audience }, { endpointToken: workspace/endpoint }, { endpointKey: workspace/endpoint } or words like prod/endpoint key',
  )
  .describe('What is asked for.');

const denyReasons = ['denied', 'no_grant_for_caller', 'no_grant_for_target', 'grant_suspended'] as const;

/** A test in the policy: what this caller must, or must not, be allowed. */
export const expectation = z
  .strictObject({
    caller: describedCaller,
    target: describedTarget,
    allow: z
      .union([z.literal(true), name])
      .optional()
      .describe('true, or the name of the grant that must allow it.'),
    deny: z
      .union([z.literal(true), z.enum(denyReasons)], `must be true or one of ${denyReasons.join(', ')}`)
      .optional()
      .describe('true, or the reason why it must be denied.'),
  })
  .refine(({ allow, deny }) => (allow === undefined) !== (deny === undefined), 'must say either allow or deny');

export type DescribedCaller = z.output<typeof describedCaller>;
export type DescribedTarget = z.output<typeof describedTarget>;
