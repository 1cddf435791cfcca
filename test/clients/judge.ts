import type { Outcome } from './command.ts';

export interface Verdict {
  /** The client's own lines, and why it failed as a whole. */
  lines: string[];
  passed: number;
  failed: number;
}

/** How much of what a client printed besides is shown when it breaks. */
const LAST_LINES = 15;

/**
 * Judges a client by its lines `ok …` and `failed …` and by its end: one that proves nothing, or ends badly without saying which
 * check failed, is a failure, too.
 */
export function judge(name: string, { code, lines }: Outcome): Verdict {
  const told = lines.filter((line) => /^(ok|failed) {2}/.test(line));
  const passed = told.filter((line) => line.startsWith('ok')).length;
  const failed = told.length - passed;
  if (failed > 0 || (code === 0 && passed > 0)) return { lines: told, passed, failed };
  const besides = lines.filter((line) => !told.includes(line)).slice(-LAST_LINES);
  return {
    lines: [...told, `failed  ${name}: ${reasonOf(code)}`, ...besides.map((line) => `        ${line}`)],
    passed,
    failed: 1,
  };
}

function reasonOf(code: number | null): string {
  if (code === null) return 'it was stopped, or took too long';
  return code === 0 ? 'it checked nothing' : `it ended with ${code}`;
}
