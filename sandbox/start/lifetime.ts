import { readFileSync } from 'node:fs';

/** What a start-up leaves to be undone, and the way to end everything early. */
export interface Lifetime {
  /** Called at the end, with all others at once. */
  onEnd(stop: () => unknown): void;
  /** Ends everything; the message says why. The process exits with code 1. */
  fail(message: string): void;
}

/** All that was started ends within a second; what takes longer is left behind and ends with its parent. */
const STOP_MS = 800;
const PARENT_CHECK_MS = 100;

/**
 * Runs `start`, then waits for a signal or a failure, undoes what was started and exits: code 0 after a signal, 1 after a failure.
 * Children need no signal of their own: they end when this process does, even by `kill -9`.
 */
export async function runUntilEnded(start: (lifetime: Lifetime) => Promise<void>): Promise<void> {
  const stops: (() => unknown)[] = [];
  const { promise: ended, resolve: end, reject } = Promise.withResolvers<void>();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => end());
  watchParent(end);
  let exitCode = 0;
  try {
    const lifetime: Lifetime = {
      onEnd: (stop) => stops.push(stop),
      fail: (message) => reject(new Error(message)),
    };
    // A signal ends a start-up that is still under way, too.
    await Promise.race([start(lifetime).then(() => ended), ended]);
  } catch (error) {
    exitCode = 1;
    process.stderr.write(`${error instanceof Error ? error.message : error}\n`);
  }
  setTimeout(() => process.exit(exitCode), STOP_MS);
  await Promise.allSettled(stops.map(async (stop) => stop()));
  process.exit(exitCode);
}

/**
 * Under npm this process ends when npm is gone, by `kill -9` for example: else it would hold the ports with nobody to stop it. npm runs a script
 * through a shell, which may stand between or not.
 */
function watchParent(end: () => void): void {
  if (process.env.npm_lifecycle_event === undefined) return;
  const parent = process.ppid;
  const npm = npmProcess(parent);
  setInterval(() => {
    if (process.ppid !== parent || !isAlive(npm)) end();
  }, PARENT_CHECK_MS).unref();
}

/** The shell's parent when the parent is a shell; Linux only, elsewhere the parent itself. */
function npmProcess(parent: number): number {
  try {
    const stat = readFileSync(`/proc/${parent}/stat`, 'utf8');
    const [, command = '', grandparent] = /^\d+ \((.*)\) \S (\d+)/s.exec(stat) ?? [];
    return /^(?:ba|da|a|z)?sh$/.test(command) && grandparent ? Number(grandparent) : parent;
  } catch {
    return parent;
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
