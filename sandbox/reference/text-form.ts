/** What a text looks like, when its exact value cannot be compared: an id, an instant, a token. */
const forms: readonly (readonly [name: string, pattern: RegExp])[] = [
  ['jwt', /eyJ[\w-]+\.[\w-]+\.[\w-]+/],
  ['guid', /[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}/i],
  // .NET writes ticks (7 digits) and may drop zeros at the end; 3 digits or fewer are milliseconds.
  ['isoTicksZ', /(?!0001)\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{4,7}Z/],
  ['isoTicksOffset', /(?!0001)\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{4,7}[+-]\d\d:\d\d/],
  ['encodedTicksZ', /\d{4}-\d\d-\d\dT\d\d%3A\d\d%3A\d\d\.\d{4,7}Z/],
  ['isoMillisecondsZ', /(?!0001)\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{1,3}Z/],
  ['isoMillisecondsOffset', /(?!0001)\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{1,3}[+-]\d\d:\d\d/],
  ['isoSecondsZ', /(?!0001)\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ/],
  ['isoSecondsOffset', /(?!0001)\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d/],
  ['isoLocal', /(?!0001)\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?![.\dZ+-])/],
  ['spacedTimeZ', /\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ/],
  ['compactTimeZ', /\d{8}T\d{6}Z/],
  ['httpDate', /(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT/],
  // Build numbers and IP addresses.
  ['dottedNumbers', /\b\d+\.\d+\.\d+\.\d+\b/],
  ['hex40', /\b[0-9a-f]{40}\b/i],
  ['hex32', /\b[0-9a-f]{32}\b/i],
  ['hex16', /\b[0-9a-f]{16}\b/i],
];
const anyForm = new RegExp(forms.map(([name, pattern]) => `(?<${name}>${pattern.source})`).join('|'), 'gi');

/** A name that the example and our answer spell differently, and the common label that both are read as. */
export interface NamePair {
  readonly label: string;
  readonly example: string;
  readonly ours: string;
}

/**
 * Replaces every id, instant and token inside a text by its form (`{guid}`, `{isoTicksZ}`, …), so that two texts that
 * differ only in such values become equal. A text of 10 digits alone is `{epochSecondsText}`, a decimal number alone
 * `{decimalText}`.
 */
export function normaliseText(text: string): string {
  if (/^1\d{9}$/.test(text)) return '{epochSecondsText}';
  if (/^\d+\.\d+$/.test(text)) return '{decimalText}';
  return text.replace(anyForm, (...match) => {
    const groups: unknown = match.at(-1);
    const name = Object.entries(groups ?? {}).find(([, found]) => found !== undefined)?.[0];
    return `{${name}}`;
  });
}

/** The name of the form when the whole text is one id, instant or token, else `text`. */
export function formOf(normalised: string): string {
  return /^\{\w+\}$/.test(normalised) ? normalised.slice(1, -1) : 'text';
}

/** Puts the labels in place of one side's names, longest name first, so that a name inside another name does no harm. */
export function replaceNames(text: string, pairs: readonly NamePair[], side: 'example' | 'ours'): string {
  const bySize = pairs.filter((pair) => pair[side] !== '').toSorted((a, b) => b[side].length - a[side].length);
  return bySize.reduce((current, pair) => current.replaceAll(pair[side], `{${pair.label}}`), text);
}
