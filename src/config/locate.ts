import { type Document, isMap, isScalar, type LineCounter, type Node } from 'yaml';
import type * as z from 'zod';

/** Finds the line of the node at a path, or of its nearest parent that was written. */
export function lineOf(document: Document, lines: LineCounter, path: readonly PropertyKey[]): number {
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

/** A problem and the line that it is on. */
export interface Located {
  line: number;
  text: string;
}

/** A problem of the shape, each with its line; a key that is not known is shown at the key. */
export function locateIssue(document: Document, lines: LineCounter, issue: z.core.$ZodIssue): Located[] {
  const at = (path: readonly PropertyKey[], message: string): Located => ({
    line: lineOf(document, lines, path),
    text: `${path.map(String).join('.') || 'policy'}: ${message}`,
  });
  if (issue.code === 'unrecognized_keys') {
    // `__proto__` is told apart, wherever it stands.
    return issue.keys.filter((key) => key !== '__proto__').map((key) => at([...issue.path, key], 'is not a known key'));
  }
  if (issue.code === 'invalid_key') {
    return [at(issue.path, issue.issues.map(({ message }) => message).join('; '))];
  }
  if (issue.code === 'invalid_type' && issue.input === undefined) return [at(issue.path, 'is missing')];
  if (issue.code === 'invalid_union' && issue.message === 'Invalid input') {
    if (issue.input === undefined) return [at(issue.path, 'is missing')];
    const inner = nearestForm(issue.errors).map((one) => ({ ...one, path: [...issue.path, ...one.path] }));
    if (inner.length === 0) return [at(issue.path, 'is not of a form that is known here')];
    return inner.flatMap((one) => locateIssue(document, lines, one));
  }
  return [at(issue.path, issue.message)];
}

/**
 * Of the forms that a value may have, the problems of the one that was meant: with the fewest unknown keys, then with
 * the fewest problems. Empty where the value is of no such kind at all.
 */
function nearestForm(forms: readonly (readonly z.core.$ZodIssue[])[]): readonly z.core.$ZodIssue[] {
  const unknownKeys = (issues: readonly z.core.$ZodIssue[]) =>
    issues.reduce((count, issue) => count + (issue.code === 'unrecognized_keys' ? issue.keys.length : 0), 0);
  const [nearest = []] = forms
    .filter((issues) => !issues.some(({ code, path }) => code === 'invalid_type' && path.length === 0))
    .toSorted((a, b) => unknownKeys(a) - unknownKeys(b) || a.length - b.length);
  return nearest;
}
