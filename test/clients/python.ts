import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

/** What is used, or why there is none. */
export type Found<T> = { found: T } | { missing: string };

/** The oldest Python that all packages of requirements.txt run on, as a minor version of Python 3. */
const OLDEST_MINOR = 11;

/** Prints the version, and fails where a virtual environment with pip cannot be made. */
const LOOK = 'import sys, venv, ensurepip; print("%d.%d" % sys.version_info[:2])';

export interface Python {
  command: string;
  /** Like `3.12`. */
  version: string;
}

/** The Python that PYTHON names, else `python3` on the PATH. */
export async function findPython(environment: NodeJS.ProcessEnv): Promise<Found<Python>> {
  const command = environment.PYTHON || 'python3';
  const needed = `Python 3.${OLDEST_MINOR} or later with venv and pip`;
  try {
    const { stdout } = await promisify(execFile)(command, ['-I', '-c', LOOK], { timeout: 30_000 });
    const version = stdout.trim();
    const [major, minor] = version.split('.').map(Number);
    if (major === 3 && minor !== undefined && minor >= OLDEST_MINOR) return { found: { command, version } };
    return { missing: `Python ${version} is too old: install ${needed}, or name it by PYTHON` };
  } catch {
    return { missing: `${command} is not there or lacks venv or pip: install ${needed}, or name it by PYTHON` };
  }
}
