import * as z from 'zod';

/** Shapes that several parts of the policy share. */

/** A name in the policy: of an issuer, an identity, a workspace, a grant. */
export const name = z
  .string()
  .regex(
    /^(?!\d+$)[a-zA-Z0-9][a-zA-Z0-9-]{0,62}$/,
    'must be letters, digits and hyphens, at most 63, not starting with a hyphen and not a mere number',
  );

/** Ids of Azure, compared in lower case. */
export const guid = z.guid('must be a GUID').transform((text) => text.toLowerCase());
