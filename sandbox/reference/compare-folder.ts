import { readdir, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import * as z from 'zod';
import { compareAnswers } from './answer.ts';
import { handlerFor } from './examples.ts';
import type { Outcome, Row } from './table.ts';
import type { World } from './world.ts';

/**
 * The names of all files in a folder, sorted; hidden ones are left out.
 *
 * @throws Error that says what to do when the folder cannot be read or is empty.
 */
export async function listExamples(folder: string): Promise<string[]> {
  const entries = await readdir(folder).catch((error: unknown) => {
    throw new Error(`The folder ${folder} cannot be read. Name the folder that holds the wire examples.`, {
      cause: error,
    });
  });
  const names = entries.filter((name) => !name.startsWith('.')).toSorted();
  if (names.length === 0)
    throw new Error(`The folder ${folder} is empty. Name the folder that holds the wire examples.`);
  return names;
}

/** Compares every example of a folder, one after the other. */
export async function compareFolder(folder: string, names: readonly string[], world: World): Promise<Row[]> {
  const rows: Row[] = [];
  for (const name of names) rows.push({ example: name, outcome: await compareExample(join(folder, name), world) });
  return rows;
}

async function compareExample(file: string, world: World): Promise<Outcome> {
  const handler = handlerFor(basename(file));
  if (handler === undefined) {
    return {
      kind: 'failed',
      problem: 'unknown example: write a handler, or the reason why it does not apply, in sandbox/reference',
    };
  }
  if ('doesNotApply' in handler) return { kind: 'does not apply', reason: handler.doesNotApply };
  try {
    const example = z.json().parse(JSON.parse(await readFile(file, 'utf8')));
    const comparisons = await handler.compare(example, world);
    const differences = comparisons.flatMap(({ title, expected, actual, rules }) =>
      compareAnswers(expected, actual, rules).map((difference) => ({ title, ...difference })),
    );
    if (differences.length > 0) return { kind: 'differs', differences };
    const allowed = comparisons.flatMap(({ rules }) => rules.allow);
    return { kind: 'same', answers: comparisons.length, allowed };
  } catch (error) {
    return {
      kind: 'failed',
      problem: error instanceof Error ? error.message.slice(0, 400) : 'failed without an error message',
    };
  }
}
