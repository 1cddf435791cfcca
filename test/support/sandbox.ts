import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import tls from 'node:tls';
import { type Sandbox, startSandbox } from '../../sandbox/sandbox.ts';
import { readSandboxSettings } from '../../sandbox/settings.ts';

export interface TestSandbox extends Sandbox {
  /** The sandbox's folder, removed at the end. */
  folder: string;
  /** The sandbox's clock: real time plus what `advance` added. The SDKs go on reading the real clock. */
  now(): Date;
  /** Moves the sandbox's clock ahead. */
  advance(seconds: number): void;
  /** Calls the control interface; a body is sent as JSON. */
  control(method: string, path: string, body?: unknown): Promise<Response>;
  /** A token for the broker, by `POST /callers`. */
  callerToken(caller?: Record<string, unknown>): Promise<string>;
  /** A token of a managed identity for a resource; without client id the system-assigned one. */
  identityToken(resource: string, clientId?: string): Promise<string>;
}

/**
 * Starts a sandbox in a temporary folder on free ports. From then on fetch and the Azure SDKs in this process trust its
 * certificates.
 *
 * @param environment Settings of the sandbox, as `SANDBOX_…` variables.
 */
export async function startTestSandbox(environment: Record<string, string> = {}): Promise<TestSandbox> {
  const folder = await mkdtemp(join(tmpdir(), 'sandbox-'));
  let aheadMs = 0;
  const now = () => new Date(Date.now() + aheadMs);
  const settings = readSandboxSettings(environment);
  const sandbox = await startSandbox({ folder, settings, firstPort: 0, clock: now });
  tls.setDefaultCACertificates([...tls.getCACertificates('default'), await readFile(sandbox.caCertificate, 'utf8')]);

  const control: TestSandbox['control'] = (method, path, body) =>
    fetch(`${sandbox.endpoints.control}${path}`, {
      method,
      ...(body === undefined ? {} : { headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) }),
    });
  return {
    ...sandbox,
    folder,
    now,
    advance(seconds) {
      aheadMs += seconds * 1000;
    },
    control,
    async callerToken(caller = {}) {
      return readText(await control('POST', '/callers', caller), 'token');
    },
    async identityToken(resource, clientId) {
      const query = new URLSearchParams({ 'api-version': '2019-08-01', resource });
      if (clientId !== undefined) query.set('client_id', clientId);
      const { IDENTITY_ENDPOINT = '', IDENTITY_HEADER = '' } = sandbox.brokerSettings();
      const headers = { 'X-IDENTITY-HEADER': IDENTITY_HEADER };
      return readText(await fetch(`${IDENTITY_ENDPOINT}?${query}`, { headers }), 'access_token');
    },
    async stop() {
      await sandbox.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** One text field of a JSON answer; the test fails here when the answer is a refusal. */
async function readText(response: Response, name: string): Promise<string> {
  const body: unknown = await response.json();
  const value: unknown = typeof body === 'object' && body !== null ? Reflect.get(body, name) : undefined;
  if (response.ok && typeof value === 'string') return value;
  throw new Error(`The sandbox answered ${response.status} without ${name}.`);
}
