import { describe, expect, it } from 'vitest';
import { listSurvivors, type Report, readReport, tally } from '../../tools/mutation/report.ts';
import { doubt, failing, renderSummary } from '../../tools/mutation.ts';

type Status = Report['files'][string]['mutants'][number]['status'];

const mutants = (status: Status, count: number) =>
  Array.from({ length: count }, (_, index) => ({
    mutatorName: 'BooleanLiteral',
    replacement: 'false',
    status,
    location: { start: { line: index + 1, column: 7 } },
  }));

/** A report in which each room's one file has that many mutants killed and survived. */
const reportOf = (counts: Record<string, { killed: number; survived: number }>): Report => ({
  files: Object.fromEntries(
    Object.entries(counts).map(([room, { killed, survived }]) => [
      `src/${room}/one.ts`,
      { mutants: [...mutants('Killed', killed), ...mutants('Survived', survived)] },
    ]),
  ),
});

const good = { killed: 90, survived: 10 };

describe('the score of a room', () => {
  it('is the part found out, by a failed test or a timeout, of all mutants that ran', () => {
    const report = {
      files: {
        'src/grants/one.ts': { mutants: [...mutants('Killed', 5), ...mutants('RuntimeError', 9)] },
        'src/grants/two.ts': {
          mutants: [...mutants('Timeout', 1), ...mutants('Survived', 1), ...mutants('NoCoverage', 1)],
        },
        'src/grants-of-others/one.ts': { mutants: mutants('Survived', 50) },
      },
    };
    expect(tally(report, 'src/grants/')).toEqual({
      killed: 5,
      timedOut: 1,
      survived: 1,
      uncovered: 1,
      notRun: 9,
      score: 75,
    });
  });

  it('is 0 where nothing ran, so that a room that was moved away fails', () => {
    expect(tally({ files: {} }, 'src/grants/').score).toBe(0);
    expect(failing(reportOf({ grants: good, callers: good }))).toEqual(['src/rotation']);
  });
});

describe('what is too low', () => {
  it('is nothing at 85 everywhere', () => {
    const just = { killed: 85, survived: 15 };
    expect(failing(reportOf({ rotation: just, grants: just, callers: just }))).toEqual([]);
  });

  it('is a room below 85, whatever the others make of the whole', () => {
    const low = { killed: 84, survived: 16 };
    expect(failing(reportOf({ rotation: good, grants: low, callers: good }))).toEqual(['src/grants']);
    const large = { killed: 8400, survived: 1600 };
    expect(failing(reportOf({ rotation: large, grants: good, callers: good }))).toEqual([
      'src/rotation',
      'all together',
    ]);
  });
});

it('doubts a report in which more than 2 % of the mutants could not run', () => {
  const withErrors = (count: number): Report => ({
    files: { 'src/grants/one.ts': { mutants: [...mutants('Killed', 100 - count), ...mutants('RuntimeError', count)] } },
  });
  expect(doubt(withErrors(2))).toBeUndefined();
  expect(doubt(withErrors(3))).toContain('3 of 100 mutants could not run');
});

describe('the summary', () => {
  const measured = { commit: 'abc1234', date: new Date('2026-03-01T23:59:59Z') };

  it('names commit and date, and each room with its counts and score', () => {
    const summary = renderSummary(reportOf({ rotation: good, grants: good, callers: good }), measured);
    expect(summary).toContain('Commit abc1234, 2026-03-01.');
    expect(summary).toContain('| src/rotation | 90 | 0 | 10 | 0 | 0 | 90.0 |');
    expect(summary).toContain('| **all** | 270 | 0 | 30 | 0 | 0 | 90.0 |');
  });

  it('never rounds a score up to one that passes', () => {
    const almost = { killed: 8499, survived: 1501 };
    expect(renderSummary(reportOf({ grants: almost }), measured)).toContain('| 84.9 |');
  });
});

it('names each mutant that survived or that no test reaches, on one line', () => {
  const [first, next] = mutants('Survived', 2);
  const [second] = mutants('NoCoverage', 1);
  const report = readReport(
    JSON.stringify({
      files: {
        'src/b.ts': { language: 'typescript', mutants: [{ ...second, replacement: undefined }] },
        'src/a.ts': { mutants: [next, { ...first, replacement: '{\n  return;\n}' }, ...mutants('Killed', 3)] },
      },
    }),
  );
  expect(listSurvivors(report)).toEqual([
    'src/a.ts:1:7 BooleanLiteral: { return; }',
    'src/a.ts:2:7 BooleanLiteral: false',
    'src/b.ts:1:7 BooleanLiteral:  (no test comes here)',
  ]);
});
