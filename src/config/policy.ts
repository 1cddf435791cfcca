import { createHash } from 'node:crypto';
import { type Document, isAlias, isNode, isScalar, LineCounter, parseDocument, visit } from 'yaml';
import type * as z from 'zod';
import { crossCheckPolicy } from './cross-checks.ts';
import type { IssuerLimits } from './issuer-checks.ts';
import { type Located, lineOf, locateIssue } from './locate.ts';
import type { Declared } from './policy-problem.ts';
import { type Identity, type PolicyDocument, policySchema } from './policy-schema.ts';
import { crossCheckRotations, type Reserved } from './rotation-checks.ts';
import { DEFAULT_TOKEN_CACHE_KEY, type Parsed } from './settings.ts';

/** broker.yaml, checked and ready to be compiled, with the hash that audit rows name. */
export interface Policy extends PolicyDocument {
  /** SHA-256 of the file's bytes, hex. */
  hash: string;
}

/** The names of the identities of one use that have tokens of their own: all but those that act for users. */
export function identityNames({ identities }: PolicyDocument, use: Identity['use']): string[] {
  return Object.entries(identities).flatMap(([name, identity]) =>
    identity.use === use && identity.onBehalfOf === undefined ? [name] : [],
  );
}

/** The identities that act for users, by name. */
export function userIdentities({ identities }: PolicyDocument): Map<string, NonNullable<Identity['onBehalfOf']>> {
  return new Map(
    Object.entries(identities).flatMap(([name, { onBehalfOf }]) =>
      onBehalfOf === undefined ? [] : [[name, onBehalfOf] as const],
    ),
  );
}

type Plain = Record<string, unknown>;

function isPlain(value: unknown): value is Plain {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The document as plain values; undefined where its aliases cannot be resolved. An empty file is an empty object. */
function toPlain(document: Document): unknown {
  try {
    return document.toJS({ maxAliasCount: 100 }) ?? {};
  } catch {
    return undefined;
  }
}

/** `__proto__` as a key would vanish on its way into an object, and with it what a grant demands. */
function findProtoKeys(document: Document, lines: LineCounter): Located[] {
  const found: Located[] = [];
  visit(document, {
    Pair(_key, { key }) {
      const named = isAlias(key) ? key.resolve(document) : key;
      if (!isScalar(named) || named.value !== '__proto__') return;
      const offset = isNode(key) ? key.range?.[0] : undefined;
      found.push({ line: lines.linePos(offset ?? 0).line, text: '__proto__: is not a name' });
    },
  });
  return found;
}

/** The names that a policy declares, well or not, so that a broken entry is not told a second time as a missing one. */
function declaredIn(plain: Plain): Declared {
  const namesOf = (section: string) => new Set(isPlain(plain[section]) ? Object.keys(plain[section]) : []);
  return {
    issuers: namesOf('issuers'),
    identities: namesOf('identities'),
    workspaces: namesOf('workspaces'),
    grants: namesOf('grants'),
  };
}

/**
 * The part of a policy whose shape is right: entries with a problem are left out, so that the rest can be checked too
 * and all problems be told at once. Undefined where nothing can be saved.
 */
function withoutBroken(plain: Plain, issues: readonly z.core.$ZodIssue[]): PolicyDocument | undefined {
  const rest: Plain = { issuers: {}, ...structuredClone(plain) };
  for (const { path, ...issue } of issues) {
    const [section, name] = path.map(String);
    const entries = section === undefined ? undefined : rest[section];
    if (section === undefined) {
      for (const key of issue.code === 'unrecognized_keys' ? issue.keys : []) delete rest[key];
    } else if (name !== undefined && isPlain(entries)) delete entries[name];
    else if (section === 'issuers') rest[section] = {};
    else delete rest[section];
  }
  return policySchema.safeParse(rest).data;
}

/** What the settings say to the policy: names that they use, and which issuers the cloud allows. */
type Surroundings = Reserved & Partial<IssuerLimits>;

/** Without settings, or with broken ones, what their defaults use. */
const surroundingsByDefault: Surroundings = {
  tokenCacheKey: DEFAULT_TOKEN_CACHE_KEY,
  brokerIdentityClientId: undefined,
};

/**
 * Reads a policy text. All problems come back together, each as `line N: where: what`, in the order of their lines.
 * YAML 1.2; repeated keys are problems.
 *
 * @param surroundings what the settings use, so that no rotation may, and allow of issuers: the settings themselves
 */
export function parsePolicy(text: string, surroundings: Surroundings = surroundingsByDefault): Parsed<Policy> {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, uniqueKeys: true, prettyErrors: false });
  const failed = (problems: Located[]): Parsed<Policy> => ({
    ok: false,
    problems: problems.sort((a, b) => a.line - b.line).map(({ line, text: problem }) => `line ${line}: ${problem}`),
  });
  if (document.errors.length > 0) {
    return failed(document.errors.map(({ pos, message }) => ({ line: lines.linePos(pos[0]).line, text: message })));
  }
  const plain = toPlain(document);
  if (plain === undefined) {
    return failed([{ line: 1, text: 'an alias (*name) has no anchor (&name), or there are too many' }]);
  }
  const parsed = policySchema.safeParse(plain, { reportInput: true });
  const issues = parsed.error?.issues ?? [];
  const checked = parsed.data ?? (isPlain(plain) ? withoutBroken(plain, issues) : undefined);
  const declared = declaredIn(isPlain(plain) ? plain : {});
  const crossed =
    checked === undefined
      ? []
      : [
          ...crossCheckPolicy(checked, declared, { internalIssuers: surroundings.internalIssuers ?? false }),
          ...crossCheckRotations(checked, declared, surroundings),
        ];
  const problems = [
    ...findProtoKeys(document, lines),
    ...issues.flatMap((issue) => locateIssue(document, lines, issue)),
    ...crossed.map(({ path, message }) => ({
      line: lineOf(document, lines, path),
      text: `${path.map(String).join('.')}: ${message}`,
    })),
  ];
  if (problems.length > 0 || !parsed.success) return failed(problems);
  return { ok: true, value: { ...parsed.data, hash: createHash('sha256').update(text).digest('hex') } };
}
