import * as z from 'zod';

/** What Stryker says happened to a mutant; `Timeout` counts as found out, the errors as never tried. */
const status = z.enum([
  'Killed',
  'Timeout',
  'Survived',
  'NoCoverage',
  'RuntimeError',
  'CompileError',
  'Ignored',
  'Pending',
]);

/** The parts read here of Stryker's JSON report (schema "mutation-testing-report-schema", version 2). */
const reportSchema = z.object({
  files: z.record(
    z.string(),
    z.object({
      mutants: z.array(
        z.object({
          mutatorName: z.string(),
          replacement: z.string().optional(),
          status,
          location: z.object({ start: z.object({ line: z.int(), column: z.int() }) }),
        }),
      ),
    }),
  ),
});

export type Report = z.output<typeof reportSchema>;

export const readReport = (text: string): Report => reportSchema.parse(JSON.parse(text));

export interface Tally {
  killed: number;
  timedOut: number;
  survived: number;
  uncovered: number;
  /** Mutants that could not run at all: outside the score, as Stryker has it. */
  notRun: number;
  /** Percent of the mutants that ran and were found out; 0 where there were none, so that an empty room fails. */
  score: number;
}

/** Counts the mutants of the files under a folder (`src/` for all). */
export function tally(report: Report, folder: string): Tally {
  const statuses = Object.entries(report.files)
    .filter(([file]) => file.startsWith(folder))
    .flatMap(([, { mutants }]) => mutants.map((mutant) => mutant.status));
  const count = (wanted: z.output<typeof status>) => statuses.filter((one) => one === wanted).length;
  const [killed, timedOut, survived, uncovered] = [
    count('Killed'),
    count('Timeout'),
    count('Survived'),
    count('NoCoverage'),
  ];
  const ran = killed + timedOut + survived + uncovered;
  const score = ran === 0 ? 0 : (100 * (killed + timedOut)) / ran;
  return { killed, timedOut, survived, uncovered, notRun: statuses.length - ran, score };
}

/** The mutants that no test found out, one line each: where, and what the code was changed to. */
export function listSurvivors(report: Report): string[] {
  return Object.entries(report.files)
    .sort(([one], [other]) => (one < other ? -1 : 1))
    .flatMap(([file, { mutants }]) =>
      mutants
        .filter((mutant) => mutant.status === 'Survived' || mutant.status === 'NoCoverage')
        .sort(({ location: { start: one } }, { location: { start: other } }) =>
          one.line === other.line ? one.column - other.column : one.line - other.line,
        )
        .map(({ location: { start }, mutatorName, replacement = '', status }) => {
          const where = `${file}:${start.line}:${start.column}`;
          const change = replacement.replace(/\s+/g, ' ').slice(0, 80);
          return `${where} ${mutatorName}: ${change}${status === 'NoCoverage' ? ' (no test comes here)' : ''}`;
        }),
    );
}
