import { execFile } from 'node:child_process';
import path from 'node:path';
import { promisify } from 'node:util';

/** The oldest Java that the peers run on. */
const OLDEST_JAVA = 17;

/** What is used, or why there is none. */
export type Found<T> = { found: T } | { missing: string };

/** The major version in what `java -version` prints; 8 and older call themselves 1.8. */
export function readJavaVersion(printed: string): number | undefined {
  const [, first, second] = /version "(\d+)(?:\.(\d+))?/.exec(printed) ?? [];
  return first === undefined ? undefined : Number(first === '1' ? second : first);
}

async function versionOf(command: string): Promise<number | undefined> {
  try {
    const { stdout, stderr } = await promisify(execFile)(command, ['-version'], { timeout: 30_000 });
    return readJavaVersion(stderr + stdout);
  } catch {
    return undefined;
  }
}

/** The Java of JAVA_HOME, else the one on the PATH. */
export async function findJava(environment: NodeJS.ProcessEnv): Promise<Found<string>> {
  const { JAVA_HOME } = environment;
  const command = JAVA_HOME ? path.join(JAVA_HOME, 'bin', 'java') : 'java';
  const version = await versionOf(command);
  if (version === undefined) return { missing: `no Java runs as ${command}: install one, or name it by JAVA_HOME` };
  if (version >= OLDEST_JAVA) return { found: command };
  return { missing: `Java ${version} is too old: install ${OLDEST_JAVA} or later, or name it by JAVA_HOME` };
}
