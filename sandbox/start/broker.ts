import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as z from 'zod';
import { startHost } from '../host/start-host.ts';
import type { Lifetime } from './lifetime.ts';

/** The project's root is the app folder: its package.json and host.json are the app's. */
export const APP_FOLDER = fileURLToPath(new URL('../..', import.meta.url));
const POLICY = fileURLToPath(new URL('../broker.yaml', import.meta.url));

const configProblem = z.looseObject({ problem: z.string() });

const READY_MS = 20_000;
/** A broken configuration does not mend itself; its answers can be looked at for this long. */
const BROKEN_MS = 5000;
const RETRY_MS = 100;
const LAST_LINES = 20;
const SIGNAL_MS = 200;

export interface BrokerOptions {
  settings: Record<string, string>;
  port: number;
  tlsPort: number;
  /** PEM texts. */
  tls: { cert: string; key: string };
  log: (line: string) => void;
  /** Named in messages. */
  logFile: string;
  lifetime: Lifetime;
}

/** The broker's own settings that a person may try out by setting them for the command. */
const TRY_OUT = [
  'POLICY',
  'TOKEN_CACHE_KEY',
  'ENDPOINT_LOOK_SECONDS',
  'REFRESH_AHEAD_SECONDS',
  'ROTATION_LOOK_SECONDS',
  'PROOF_COUNT',
  'CALLER_REQUESTS_PER_MINUTE',
] as const;

/** All app settings of a broker that a person starts: those that lead to the sandbox, and who and where it is. */
export function completeSettings(
  sandboxSettings: Record<string, string>,
  publicUrl: string,
  environment: Record<string, string | undefined>,
): Record<string, string> {
  const tried = TRY_OUT.flatMap((name) => {
    const value = environment[name];
    return value === undefined || value === ''
      ? []
      : [[name, name === 'POLICY' && !value.includes('://') ? resolve(value) : value] as const];
  });
  return { POLICY, ...sandboxSettings, PUBLIC_URL: publicUrl, BROKER_ROLE: 'all', ...Object.fromEntries(tried) };
}

/** Starts the built broker under the development host and resolves with its URLs when `/health/ready` answers 200. */
export async function startBroker(options: BrokerOptions): Promise<{ broker: string; brokerTls: string }> {
  const { settings, port, tlsPort, tls, log, logFile, lifetime } = options;
  const lines: string[] = [];
  const problems: string[] = [];
  const host = await startHost({
    appFolder: APP_FOLDER,
    settings,
    port,
    tlsPort,
    tls,
    onOutput(line) {
      lines.push(line);
      const problem = readProblem(line);
      if (problem !== undefined) problems.push(`  ${problem}`);
      if (lines.length > LAST_LINES) lines.shift();
      log(line);
    },
    onExit(code) {
      const message = `The broker ended by itself with code ${code}. Its last lines (all are in ${logFile}):\n${lines.join('\n')}`;
      // Ctrl-C reaches this process and the host at once: when the host is faster, that is no failure.
      setTimeout(() => lifetime.fail(message), SIGNAL_MS);
    },
  });
  lifetime.onEnd(() => host.stop());
  try {
    await untilReady(host.url, logFile, () => (problems.length === 0 ? READY_MS : BROKEN_MS));
  } catch (error) {
    if (problems.length === 0) throw error;
    throw new Error(`The broker's configuration is broken. Mend it and start again:\n${problems.join('\n')}`);
  }
  return { broker: host.url, brokerTls: host.tlsUrl };
}

/** The text of a line by which the broker tells one problem of its configuration. */
function readProblem(line: string): string | undefined {
  const json = /\{"event":"config_problem".*\}$/.exec(line)?.[0];
  return json === undefined ? undefined : configProblem.parse(JSON.parse(json)).problem;
}

async function untilReady(url: string, logFile: string, patienceMs: () => number): Promise<void> {
  const begun = performance.now();
  let last = 'none';
  while (performance.now() - begun < patienceMs()) {
    try {
      const response = await fetch(`${url}/health/ready`, { signal: AbortSignal.timeout(READY_MS) });
      const body = await response.text();
      if (response.status === 200) return;
      last = `${response.status} ${body}`;
    } catch (error) {
      last = String(error);
    }
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
  }
  const hint = last.startsWith('404') ? ' npm start expects an empty routePrefix in host.json.' : '';
  throw new Error(
    `The broker was not ready within ${READY_MS / 1000} s. Last answer of ${url}/health/ready: ${last}.${hint}\nIts log is ${logFile}.`,
  );
}
