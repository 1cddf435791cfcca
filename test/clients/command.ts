import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

export interface Command {
  command: string;
  args: readonly string[];
  timeoutMs: number;
}

export interface Outcome {
  /** Null: ended by a signal, for example because it took too long. */
  code: number | null;
  /** Standard output and error, line by line. */
  lines: string[];
}

/** Runs a command to its end in a process group of its own, which ends with it, with its time, or with the signal. */
export async function runCommand(
  { command, args, timeoutMs }: Command,
  environment: NodeJS.ProcessEnv,
  signal: AbortSignal,
): Promise<Outcome> {
  signal.throwIfAborted();
  const child = spawn(command, args, { env: environment, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
  const endGroup = () => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
    } catch {
      // The group is gone.
    }
  };
  const limit = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
  limit.addEventListener('abort', endGroup);
  const lines: string[] = [];
  for (const input of [child.stdout, child.stderr]) {
    createInterface({ input }).on('line', (line) => lines.push(line));
  }
  try {
    const [code]: unknown[] = await once(child, 'close');
    return { code: typeof code === 'number' ? code : null, lines };
  } catch (error) {
    return { code: null, lines: [...lines, String(error)] };
  } finally {
    limit.removeEventListener('abort', endGroup);
    endGroup();
  }
}
