import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runCommand } from './command.ts';
import { judge } from './judge.ts';
import { findPython } from './python.ts';

/** What the runner of the clients does where they cannot run or break; it needs neither Python nor a network. */

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'clients-test-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Runs the runner where there is no Python. */
function runWithoutPython(CI: string | undefined): Promise<{ code: unknown; out: string }> {
  const { CI: _, ...environment } = process.env;
  const env = { ...environment, PYTHON: path.join(folder, 'none'), ...(CI === undefined ? {} : { CI }) };
  const { promise, resolve } = Promise.withResolvers<{ code: unknown; out: string }>();
  execFile(process.execPath, [path.join(import.meta.dirname, 'main.ts')], { env }, (error, out) =>
    resolve({ code: error === null ? 0 : error.code, out }),
  );
  return promise;
}

/** Empty for a process that has ended. */
function commandLineOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return '';
  }
}

/** A stand-in for Python that prints this version. */
async function pretendPython(version: string): Promise<string> {
  const file = path.join(folder, `python-${version}`);
  await writeFile(file, `#!/bin/sh\necho ${version}\n`, { mode: 0o700 });
  return file;
}

describe('clients without a Python', () => {
  it.each([undefined, '', 'false', '1'])(
    'are skipped with a reason, which is no failure where CI is %j',
    async (CI) => {
      const { code, out } = await runWithoutPython(CI);
      expect(out).toMatch(/^SKIPPED clients: .+ is not there or lacks venv or pip: install Python .+ by PYTHON\n$/);
      expect(code).toBe(0);
    },
  );

  it('are a failure where CI is true', async () => {
    expect(await runWithoutPython('true')).toMatchObject({ code: 1, out: expect.stringMatching(/^SKIPPED clients: /) });
  });

  it.each(['2.7', '3.10'])('take a Python %s for missing', async (version) => {
    const found = await findPython({ PYTHON: await pretendPython(version) });
    expect(found).toMatchObject({ missing: expect.stringContaining(`Python ${version} is too old`) });
  });

  it('take a Python that is new enough', async () => {
    const command = await pretendPython('3.11');
    expect(await findPython({ PYTHON: command })).toEqual({ found: { command, version: '3.11' } });
  });
});

describe('a client', () => {
  it('is judged by its lines', () => {
    const lines = ['ok      x: one', 'noise', 'failed  x: two: why'];
    expect(judge('x', { code: 1, lines })).toEqual({ lines: [lines[0], lines[2]], passed: 1, failed: 1 });
    expect(judge('x', { code: 0, lines: ['ok      x: one'] })).toMatchObject({ passed: 1, failed: 0 });
  });

  it.each([
    ['checked nothing', { code: 0, lines: ['noise'] }, 'it checked nothing'],
    ['broke before it was through', { code: 1, lines: ['ok      x: one', 'Traceback'] }, 'it ended with 1'],
    ['was stopped', { code: null, lines: [] }, 'it was stopped, or took too long'],
  ])('has failed when it %s', (_what, outcome, why) => {
    const { lines, failed } = judge('x', outcome);
    expect(failed).toBe(1);
    expect(lines.join('\n')).toContain(`failed  x: ${why}`);
  });

  it('that hangs is ended with its children when its time is over', async () => {
    const pidFile = path.join(folder, 'pid');
    const script = `sleep 60 & echo $! > ${pidFile}; wait`;
    const command = { command: 'sh', args: ['-c', script], timeoutMs: 500 };
    expect(await runCommand(command, process.env, new AbortController().signal)).toEqual({ code: null, lines: [] });
    const sleeper = Number(readFileSync(pidFile, 'utf8'));
    await expect.poll(() => commandLineOf(sleeper), { timeout: 2000 }).toBe('');
  });

  it('that cannot be started has no exit code and says why', async () => {
    const command = { command: path.join(folder, 'none'), args: [], timeoutMs: 5000 };
    const { code, lines } = await runCommand(command, process.env, new AbortController().signal);
    expect([code, lines.join()]).toEqual([null, expect.stringContaining('ENOENT')]);
  });
});
