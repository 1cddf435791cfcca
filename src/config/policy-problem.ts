import type { PolicyDocument } from './policy-schema.ts';

/** What the rules over the whole policy share: how a problem is told, and what is looked at. */

export interface PolicyProblem {
  /** Where in the document, as keys and indexes. */
  path: readonly PropertyKey[];
  message: string;
}

/** The names that the policy declares, including entries that are themselves broken. */
export type Declared = Readonly<Record<'issuers' | 'identities' | 'workspaces' | 'grants', ReadonlySet<string>>>;

export interface Checked {
  policy: PolicyDocument;
  declared: Declared;
}

/** A record's own entry; a name such as `constructor` is nobody's. */
export const own = <T>(record: Readonly<Record<string, T>>, key: string): T | undefined =>
  Object.hasOwn(record, key) ? record[key] : undefined;
