import { execFile, spawn } from 'node:child_process';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { listSurvivors, type Report, readReport, type Tally, tally } from './mutation/report.ts';

/**
 * `npm run mutation`: changes the code of the rooms that decide, one place at a time, and counts how many changes
 * their tests find out. Writes the summary, and exits 1 when a room, or all together, scores too little.
 *
 * `npm run mutation -- grants` looks at one room only: it repeats what changed since the last such run, names the
 * changes that no test found out, and leaves the summary alone.
 */

const root = path.resolve(import.meta.dirname, '..');
const REPORT = '.stryker/report.json';
const SUMMARY = 'docs/mutation.md';

export const rooms = ['rotation', 'grants', 'callers'] as const;

/** Percent, for each room and for all together. */
export const LEAST_SCORE = 85;

/** Percent. Mutants that cannot run are outside the score: where they are many, the score says nothing. */
export const MOST_NOT_RUN = 2;

interface Row extends Tally {
  name: string;
}

const rowsOf = (report: Report, wanted: readonly string[] = rooms): Row[] =>
  wanted.map((room) => ({ name: `src/${room}`, ...tally(report, `src/${room}/`) }));

/** Cut, not rounded: 84.99 does not read as 85. */
const percent = (score: number) => (Math.floor(score * 10) / 10).toFixed(1);

const tooLow = (rows: readonly Row[]) => rows.filter(({ score }) => score < LEAST_SCORE);

/** The rooms, and `all together`, that score too little. */
export function failing(report: Report): string[] {
  return tooLow([...rowsOf(report), { name: 'all together', ...tally(report, 'src/') }]).map(({ name }) => name);
}

/** Why the report cannot be believed; undefined when it can. */
export function doubt(report: Report): string | undefined {
  const { killed, timedOut, survived, uncovered, notRun } = tally(report, 'src/');
  const all = killed + timedOut + survived + uncovered + notRun;
  if (notRun * 100 <= all * MOST_NOT_RUN) return undefined;
  return `${notRun} of ${all} mutants could not run, so the score says nothing. ${REPORT} says why (statusReason); run it again.`;
}

/** The summary as Markdown. `commit` is what was measured. */
export function renderSummary(report: Report, { commit, date }: { commit: string; date: Date }): string {
  const all: Row = { name: '**all**', ...tally(report, 'src/') };
  const table = [...rowsOf(report), all].map(
    ({ name, killed, timedOut, survived, uncovered, notRun, score }) =>
      `| ${[name, killed, timedOut, survived, uncovered, notRun, percent(score)].join(' | ')} |`,
  );
  return [
    '# Mutation testing',
    '',
    `Commit ${commit}, ${date.toISOString().slice(0, 10)}. Written by \`npm run mutation\`; do not edit.`,
    '',
    'Stryker changes the code in one place (a mutant) and runs the tests of the rooms that decide who gets what and what',
    'is rotated. A mutant is found out when a test fails (killed) or runs in circles (timed out). The score is the part',
    `found out of all that ran, in percent; each room and all together must reach ${LEAST_SCORE}. It takes too long for`,
    'every change, so it is run by hand.',
    '',
    '| room | killed | timed out | survived | no test | not run | score |',
    '| --- | ---: | ---: | ---: | ---: | ---: | ---: |',
    ...table,
    '',
    '## What no test found out',
    '',
    'Each line is a place and what stood there instead. It is a gap in the tests, unless nothing can be seen of the',
    'change: a second look after a check that already refused, a default that only the types ask for, a saved call.',
    '',
    '```text',
    ...listSurvivors(report),
    '```',
    '',
  ].join('\n');
}

/** Runs Stryker on the Node that runs this, because it hands its own on to the tests. */
async function stryker(args: readonly string[]): Promise<void> {
  await rm(path.join(root, REPORT), { force: true });
  const command = path.join(root, 'node_modules/@stryker-mutator/core/bin/stryker.js');
  const child = spawn(process.execPath, [command, 'run', ...args], { cwd: root, stdio: 'inherit' });
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  if (code !== 0) throw new Error('Stryker did not finish; what it said is above. Do the tests pass (npm test)?');
}

async function git(...args: string[]): Promise<string> {
  const { stdout } = await promisify(execFile)('git', args, { cwd: root });
  return stdout.trim();
}

/** The commit that is measured; says so when the code or its tests are not as committed. */
async function nameCommit(): Promise<string> {
  const commit = await git('rev-parse', '--short', 'HEAD');
  const changed = await git('status', '--porcelain', '--', 'src', ...rooms.map((room) => `test/${room}`));
  return changed === '' ? commit : `${commit} with changes that are not committed`;
}

async function measureRoom(room: string): Promise<number> {
  if (!rooms.some((known) => known === room)) {
    console.error(`There is no room ${room}; name one of ${rooms.join(', ')}, or none for all.`);
    return 2;
  }
  await stryker(['--incremental', '--mutate', `src/${room}/**/*.ts`]);
  // An incremental report also repeats what earlier runs found in other rooms.
  const report = await readRoom(room);
  const doubts = doubt(report);
  if (doubts !== undefined) throw new Error(doubts);
  for (const line of listSurvivors(report)) console.log(line);
  const rows = rowsOf(report, [room]);
  for (const { name, score } of rows) console.log(`${name}: ${percent(score)} of at least ${LEAST_SCORE}`);
  return tooLow(rows).length === 0 ? 0 : 1;
}

async function readRoom(room: string): Promise<Report> {
  const { files } = readReport(await readFile(path.join(root, REPORT), 'utf8'));
  return { files: Object.fromEntries(Object.entries(files).filter(([file]) => file.startsWith(`src/${room}/`))) };
}

async function measureAll(now: () => Date): Promise<number> {
  const commit = await nameCommit();
  await stryker([]);
  const report = readReport(await readFile(path.join(root, REPORT), 'utf8'));
  const doubts = doubt(report);
  if (doubts !== undefined) throw new Error(doubts);
  await mkdir(path.join(root, path.dirname(SUMMARY)), { recursive: true });
  await writeFile(path.join(root, SUMMARY), renderSummary(report, { commit, date: now() }));
  console.log(`Wrote ${SUMMARY}.`);
  const low = failing(report);
  if (low.length > 0) console.error(`Below ${LEAST_SCORE}: ${low.join(', ')}. Test what ${SUMMARY} lists.`);
  return low.length === 0 ? 0 : 1;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [room] = process.argv.slice(2);
  try {
    process.exitCode = room === undefined ? await measureAll(() => new Date()) : await measureRoom(room);
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    process.exitCode = 2;
  }
}
