import { formOf, type NamePair, normaliseText, replaceNames } from './text-form.ts';

/** Any JSON value. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/**
 * missing: only the example has it. extra: only our answer has it. type: another JSON type. form: another unit or another kind
 * of text (epoch seconds or milliseconds, ISO text with or without ticks, GUID, JWT …). value: same form, another constant.
 * length: another number of list items. allowance: an allowance that no difference needed.
 */
export type DifferenceKind = 'missing' | 'extra' | 'type' | 'form' | 'value' | 'length' | 'allowance';

/** One place where our answer is not what the example shows. */
export interface Difference {
  readonly path: string;
  readonly kind: DifferenceKind;
  readonly expected: string;
  readonly actual: string;
}

/** A difference that is right, and why. `path` may hold `*` for one list index or one key. */
export interface Allowance {
  readonly path: string;
  readonly kind: Exclude<DifferenceKind, 'allowance'>;
  readonly reason: string;
}

/** How one example is read. */
export interface CompareRules {
  /** `constants`: a text or number that is no id, instant or token must be equal. `types`: only its JSON type (and unit) must. */
  readonly values: 'constants' | 'types';
  readonly names: readonly NamePair[];
  /** Example texts that stand for any text, such as `Sanitized`. */
  readonly placeholders: readonly RegExp[];
  /** Objects keyed by free names (tags, traffic): every value of ours must look like the example's first. */
  readonly maps: readonly string[];
  readonly allow: readonly Allowance[];
}

/** Rules without names, maps and allowances. */
export const plainRules: CompareRules = {
  values: 'constants',
  names: [],
  placeholders: [/^Sanitized$/, /^<[^>]*>$/],
  maps: [],
  allow: [],
};

/**
 * Compares two JSON values by shape, in both directions: names of fields, JSON types, nullability, units and constants.
 * Ids, instants and tokens compare by form. Lists compare item by item; where ours is longer, against the example's last item.
 * Returns what no allowance covers, and each allowance that covered nothing.
 */
export function compareShapes(expected: Json, actual: Json, rules: CompareRules, path = 'body'): Difference[] {
  return applyAllowances(findDifferences(expected, actual, rules, path), rules.allow);
}

/** Takes away the differences that an allowance names, and adds a difference for each allowance that was not needed. */
export function applyAllowances(found: readonly Difference[], allow: readonly Allowance[]): Difference[] {
  const covers = (allowance: Allowance, difference: Difference): boolean =>
    allowance.kind === difference.kind && pathMatches(allowance.path, difference.path);
  const left = found.filter((difference) => !allow.some((allowance) => covers(allowance, difference)));
  const unused = allow.filter((allowance) => !found.some((difference) => covers(allowance, difference)));
  return [
    ...left,
    ...unused.map(
      ({ path, kind, reason }): Difference => ({
        path,
        kind: 'allowance',
        expected: `a difference of kind ${kind}, allowed because: ${reason}`,
        actual: 'none; take the allowance away',
      }),
    ),
  ];
}

/** All differences, before allowances. */
export function findDifferences(expected: Json, actual: Json, rules: CompareRules, path: string): Difference[] {
  const different = (kind: DifferenceKind): Difference[] => [
    { path, kind, ...tellBoth(expected, actual, rules, path) },
  ];
  if (typeName(expected) !== typeName(actual)) return different('type');
  if (isList(expected) && isList(actual)) return compareLists(expected, actual, rules, path);
  if (isRecord(expected) && isRecord(actual)) {
    return rules.maps.some((map) => pathMatches(map, path))
      ? compareMaps(expected, actual, rules, path)
      : compareRecords(expected, actual, rules, path);
  }
  if (typeof expected === 'number' && typeof actual === 'number') {
    const kind = compareNumbers(expected, actual, rules);
    return kind === undefined ? [] : different(kind);
  }
  if (typeof expected === 'string' && typeof actual === 'string') {
    const kind = compareTexts(expected, actual, rules);
    return kind === undefined ? [] : different(kind);
  }
  return expected === actual || rules.values === 'types' ? [] : different('value');
}

function compareNumbers(expected: number, actual: number, rules: CompareRules): 'form' | 'value' | undefined {
  // Specifications write 1 for any integer: there the unit is unknown, but a fraction is still another form.
  if (rules.values === 'types') return Number.isInteger(expected) && !Number.isInteger(actual) ? 'form' : undefined;
  if (numberForm(expected) !== numberForm(actual)) return 'form';
  const isInstant = numberForm(expected).startsWith('epoch');
  return isInstant || expected === actual ? undefined : 'value';
}

function compareTexts(expected: string, actual: string, rules: CompareRules): 'form' | 'value' | undefined {
  if (rules.values === 'types' || rules.placeholders.some((placeholder) => placeholder.test(expected)))
    return undefined;
  const ours = normaliseText(replaceNames(actual, rules.names, 'ours'));
  const theirs = normaliseText(replaceNames(expected, rules.names, 'example'));
  if (ours === theirs) return undefined;
  return formOf(ours) === formOf(theirs) ? 'value' : 'form';
}

function compareLists(
  expected: readonly Json[],
  actual: readonly Json[],
  rules: CompareRules,
  path: string,
): Difference[] {
  const differences: Difference[] = [];
  if (expected.length !== actual.length) {
    const items = (list: readonly Json[]): string => `${list.length} items`;
    differences.push({ path, kind: 'length', expected: items(expected), actual: items(actual) });
  }
  for (const [index, item] of actual.entries()) {
    const model = expected[Math.min(index, expected.length - 1)];
    if (model !== undefined) differences.push(...findDifferences(model, item, rules, `${path}.${index}`));
  }
  return differences;
}

type JsonRecord = { readonly [key: string]: Json };

function compareRecords(expected: JsonRecord, actual: JsonRecord, rules: CompareRules, path: string): Difference[] {
  const theirs = new Map(Object.entries(expected).map(([key, value]) => [nameOf(key, rules, 'example'), value]));
  const ours = new Map(Object.entries(actual).map(([key, value]) => [nameOf(key, rules, 'ours'), value]));
  const differences: Difference[] = [];
  for (const [key, value] of theirs) {
    const at = `${path}.${key}`;
    const own = ours.get(key);
    if (own === undefined)
      differences.push({ path: at, kind: 'missing', expected: tell(value, at), actual: 'no such field' });
    else differences.push(...findDifferences(value, own, rules, at));
  }
  for (const [key, value] of ours) {
    const at = `${path}.${key}`;
    if (!theirs.has(key))
      differences.push({ path: at, kind: 'extra', expected: 'no such field', actual: tell(value, at) });
  }
  return differences;
}

function compareMaps(expected: JsonRecord, actual: JsonRecord, rules: CompareRules, path: string): Difference[] {
  const model = Object.values(expected)[0];
  return Object.entries(actual).flatMap(([key, value]) =>
    model === undefined ? [] : findDifferences(model, value, rules, `${path}.${key}`),
  );
}

function nameOf(key: string, rules: CompareRules, side: 'example' | 'ours'): string {
  return replaceNames(key, rules.names, side);
}

/** Array.isArray does not narrow a read-only list. */
export function isList(value: Json): value is readonly Json[] {
  return Array.isArray(value);
}

function isRecord(value: Json): value is JsonRecord {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function typeName(value: Json): string {
  if (value === null) return 'null';
  return Array.isArray(value) ? 'list' : typeof value;
}

/** Seconds of 2001 to 2286 have 10 digits, milliseconds 13: a unit taken for the other is told apart by size. */
function numberForm(value: number): string {
  if (!Number.isInteger(value)) return 'fraction';
  if (value >= 1e9 && value < 1e10) return 'epochSeconds';
  return value >= 1e12 && value < 1e13 ? 'epochMilliseconds' : 'integer';
}

/** Does a dotted path match a pattern in which `*` is any one part? */
export function pathMatches(pattern: string, path: string): boolean {
  const escaped = pattern.split('*').map((part) => part.replace(/[\\^$.+?()[\]{}|]/g, '\\$&'));
  return new RegExp(`^${escaped.join('[^.]+')}$`).test(path);
}

const secretField = /^body\.value$|\.(?:secretText|access_?token|primaryKey|secondaryKey|keyValue)$/i;
const toldLength = 90;

/** Two values in short; long texts are told from shortly before the place where they part. */
function tellBoth(
  expected: Json,
  actual: Json,
  { names }: CompareRules,
  path: string,
): { expected: string; actual: string } {
  if (typeof expected !== 'string' || typeof actual !== 'string' || secretField.test(path)) {
    return { expected: tell(expected, path), actual: tell(actual, path) };
  }
  const theirs = normaliseText(replaceNames(expected, names, 'example'));
  const ours = normaliseText(replaceNames(actual, names, 'ours'));
  const parting = [...theirs].findIndex((character, index) => character !== ours[index]);
  const from = Math.max(0, Math.max(theirs.length, ours.length) > toldLength ? parting - 20 : 0);
  const window = (text: string): string => JSON.stringify(`${from > 0 ? '…' : ''}${cut(text.slice(from))}`);
  return { expected: window(theirs), actual: window(ours) };
}

/** A value in short, for the table; the text of a secret, key or token is never told. */
function tell(value: Json, path: string): string {
  if (typeof value !== 'string') return cut(JSON.stringify(value));
  return secretField.test(path) ? `a text of ${value.length} characters` : cut(JSON.stringify(normaliseText(value)));
}

function cut(text: string): string {
  return text.length > toldLength ? `${text.slice(0, toldLength)}…` : text;
}
