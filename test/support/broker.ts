import { readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, vi } from 'vitest';
import * as z from 'zod';
import { type Host, startHost } from '../../sandbox/host/start-host.ts';
import { startTestSandbox, type TestSandbox } from './sandbox.ts';

/** The repository's root: the app folder, with the bundle in `dist`. */
const root = path.resolve(import.meta.dirname, '../..');

export const sandboxPolicy = (): Promise<string> => readFile(path.join(root, 'sandbox/broker.yaml'), 'utf8');

export interface Answer {
  status: number;
  headers: Headers;
  text: string;
  /** The body where it is a JSON object, else empty. */
  body: Record<string, unknown>;
}

export interface Instance {
  host: Host;
  /** Sends JSON; `token` goes into the Authorization header. A text body is sent as it is. */
  post(route: string, call?: { token?: string; body?: unknown; headers?: Record<string, string> }): Promise<Answer>;
  get(route: string, token?: string): Promise<Answer>;
  /** Runs a timer by hand and waits until the run has ended. */
  fire(timer: string): Promise<void>;
  stop(): Promise<void>;
}

export interface TestBroker extends Instance {
  sandbox: TestSandbox;
  /** Another broker process on the same sandbox and policy; the caller stops it. */
  anotherInstance(settings?: Record<string, string>): Promise<Instance>;
  /** Injects a fault; see the sandbox's control interface. */
  fault(fault: Record<string, unknown>): Promise<void>;
  clearFaults(): Promise<void>;
  /** Upstream calls so far whose `METHOD path` matches. */
  calls(pattern: RegExp): Promise<{ service: string; method: string; path: string; status: number }[]>;
  /** Changes the policy, wherever it is; undefined removes it. */
  writePolicy(text: string | undefined): Promise<void>;
}

export interface TestBrokerOptions {
  /** The policy's text; the sandbox's own by default. */
  policy?: string;
  /** True: in a blob, not in a file. */
  policyInBlob?: boolean;
  /** Settings of the sandbox, as `SANDBOX_…` variables. */
  sandbox?: Record<string, string>;
  /** Changes to the broker's settings. */
  settings?: Record<string, string>;
}

/** Timers stay out of the way unless a test fires them. */
const NEVER = '0 0 0 1 1 *';

const anyObject = z.record(z.string(), z.unknown());
const callList = z.array(
  z.looseObject({ service: z.string(), method: z.string(), path: z.string(), status: z.number() }),
);

async function read(response: Response): Promise<Answer> {
  const text = await response.text();
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    json = undefined;
  }
  return { status: response.status, headers: response.headers, text, body: anyObject.safeParse(json).data ?? {} };
}

/** How many runs fired by hand the host has reported as ended, well or not. */
function runsByHand(output: string, timer: string): number {
  return output.split(`the timer "${timer}" run by hand `).length - 1;
}

/** One broker process; several may share a sandbox. */
async function startInstance(
  sandbox: TestSandbox,
  policy: string | undefined,
  changes: Record<string, string>,
): Promise<Instance> {
  const settings = {
    ...sandbox.brokerSettings(),
    PUBLIC_URL: 'https://localhost',
    BROKER_ROLE: 'all',
    ...(policy === undefined ? {} : { POLICY: policy }),
    ...changes,
  };
  // A public URL with a port is served there, so that clients which follow the broker's metadata arrive.
  const tlsPort = Number(new URL(settings.PUBLIC_URL).port);
  const host = await startHost({ appFolder: root, settings, port: 0, tlsPort, tls: sandbox.tls });
  const authorization = (token: string | undefined): Record<string, string> =>
    token === undefined ? {} : { Authorization: `Bearer ${token}` };
  return {
    host,
    post: async (route, { token, body = {}, headers = {} } = {}) =>
      read(
        await fetch(`${host.url}${route}`, {
          method: 'POST',
          headers: { 'Content-Type': 'application/json', ...authorization(token), ...headers },
          body: typeof body === 'string' ? body : JSON.stringify(body),
        }),
      ),
    get: async (route, token) => read(await fetch(`${host.url}${route}`, { headers: authorization(token) })),
    async fire(timer) {
      const before = runsByHand(host.output(), timer);
      const answer = await fetch(`${host.url}/admin/functions/${timer}`, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json' },
        body: '{"input":""}',
      });
      if (answer.status !== 202) throw new Error(`The host answered ${answer.status} when ${timer} was fired.`);
      await vi.waitFor(() => expect(runsByHand(host.output(), timer)).toBeGreaterThan(before), 20_000);
    },
    stop: () => host.stop(),
  };
}

/** Starts a sandbox and the bundled broker in the development host, all on free ports in a temporary folder. */
export async function startTestBroker(options: TestBrokerOptions = {}): Promise<TestBroker> {
  const sandbox = await startTestSandbox({
    ...{ REFRESH_SCHEDULE: NEVER, ROTATE_SCHEDULE: NEVER },
    ...{ SANDBOX_POLICY_BLOB: options.policyInBlob === true ? 'on' : 'off' },
    ...options.sandbox,
  });
  const policy = options.policyInBlob === true ? undefined : path.join(sandbox.folder, 'broker.yaml');
  const writePolicy = async (text: string | undefined) => {
    if (policy !== undefined) return text === undefined ? rm(policy) : writeFile(policy, text);
    const [operation, body] = text === undefined ? ['delete-policy', {}] : ['write-policy', { text }];
    const answer = await sandbox.control('POST', `/operations/${operation}`, body);
    if (!answer.ok) throw new Error(`The sandbox refused ${operation}: ${await answer.text()}`);
  };
  await writePolicy(options.policy ?? (await sandboxPolicy()));
  const start = (changes: Record<string, string> = {}) =>
    startInstance(sandbox, policy, { ...options.settings, ...changes });
  const first = await start().catch(async (error: unknown) => {
    await sandbox.stop();
    throw error;
  });
  return {
    ...first,
    sandbox,
    anotherInstance: start,
    writePolicy,
    async fault(fault) {
      const answer = await sandbox.control('POST', '/faults', fault);
      if (!answer.ok) throw new Error(`The sandbox refused the fault: ${await answer.text()}`);
    },
    async clearFaults() {
      await sandbox.control('DELETE', '/faults');
    },
    async calls(pattern) {
      const all = callList.parse(await (await sandbox.control('GET', '/calls')).json());
      return all.filter(({ method, path: called }) => pattern.test(`${method} ${called}`));
    },
    async stop() {
      await first.stop();
      await sandbox.stop();
    },
  };
}
