import { execFile } from 'node:child_process';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { copyProject, terminalPath, untilReady } from '../e2e/fixtures/project-copy.ts';
import { clientEnvironment, type Endpoints } from './client-environment.ts';
import { type Command, runCommand } from './command.ts';
import { judge } from './judge.ts';
import { findPython } from './python.ts';
import { makeVirtualEnvironment } from './virtual-environment.ts';

/**
 * `npm run test:clients`: clients that others wrote, as published, against a running `npm start` over TLS. Each proves something
 * that it gets and something that it is refused. Where Python, its packages or curl are missing, nothing is proved, which is
 * said, and is a failure where CI is `true`.
 */

const here = import.meta.dirname;
const cacheFolder = path.join(here, '../../.clients');
const CLIENT_MS = 90_000;
const STOP_MS = 5000;

/** Where this process is told to stop, its children end first. */
const stopped = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => stopped.abort());

async function clientsIn(folder: string, extension: string, command: string, flags: readonly string[] = []) {
  const files = (await readdir(path.join(here, folder))).filter((file) => file.endsWith(extension));
  return files
    .filter((file) => path.parse(file).name !== 'checks')
    .toSorted()
    .map((file): Command => ({ command, args: [...flags, path.join(here, folder, file)], timeoutMs: CLIENT_MS }));
}

async function allClients(python: string): Promise<Command[]> {
  return [
    ...(await clientsIn('javascript', '.ts', process.execPath)),
    // DeprecationWarnings of packages are their own business.
    ...(await clientsIn('python', '.py', python, ['-W', 'ignore'])),
    { command: 'sh', args: [path.join(here, 'curl.sh')], timeoutMs: CLIENT_MS },
  ];
}

/** Runs one client after the other, so that what each prints stays together. */
async function runClients(clients: readonly Command[], environment: Record<string, string>): Promise<boolean> {
  const total = { passed: 0, failed: 0 };
  for (const client of clients) {
    const begun = performance.now();
    const name = path.basename(client.args.at(-1) ?? client.command);
    const { lines, passed, failed } = judge(name, await runCommand(client, environment, stopped.signal));
    const seconds = ((performance.now() - begun) / 1000).toFixed(1);
    console.log([...lines, `        ${name}: ${seconds} s`].join('\n'));
    total.passed += passed;
    total.failed += failed;
  }
  console.log(`clients: ${total.passed} passed, ${total.failed} failed`);
  return total.passed > 0 && total.failed === 0;
}

/** Gives the addresses of a running `npm start` of a copy of the project; both end with `use`. */
async function withRunningProject<T>(use: (endpoints: Endpoints) => Promise<T>): Promise<T> {
  const project = await copyProject();
  const stop = () => project.remove();
  stopped.signal.addEventListener('abort', stop);
  try {
    const started = project.run('npm', ['start'], { PATH: terminalPath() });
    await untilReady(started, project.runFile('endpoints.json'));
    const result = await use(project.endpoints());
    started.signalGroup('SIGTERM');
    await Promise.race([started.ended, new Promise((resolve) => setTimeout(resolve, STOP_MS).unref())]);
    return result;
  } finally {
    stopped.signal.removeEventListener('abort', stop);
    await project.remove();
  }
}

async function main(): Promise<boolean> {
  const skip = (why: string) => {
    console.log(`SKIPPED clients: ${why}`);
    return process.env.CI !== 'true';
  };
  const python = await findPython(process.env);
  if ('missing' in python) return skip(python.missing);
  const curl = await promisify(execFile)('curl', ['--version']).catch(() => undefined);
  if (curl === undefined) return skip('curl is not there: install it');
  const made = await makeVirtualEnvironment(
    python.found,
    path.join(here, 'requirements.txt'),
    cacheFolder,
    stopped.signal,
  );
  if ('missing' in made) return skip(made.missing);
  const folder = await mkdtemp(path.join(tmpdir(), 'clients-'));
  try {
    return await withRunningProject(async (endpoints) =>
      runClients(await allClients(made.found), await clientEnvironment(endpoints, folder)),
    );
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

try {
  process.exitCode = (await main()) ? 0 : 1;
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  console.log('clients: 0 passed, 1 failed');
  process.exitCode = 1;
}
