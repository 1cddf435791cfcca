import { createHash } from 'node:crypto';
import { type Document, isMap, isScalar, LineCounter, type Node, parseDocument } from 'yaml';
import type * as z from 'zod';
import { crossCheckPolicy } from './cross-checks.ts';
import { type PolicyDocument, policySchema } from './policy-schema.ts';
import type { Parsed } from './settings.ts';

/** broker.yaml, checked and ready to be compiled, with the hash that audit rows name. */
export interface Policy extends PolicyDocument {
  /** SHA-256 of the file's bytes, hex. */
  hash: string;
}

/** Finds the line of the node at a path, or of its nearest parent that was written. */
function lineOf(document: Document, lines: LineCounter, path: readonly PropertyKey[]): number {
  for (let length = path.length; length >= 0; length--) {
    const offset = offsetOf(document, path.slice(0, length));
    if (offset !== undefined) return lines.linePos(offset).line;
  }
  return 1;
}

/** A map's entry is shown at its key, because its value may start lines later. */
function offsetOf(document: Document, path: readonly PropertyKey[]): number | undefined {
  if (path.length === 0) return document.contents?.range?.[0];
  const parent = path.length === 1 ? document.contents : document.getIn(path.slice(0, -1), true);
  const last = path.at(-1);
  if (isMap(parent)) {
    const pair = parent.items.find(({ key }) => isScalar(key) && String(key.value) === String(last));
    return isScalar(pair?.key) ? pair.key.range?.[0] : undefined;
  }
  const node = document.getIn(path, true);
  return isNodeWithRange(node) ? node.range?.[0] : undefined;
}

function isNodeWithRange(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && 'range' in value;
}

interface Located {
  line: number;
  text: string;
}

function locateIssue(document: Document, lines: LineCounter, issue: z.core.$ZodIssue): Located[] {
  const at = (path: readonly PropertyKey[], message: string): Located => ({
    line: lineOf(document, lines, path),
    text: `${path.map(String).join('.') || 'policy'}: ${message}`,
  });
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => at([...issue.path, key], 'is not a known key'));
  }
  if (issue.code === 'invalid_key') {
    return [at(issue.path, issue.issues.map(({ message }) => message).join('; '))];
  }
  if (issue.code === 'invalid_type' && issue.input === undefined) return [at(issue.path, 'is missing')];
  if (issue.code === 'invalid_union' && issue.message === 'Invalid input') {
    const [branch] = issue.errors.flat().filter(({ code }) => code !== 'invalid_type');
    return [at(issue.path, branch?.message ?? 'is not of a form that is known here')];
  }
  return [at(issue.path, issue.message)];
}

/** The document as plain values; undefined where its aliases cannot be resolved. An empty file is an empty object. */
function toPlain(document: Document): unknown {
  try {
    return document.toJS({ maxAliasCount: 100 }) ?? {};
  } catch {
    return undefined;
  }
}

/**
 * Reads a policy text. All problems come back together, each as `line N: where: what`, in the order of their lines.
 * YAML 1.2; repeated keys are problems.
 */
export function parsePolicy(text: string): Parsed<Policy> {
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
  if (plain === undefined)
    return failed([{ line: 1, text: 'an alias (*name) has no anchor (&name), or there are too many' }]);
  const parsed = policySchema.safeParse(plain, { reportInput: true });
  if (!parsed.success) {
    return failed(parsed.error.issues.flatMap((issue) => locateIssue(document, lines, issue)));
  }
  const problems = crossCheckPolicy(parsed.data);
  if (problems.length > 0) {
    return failed(
      problems.map(({ path, message }) => ({
        line: lineOf(document, lines, path),
        text: `${path.map(String).join('.')}: ${message}`,
      })),
    );
  }
  return { ok: true, value: { ...parsed.data, hash: createHash('sha256').update(text).digest('hex') } };
}
