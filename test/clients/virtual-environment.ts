import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type Command, runCommand } from './command.ts';
import type { Found, Python } from './python.ts';

const PIP_MS = 5 * 60_000;

/** Packages are named by exact versions, so those of one list are made once and kept. */
function folderFor(requirements: string, { version }: Python, cacheFolder: string): string {
  const hash = createHash('sha256').update(`${version}\n${requirements}`).digest('hex');
  return path.join(cacheFolder, `venv-${hash.slice(0, 16)}`);
}

/** Makes the virtual environment with the packages of a requirements file, or finds it; gives its Python. */
export async function makeVirtualEnvironment(
  python: Python,
  requirementsFile: string,
  cacheFolder: string,
  signal: AbortSignal,
): Promise<Found<string>> {
  const folder = folderFor(await readFile(requirementsFile, 'utf8'), python, cacheFolder);
  const own = path.join(folder, 'bin/python');
  // Written last: without it the folder is what a broken run left.
  const complete = path.join(folder, 'complete');
  if (existsSync(complete)) return { found: own };
  await rm(folder, { recursive: true, force: true });
  const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--no-input', '--requirement'];
  const commands: Command[] = [
    { command: python.command, args: ['-I', '-m', 'venv', folder], timeoutMs: PIP_MS },
    { command: own, args: [...pip, requirementsFile], timeoutMs: PIP_MS },
  ];
  for (const command of commands) {
    const { code, lines } = await runCommand(command, process.env, signal);
    if (code !== 0) return { missing: `the Python packages could not be installed: ${lines.slice(-3).join(' ')}` };
  }
  await writeFile(complete, '');
  return { found: own };
}
