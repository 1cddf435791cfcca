import type { Allowance, Difference } from './compare.ts';

/** What became of one example file. */
export type Outcome =
  | { readonly kind: 'same'; readonly answers: number; readonly allowed: readonly Allowance[] }
  | { readonly kind: 'does not apply'; readonly reason: string }
  | { readonly kind: 'differs'; readonly differences: readonly (Difference & { readonly title: string })[] }
  | { readonly kind: 'failed'; readonly problem: string };

export interface Row {
  readonly example: string;
  readonly outcome: Outcome;
}

/**
 * The report as lines: one row for each example, allowed differences and differences under their row, and the totals
 * `N same, N not applicable, N differ` last. A failed example counts among those that differ.
 */
export function formatTable(rows: readonly Row[]): string[] {
  const width = Math.max('example'.length, ...rows.map((row) => row.example.length));
  const line = (example: string, result: string, note: string): string =>
    `${example.padEnd(width)} | ${result.padEnd('does not apply'.length)} | ${note}`.trimEnd();
  const lines = [line('example', 'result', 'note')];
  for (const { example, outcome } of rows) {
    lines.push(
      line(example, outcome.kind === 'failed' ? 'differs' : outcome.kind, noteOf(outcome)),
      ...detailsOf(outcome),
    );
  }
  return [...lines, '', totals(rows)];
}

/** Is there nothing that differs and nothing that failed? */
export function allSame(rows: readonly Row[]): boolean {
  return rows.every(({ outcome }) => outcome.kind === 'same' || outcome.kind === 'does not apply');
}

function noteOf(outcome: Outcome): string {
  switch (outcome.kind) {
    case 'same':
      return `${count(outcome.answers, 'answer')} compared`;
    case 'does not apply':
      return outcome.reason;
    case 'differs':
      return count(outcome.differences.length, 'difference');
    case 'failed':
      return outcome.problem;
  }
}

function detailsOf(outcome: Outcome): string[] {
  if (outcome.kind === 'differs') {
    return outcome.differences.map(({ title, path, kind, expected, actual }) => {
      const where = title === '' ? path : `${title}: ${path}`;
      return `    ${where}: ${kind}: example has ${expected}, ours ${actual}`;
    });
  }
  if (outcome.kind !== 'same') return [];
  const told = outcome.allowed.map(({ path, kind, reason }) => `    allowed: ${path} (${kind}): ${reason}`);
  return [...new Set(told)];
}

function totals(rows: readonly Row[]): string {
  const counted = (...kinds: Outcome['kind'][]): number =>
    rows.filter(({ outcome }) => kinds.includes(outcome.kind)).length;
  return `${counted('same')} same, ${counted('does not apply')} not applicable, ${counted('differs', 'failed')} differ`;
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}
