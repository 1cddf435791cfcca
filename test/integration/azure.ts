import type { RequestListener } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { vi } from 'vitest';
import * as z from 'zod';
import { TENANT_ID } from '../../sandbox/seed.ts';
import type { UpstreamErrorOptions } from '../../src/errors.ts';
import { startTestSandbox, type TestSandbox } from '../support/sandbox.ts';

const callList = z.array(
  z.object({
    service: z.string(),
    method: z.string(),
    path: z.string(),
    status: z.int(),
    client: z.string().nullable(),
    at: z.iso.datetime(),
  }),
);

export type Call = z.output<typeof callList>[number];

const operationAnswer = z.record(z.string(), z.unknown());

/** An answer that no well-behaved service gives, from a server of its own. */
export interface OddAnswer {
  status: number;
  headers?: Record<string, string>;
  text: string;
}

export interface OddService {
  url: string;
  /** `METHOD target` of what arrived. */
  requests: string[];
  stop(): Promise<void>;
}

/** The sandbox with the calls that these tests make of its control interface. */
export interface TestAzure extends TestSandbox {
  tenantId: string;
  fault(fault: Record<string, unknown>): Promise<void>;
  clearFaults(): Promise<void>;
  /** Calls so far that reached this service, the oldest first. */
  calls(service: string): Promise<Call[]>;
  /** `METHOD status` of each. */
  outcomes(service: string): Promise<string[]>;
  operate(name: string, body: Record<string, unknown>): Promise<Record<string, unknown>>;
  /** Takes all faults away and forgets all calls. */
  reset(): Promise<void>;
  /** An HTTPS server of the sandbox's certificate that always gives this answer. */
  serveOdd(answer: OddAnswer): Promise<OddService>;
}

/**
 * Starts a sandbox, and names its managed-identity endpoint in the environment of this process, where the SDK looks. The
 * SDK keeps source and tokens of managed identities for the life of the process, so a test file starts one and no more.
 *
 * @param environment Settings of the sandbox, as `SANDBOX_…` variables.
 */
export async function startAzure(environment: Record<string, string> = {}): Promise<TestAzure> {
  const sandbox = await startTestSandbox(environment);
  const { IDENTITY_ENDPOINT, IDENTITY_HEADER } = sandbox.brokerSettings();
  vi.stubEnv('IDENTITY_ENDPOINT', IDENTITY_ENDPOINT);
  vi.stubEnv('IDENTITY_HEADER', IDENTITY_HEADER);
  const stops: (() => Promise<void>)[] = [];

  const control = async (method: string, path: string, body?: unknown): Promise<Response> => {
    const answer = await sandbox.control(method, path, body);
    if (!answer.ok) throw new Error(`The sandbox refused ${method} ${path}: ${await answer.text()}`);
    return answer;
  };
  const calls: TestAzure['calls'] = async (service) => {
    const all = callList.parse(await (await control('GET', '/calls')).json());
    return all.filter((call) => call.service === service);
  };
  const clearFaults = async () => {
    await control('DELETE', '/faults');
  };
  return {
    ...sandbox,
    tenantId: TENANT_ID,
    calls,
    clearFaults,
    outcomes: async (service) => (await calls(service)).map(({ method, status }) => `${method} ${status}`),
    async fault(fault) {
      await control('POST', '/faults', fault);
    },
    operate: async (name, body) =>
      operationAnswer.parse(await (await control('POST', `/operations/${name}`, body)).json()),
    async reset() {
      await clearFaults();
      await control('DELETE', '/calls');
    },
    async serveOdd(answer) {
      const service = await serveOdd(sandbox.tls, answer);
      stops.push(service.stop);
      return service;
    },
    async stop() {
      await Promise.all(stops.map((stop) => stop()));
      await sandbox.stop();
    },
  };
}

async function serveOdd(
  tls: { cert: string; key: string },
  { status, headers = {}, text }: OddAnswer,
): Promise<OddService> {
  const requests: string[] = [];
  const onRequest: RequestListener = (request, response) => {
    requests.push(`${request.method} ${request.url}`);
    request.resume();
    response.writeHead(status, headers).end(text);
  };
  const server = createServer(tls, onRequest);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address: AddressInfo | string | null = server.address();
  const port = address !== null && typeof address === 'object' ? address.port : 0;
  return {
    url: `https://127.0.0.1:${port}`,
    requests,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** What an adapter is rejected with, for `rejects.toMatchObject`. */
export function upstreamError(fields: Partial<UpstreamErrorOptions>): object {
  return { name: 'UpstreamError', ...fields };
}

/** The messages of an error and its causes, and how the log names it: all that a careless line could show. */
export function wordsOf(thrown: unknown): string {
  const words: string[] = [];
  for (let error = thrown; error instanceof Error; error = error.cause) words.push(`${error.name} ${error.message}`);
  return words.join('\n');
}
