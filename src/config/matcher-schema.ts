import * as z from 'zod';
import { guid, name } from './shapes.ts';

/** The shape of a matcher: whom a grant, an operator's entry or a deny entry means. */

export const callerClass = z
  .enum(['user', 'app', 'workload'])
  .describe(
    'user: a signed-in person; app: a service, job or managed identity; workload: any caller of an OIDC issuer.',
  );

export const matcherSchema = z
  .strictObject({
    issuer: name.describe('A name under issuers.'),
    class: callerClass,
    oid: guid.optional().describe('Object id of the user or service principal; not for class workload.'),
    subject: z
      .string()
      .min(1)
      .optional()
      .describe('The sub claim, exactly; for class workload * stands for any characters.'),
    appId: guid.optional().describe('Client id of the calling application; class app only.'),
    roles: z
      .array(z.string().min(1))
      .min(1)
      .optional()
      .describe('App roles that the token must all have; not for class workload.'),
    claims: z
      .record(z.string(), z.union([z.string(), z.number(), z.boolean()]))
      .optional()
      .describe(
        'Claims that the token must all have, exactly; for class workload * in a text stands for any characters.',
      ),
  })
  .describe('Which callers are meant.');
