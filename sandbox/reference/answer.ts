import { applyAllowances, type CompareRules, type Difference, findDifferences, type Json } from './compare.ts';

/**
 * One HTTP answer. `body` is the parsed JSON, `rawBody` the body as text; an example has the one or the other, and without
 * `headers` it says nothing about them.
 */
export interface Answer {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Json;
  readonly rawBody?: string;
}

/**
 * Headers that are not part of the contract: the connection's own, what a front end adds for browsers, and which machine
 * served the call. Every other header must be there on both sides, or be allowed by name.
 */
const transportHeaders = new Set([
  ...['connection', 'content-length', 'date', 'keep-alive', 'transfer-encoding', 'vary'],
  ...['expires', 'p3p', 'pragma', 'strict-transport-security', 'x-content-type-options', 'access-control-allow-origin'],
  ...['azureml-served-by-cluster', 'request-context', 'x-aml-cluster', 'x-cache', 'x-msedge-ref', 'x-request-time'],
]);

/** Compares status, headers that matter and body, and applies the allowances once, over all of them. */
export function compareAnswers(expected: Answer, actual: Answer, rules: CompareRules): Difference[] {
  const found: Difference[] = [];
  if (expected.status !== undefined && expected.status !== actual.status) {
    found.push({ path: 'status', kind: 'value', expected: `${expected.status}`, actual: `${actual.status}` });
  }
  if (expected.headers !== undefined) {
    found.push(...findDifferences(contractHeaders(expected), contractHeaders(actual), rules, 'headers'));
  }
  if (expected.body === undefined) {
    found.push(...findDifferences(expected.rawBody ?? '', actual.rawBody ?? '', rules, 'rawBody'));
  } else if (actual.body === undefined) {
    found.push({ path: 'body', kind: 'missing', expected: 'a JSON body', actual: 'none' });
  } else {
    found.push(...findDifferences(expected.body, actual.body, rules, 'body'));
  }
  return applyAllowances(found, rules.allow);
}

/** Our answer with those headers only that the example lists: for examples that show the headers their text is about. */
export function onlyListedHeaders(actual: Answer, expected: Answer): Answer {
  const listed = Object.keys(expected.headers ?? {}).map((name) => name.toLowerCase());
  const headers = Object.entries(actual.headers ?? {}).filter(([name]) => listed.includes(name));
  return { ...actual, headers: Object.fromEntries(headers) };
}

/** The headers that count, in lower case, each in a form in which equal meaning is equal text. */
function contractHeaders(answer: Answer): Record<string, string> {
  const headers = Object.entries(answer.headers ?? {}).map(([name, value]) => [name.toLowerCase(), value] as const);
  return Object.fromEntries(
    headers.filter(([name]) => !transportHeaders.has(name)).map(([name, value]) => [name, headerForm(name, value)]),
  );
}

function headerForm(name: string, value: string): string {
  if (name.startsWith('x-ms-ratelimit-remaining')) return /^\d+$/.test(value) ? '{count}' : value;
  if (name === 'content-type') {
    const parts = value.split(';').map((part) => part.trim().toLowerCase());
    return [parts[0], ...parts.slice(1).toSorted()].join(';');
  }
  return value;
}
