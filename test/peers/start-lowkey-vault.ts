import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { open, readFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { ensureCertificates } from '../../sandbox/tls/certificates.ts';

export interface RunningVault {
  url: string;
  /** PEM file of the CA that its certificate is from. */
  caCertificate: string;
  stop(): Promise<void>;
}

const START_MS = 120_000;
const STOP_MS = 5000;
const POLL_MS = 250;
const LOG_TAIL_CHARACTERS = 3000;

/** Recovery as the sandbox's vault has it: purging is allowed. */
const recovery = { recoveryLevel: 'CustomizedRecoverable+Purgeable', recoverableDays: 7 };

/** A free port of loopback, as free as can be known before it is used. */
async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string')
    throw new Error('No port of 127.0.0.1 is free: close something.');
  return address.port;
}

/**
 * Its own certificate has a key that everybody can read in the jar, so it gets one made here. `app.token.port` is a
 * pretend managed-identity endpoint that nobody asks; it can neither be switched off nor bound to loopback, so it gets
 * any port, and there is nothing to be had there: every token is accepted by the vault, which is on loopback alone.
 */
const optionsOf = (jar: string, port: number, folder: string): string[] => [
  '-XX:TieredStopAtLevel=1',
  '-XX:+UseSerialGC',
  '-Xmx512m',
  '-jar',
  jar,
  `--server.port=${port}`,
  '--server.address=127.0.0.1',
  '--app.token.port=0',
  '--LOWKEY_VAULT_NAMES=-',
  '--server.ssl.bundle=peer',
  `--spring.ssl.bundle.pem.peer.keystore.certificate=file:${path.join(folder, 'server.pem')}`,
  `--spring.ssl.bundle.pem.peer.keystore.private-key=file:${path.join(folder, 'server-key.pem')}`,
];

async function stopChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
  const gone = once(child, 'exit');
  child.kill('SIGTERM');
  const waited = new AbortController();
  const forced = sleep(STOP_MS, undefined, { signal: waited.signal }).then(
    () => child.kill('SIGKILL'),
    () => undefined,
  );
  await gone;
  waited.abort();
  await forced;
}

/** Makes the one vault, which also shows that the server answers. */
async function makeVault(url: string): Promise<boolean> {
  try {
    const response = await fetch(`${url}/management/vault`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ baseUri: url, ...recovery }),
    });
    return response.ok;
  } catch {
    return false;
  }
}

/**
 * Starts Lowkey Vault on a free port of loopback with one empty vault; from then on this process trusts its certificate.
 *
 * @param folder For certificate and log.
 * @param signal Gives up.
 * @throws Error with the end of its log, when it does not answer in two minutes
 */
export async function startLowkeyVault(
  java: string,
  jar: string,
  folder: string,
  signal: AbortSignal,
): Promise<RunningVault> {
  const { caCertificate } = await ensureCertificates(folder, new Date());
  setDefaultCACertificates([...getCACertificates('default'), await readFile(caCertificate, 'utf8')]);
  const port = await freePort();
  const url = `https://localhost:${port}`;
  const logFile = path.join(folder, 'lowkey-vault.log');
  const log = await open(logFile, 'w');
  const child = spawn(java, optionsOf(jar, port, folder), { cwd: folder, stdio: ['ignore', log.fd, log.fd] });
  child.on('error', () => undefined);
  await log.close();

  const deadline = Date.now() + START_MS;
  const isRunning = () => child.exitCode === null && child.signalCode === null && child.pid !== undefined;
  while (Date.now() < deadline && isRunning() && !signal.aborted) {
    if (await makeVault(url)) return { url, caCertificate, stop: () => stopChild(child) };
    await sleep(POLL_MS);
  }
  await stopChild(child);
  signal.throwIfAborted();
  const tail = (await readFile(logFile, 'utf8')).slice(-LOG_TAIL_CHARACTERS);
  throw new Error(`Lowkey Vault did not start; the end of its log says why:\n${tail}`);
}
