import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { type StartMessage, startedMessage } from './messages.ts';
import { PortBusyError } from './port-busy-error.ts';
import { StartError } from './start-error.ts';

export interface HostOptions {
  /** Folder with the app's package.json and host.json. */
  appFolder: string;
  /** The app's settings: with PATH and HOME the whole environment of the host process. */
  settings: Record<string, string>;
  /** 0 takes a free port. */
  port: number;
  tlsPort: number;
  /** PEM texts. */
  tls: { cert: string; key: string };
  onOutput?: (line: string) => void;
  /** Called once when the process ends without `stop` having been called. */
  onExit?: (exitCode: number | null) => void;
}

export interface Host {
  url: string;
  tlsUrl: string;
  /** All that the host process has written so far (the last 50,000 lines). */
  output(): string;
  /** Ends the process; when it does not end by itself within 2 s, by force. */
  stop(): Promise<void>;
  pid: number;
}

const MAIN = fileURLToPath(new URL('./main.ts', import.meta.url));
const KEPT_LINES = 50_000;
const START_MS = 30_000;
const STOP_MS = 2000;
/** The IPC channel is not among the streams that `close` waits for. */
const LAST_MESSAGE_MS = 50;

/**
 * Starts the development host in a child process and resolves when it serves. The child ends with this process, however this one ends.
 * Rejects with `PortBusyError`, or with a `StartError` that says what is wrong with the app.
 */
export async function startHost({
  appFolder,
  settings,
  port,
  tlsPort,
  tls,
  onOutput,
  onExit,
}: HostOptions): Promise<Host> {
  const { PATH = '', HOME = '' } = process.env;
  const child = spawn(process.execPath, [MAIN], {
    cwd: appFolder,
    env: { PATH, HOME, ...settings },
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
  const lines = collectLines(child, onOutput);
  const exited = new Promise<number | null>((resolve) => {
    // Not `exit`: the last lines and the last message are read before `close`.
    child.once('close', (code) => resolve(code));
    child.once('error', () => resolve(null));
  });
  let stopping = false;
  const stop = async () => {
    stopping = true;
    child.kill('SIGTERM');
    const force = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
    await exited;
    clearTimeout(force);
  };

  try {
    const started = await handshake(child, exited, { appFolder, port, tlsPort, tls }, lines);
    void exited.then((code) => {
      if (!stopping) onExit?.(code);
    });
    return {
      url: `http://localhost:${started.port}`,
      tlsUrl: `https://localhost:${started.tlsPort}`,
      output: () => lines.join('\n'),
      stop,
      pid: child.pid ?? 0,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Sends the start message and waits for the one answer. */
async function handshake(
  child: ChildProcess,
  exited: Promise<number | null>,
  message: StartMessage,
  lines: readonly string[],
): Promise<{ port: number; tlsPort: number }> {
  const answer = new Promise<unknown>((resolve) => child.once('message', resolve));
  const { promise: tooLate, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    reject(new StartError(`The host did not start within ${START_MS / 1000} s.${lastWords(lines)}`));
  }, START_MS);
  // A child that is gone already cannot be written to; its exit says so below.
  child.send(message, () => undefined);
  try {
    const ended = exited.then(async (code) => {
      await new Promise((resolve) => setTimeout(resolve, LAST_MESSAGE_MS));
      throw new StartError(`The host ended with code ${code} before it served.${lastWords(lines)}`);
    });
    const started = startedMessage.parse(await Promise.race([answer, ended, tooLate]));
    if (started.type === 'portBusy') throw new PortBusyError(started.port);
    if (started.type === 'failed') throw new StartError(started.message);
    return started;
  } finally {
    clearTimeout(timer);
  }
}

function collectLines(child: ChildProcess, onOutput: ((line: string) => void) | undefined): string[] {
  const lines: string[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    if (!stream) continue;
    createInterface({ input: stream }).on('line', (line) => {
      lines.push(line);
      if (lines.length > KEPT_LINES) lines.splice(0, KEPT_LINES / 10);
      onOutput?.(line);
    });
  }
  return lines;
}

function lastWords(lines: readonly string[]): string {
  return lines.length === 0 ? '' : ` Its last lines:\n${lines.slice(-20).join('\n')}`;
}
