import { readFile } from 'node:fs/promises';

/** docs/callers.md as data: the rows of its table, and the text of its recipes. */

export const page = await readFile(new URL('../../docs/callers.md', import.meta.url), 'utf8');

export interface Row {
  caller: string;
  recipe: string;
  test: string;
}

export function readRows(): Row[] {
  const [, after = ''] = page.split('<!-- callers -->\n\n');
  const [table = ''] = after.split('\n\n');
  return table
    .split('\n')
    .slice(2)
    .map((line) => {
      const [caller = '', , , recipe = '', test = ''] = line
        .slice(1, -1)
        .split('|')
        .map((cell) => cell.trim());
      return { caller, recipe: /\(#([a-z0-9-]+)\)/.exec(recipe)?.[1] ?? '', test };
    });
}

const codeBlock = (text: string): string => /```(?:js|sh|json)\n([\s\S]*?)```/.exec(text)?.[1] ?? '';

/** The code under a recipe's heading; empty where there is none. */
export function recipe(name: string): string {
  const [, after = ''] = page.split(`\n### ${name}\n`);
  const [section = ''] = after.split('\n### ');
  return codeBlock(section);
}

/** The file that the recipes in JavaScript share. */
export const sharedFile = (): string => codeBlock(page.slice(page.indexOf('`broker.js`')));
