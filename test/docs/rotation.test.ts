import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { inWords, type Reason, reasons } from '../../src/rotation/reasons.ts';

const page = await readFile(new URL('../../docs/rotation.md', import.meta.url), 'utf8');

/** Words of the code's own types: a page cannot be checked against a type. */
async function stepsOf(file: string, type: string): Promise<string[]> {
  const source = await readFile(new URL(`../../src/rotation/${file}`, import.meta.url), 'utf8');
  const declared = new RegExp(`export type ${type} =([\\s\\S]*?)\\n\\n`).exec(source)?.[1] ?? '';
  return [...declared.matchAll(/\{ do: '([a-z]+)'/g)].map(([, step = '']) => step);
}

const secretSteps = await stepsOf('plan.ts', 'Step');
const keySteps = await stepsOf('key-plan.ts', 'KeyStep');

interface Row {
  reason: string;
  means: string;
  asks: string | undefined;
}

function readTable(): Row[] {
  const [, after = ''] = page.split('<!-- reasons -->');
  const lines = after.trimStart().split('\n');
  const rows = lines.slice(
    2,
    lines.findIndex((line) => !line.startsWith('|')),
  );
  return rows.map((line) => {
    const [reason = '', means = '', asks = ''] = line
      .slice(1, -1)
      .split('|')
      .map((cell) => cell.trim().replaceAll('\\<', '<'));
    return { reason: reason.replaceAll('`', ''), means, asks: asks === '' ? undefined : asks };
  });
}

interface Arrow {
  from: string;
  to: string;
  step: string | undefined;
}

const diagrams = [...page.matchAll(/```mermaid\n(stateDiagram-v2\n[\s\S]*?)```/g)].map(([, text = '']) => text);

const readArrows = (diagram: string): Arrow[] =>
  [...diagram.matchAll(/^ +(\S+) --> (\S+?)(?:: ([a-z]+)[^\n]*)?$/gm)].map(([, from = '', to = '', step]) => ({
    from,
    to,
    step,
  }));

const statesOf = (arrows: readonly Arrow[]): string[] =>
  [...new Set(arrows.flatMap(({ from, to }) => [from, to]))].filter((state) => state !== '[*]');

const isReason = (state: string): state is Reason => Object.hasOwn(reasons, state);

/** Of both plans: what may come at any moment, and where a person has to act. */
const anywhere = ['unreadable', 'step_failed', 'write_budget'];
const waits = Object.keys(reasons)
  .filter(isReason)
  .filter((reason) => inWords(reason).asks !== undefined);

describe('docs/rotation.md', () => {
  it('has one row for each reason of the code, with its words, and no other', () => {
    const expected = Object.keys(reasons)
      .filter(isReason)
      .map((reason) => ({ reason, means: inWords(reason).means, asks: inWords(reason).asks }));
    expect(readTable()).toEqual(expected);
  });

  it('has two state diagrams, which are arrows alone', () => {
    expect(diagrams).toHaveLength(2);
    for (const diagram of diagrams) {
      const lines = diagram
        .split('\n')
        .slice(1)
        .filter((line) => line.trim() !== '');
      expect(readArrows(diagram)).toHaveLength(lines.length);
    }
  });

  it.each([
    ['secrets', 0, secretSteps],
    ['endpoint keys', 1, keySteps],
  ])('the diagram of %s names reasons and steps that exist, and leaves no step out', (_, index, steps) => {
    const arrows = readArrows(diagrams[index] ?? '');
    expect(statesOf(arrows).filter((state) => !isReason(state))).toEqual([]);
    const named = new Set(arrows.flatMap(({ step }) => (step === undefined ? [] : [step])));
    expect([...named].sort()).toEqual([...steps].sort());
    expect(steps.length).toBeGreaterThan(3);
  });

  it('shows each reason in a diagram, or tells that it may come at any moment, or what to do about it', () => {
    const drawn = diagrams.flatMap((diagram) => statesOf(readArrows(diagram)));
    const told = new Set([...drawn, ...anywhere, ...waits]);
    expect(Object.keys(reasons).filter((reason) => !told.has(reason))).toEqual([]);
    const [, sentence = ''] = /\nFrom any state ([^\n]*)/.exec(page) ?? [];
    for (const reason of anywhere) expect(sentence).toContain(`\`${reason}\``);
  });

  it('tells the way out of each reason that waits for a person', () => {
    const [, after = ''] = page.split('\n## When the broker waits for you\n');
    const [section = ''] = after.split('\n## ');
    const told = [...section.matchAll(/^- \*\*(.+?)\*\*:/gm)].flatMap(
      ([, names = '']) => names.match(/[a-z_]+/g) ?? [],
    );
    expect(told.sort()).toEqual([...waits].sort());
  });

  it('names every promise', () => {
    for (const promise of ['R1', 'R2', 'R3', 'R4', 'R5']) expect(page).toContain(`- **${promise}** `);
  });
});
