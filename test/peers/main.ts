import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import * as z from 'zod';
import { fetchJar } from './fetch-jar.ts';
import { findJava } from './java.ts';
import { lowkeyVault } from './lowkey-vault.ts';
import { startLowkeyVault } from './start-lowkey-vault.ts';

/**
 * `npm run test:peers`: the contracts that the sandbox keeps, held against emulators that others wrote. What these need
 * and the rest of the project does not (Java, a jar from Maven Central) may be missing: then nothing is proved, which is
 * said, and is a failure where CI is `true`.
 */

const root = path.resolve(import.meta.dirname, '../..');
const cacheFolder = path.join(root, '.peers');

const resultSchema = z.object({ numPassedTests: z.int(), numFailedTests: z.int(), success: z.boolean() });

/** Where this process is told to stop, its children end first. */
const stopped = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => stopped.abort());

/** Runs every *.peer.ts; a run that ends without its result is a failure. */
async function runTests(environment: Record<string, string>, folder: string) {
  const resultFile = path.join(folder, 'result.json');
  const vitest = path.join(root, 'node_modules/vitest/vitest.mjs');
  const config = path.join(root, 'test/peers/vitest.config.ts');
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${resultFile}`];
  const child = spawn(process.execPath, [vitest, 'run', '--config', config, ...reporters], {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
    env: { ...process.env, ...environment },
  });
  const end = () => child.kill('SIGTERM');
  stopped.signal.addEventListener('abort', end);
  if (stopped.signal.aborted) end();
  await once(child, 'exit');
  const written = await readFile(resultFile, 'utf8').catch(() => undefined);
  if (written === undefined) throw new Error('The tests ended without a result: what is printed above says why.');
  return resultSchema.parse(JSON.parse(written));
}

async function testLowkeyVault(java: string, jar: string): Promise<boolean> {
  const folder = await mkdtemp(path.join(tmpdir(), 'peers-'));
  try {
    const vault = await startLowkeyVault(java, jar, folder, stopped.signal);
    try {
      const environment = { PEER_KEY_VAULT_URL: vault.url, NODE_EXTRA_CA_CERTS: vault.caCertificate };
      const { numPassedTests: passed, numFailedTests, success } = await runTests(environment, folder);
      // A file that cannot be loaded has no tests that could fail.
      const failed = numFailedTests === 0 && !success ? 1 : numFailedTests;
      console.log(`peers: ${passed} passed, ${failed} failed`);
      return passed > 0 && failed === 0;
    } finally {
      await vault.stop();
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function main(): Promise<boolean> {
  const skip = (why: string) => {
    console.log(`SKIPPED peers: ${why}`);
    return process.env.CI !== 'true';
  };
  const java = await findJava(process.env);
  if ('missing' in java) return skip(java.missing);
  const jar = await fetchJar(lowkeyVault, cacheFolder, stopped.signal);
  if ('missing' in jar) return skip(jar.missing);
  return testLowkeyVault(java.found, jar.found);
}

try {
  process.exitCode = (await main()) ? 0 : 1;
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  console.log('peers: 0 passed, 1 failed');
  process.exitCode = 1;
}
