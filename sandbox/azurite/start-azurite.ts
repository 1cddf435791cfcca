import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import * as z from 'zod';
import type { AzuriteService } from './entry-point.ts';

export interface AzuriteOptions {
  service: AzuriteService;
  /** 0: a free one. */
  port: number;
  /** Working directory of the child, made when it is missing; nothing is kept in it. */
  folder: string;
  /** Account name to base64 key. */
  accounts: Readonly<Record<string, string>>;
  /** Paths of the PEM files to serve HTTPS with, and then bearer tokens are accepted. Without it: plain HTTP. */
  tls?: { certFile: string; keyFile: string };
}

export interface Azurite {
  port: number;
  pid: number;
  stop(): Promise<void>;
}

const childMessage = z.union([z.object({ listening: z.number() }), z.object({ failed: z.string() })]);

const startTimeoutMs = 20_000;

/**
 * Runs one service of Azurite, data in memory, as a child process on 127.0.0.1, and waits until it listens.
 *
 * The child ends with its parent, however that ends. Rejects when the port is in use (the error names the port and
 * what to do), and when Azurite ends or stays silent instead of listening.
 *
 * Source: https://learn.microsoft.com/azure/storage/common/storage-use-azurite
 */
export async function startAzurite(options: AzuriteOptions): Promise<Azurite> {
  await mkdir(options.folder, { recursive: true });
  const child = fork(join(import.meta.dirname, 'child.ts'), [options.service, ...flagsOf(options)], {
    cwd: options.folder,
    env: { PATH: process.env.PATH, AZURITE_ACCOUNTS: accountsText(options.accounts) },
    execArgv: [],
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
  const stop = () => stopChild(child);
  try {
    const port = await untilListening(child, options);
    return { port, pid: child.pid ?? 0, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

function flagsOf({ service, port, tls }: AzuriteOptions): string[] {
  const flags = ['--inMemoryPersistence', '--skipApiVersionCheck', '--disableTelemetry', '--silent'];
  flags.push(`--${service}Host`, '127.0.0.1', `--${service}Port`, String(port));
  if (tls !== undefined) flags.push('--oauth', 'basic', '--cert', tls.certFile, '--key', tls.keyFile);
  return flags;
}

function accountsText(accounts: Readonly<Record<string, string>>): string {
  return Object.entries(accounts)
    .map(([name, key]) => `${name}:${key}`)
    .join(';');
}

async function untilListening(child: ChildProcess, { service, port }: AzuriteOptions): Promise<number> {
  const output: string[] = [];
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk: Buffer) => output.push(String(chunk)));
  const ended = once(child, 'exit').then(([code]) => {
    throw new Error(`Azurite's ${service} service ended with code ${code} at its start. ${output.join('').trim()}`);
  });
  const late = AbortSignal.timeout(startTimeoutMs);
  const silent = once(late, 'abort').then(() => {
    throw new Error(`Azurite's ${service} service did not listen within ${startTimeoutMs / 1000} s. Start it again.`);
  });
  const listening = once(child, 'message').then(([message]) => {
    const answer = childMessage.parse(message);
    if ('listening' in answer) return answer.listening;
    if (answer.failed !== 'EADDRINUSE') throw new Error(`Azurite cannot listen on port ${port}: ${answer.failed}.`);
    throw new Error(
      `Port ${port}, for Azurite's ${service} service, is in use. Free it, or set SANDBOX_PORT to another first port.`,
    );
  });
  return await Promise.race([listening, ended, silent]);
}

/** Ends the child and waits for it. SIGKILL, because all of its data is in memory and nothing needs a farewell. */
async function stopChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
}
