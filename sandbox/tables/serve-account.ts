import type { IncomingMessage, ServerResponse } from 'node:http';
import { Agent } from 'node:https';
import { setTimeout as delay } from 'node:timers/promises';
import type { EntraKeys } from '../entra/keys.ts';
import { readServiceToken } from '../entra/service-token.ts';
import { clientOf } from '../http/client-of.ts';
import { type Listener, listen } from '../http/listen.ts';
import { type Answer, type Exchange, readExchange, writeAnswer } from '../http/service.ts';
import type { CallLog } from '../state/call-log.ts';
import { type Fault, type Faults, isRefusal } from '../state/faults.ts';
import { forward } from './forward.ts';
import { faultBody, storageError } from './storage-error.ts';

export interface AccountOptions {
  name: 'tables' | 'audit' | 'blobs';
  /** The account that this proxy stands for; it lets no call through to another one. */
  account: string;
  /** 0: a free one. */
  port: number;
  azuritePort: number;
  tls: { cert: string; key: string };
  entra: EntraKeys;
  contributors: readonly string[];
  /** Object ids that may read and nothing else. */
  readers?: readonly string[];
  /** An error in the service's own shape; Table Storage's when absent. */
  toError?: (status: number, code: string, message: string) => Answer;
  plannedError?: (status: number, code: string | undefined) => Answer;
  calls: CallLog;
  faults: Faults;
  clock: () => Date;
}

const audiences = ['https://storage.azure.com', 'https://storage.azure.com/'];

/**
 * A reverse proxy before one storage account of Azurite. Method, path, query, headers (with `Host`, so that links in
 * answers lead back here) and body pass unchanged, in both directions.
 *
 * @throws Error that names the port and the setting when the port is in use.
 */
export async function serveAccount(options: AccountOptions): Promise<Listener> {
  const agent = new Agent({ keepAlive: true });
  const stopping = new AbortController();
  const listener = await listen({
    name: options.name,
    port: options.port,
    tls: options.tls,
    onRequest: (request, response, connection) => {
      answerRequest({ options, agent, stopping: stopping.signal }, request, response, connection).catch(() =>
        request.socket.destroy(),
      );
    },
  });
  return {
    port: listener.port,
    async stop() {
      stopping.abort();
      await listener.stop();
      agent.destroy();
    },
  };
}

interface Proxy {
  options: AccountOptions;
  agent: Agent;
  stopping: AbortSignal;
}

async function answerRequest(
  proxy: Proxy,
  request: IncomingMessage,
  response: ServerResponse,
  connection: number,
): Promise<void> {
  const { options } = proxy;
  const arrived = options.clock();
  const exchange = await readExchange(request, connection);
  if (exchange === undefined) return writeAnswer(response, storageError(400, 'InvalidUri', 'The path is not valid.'));

  const fault = options.faults.take(options.name, exchange.method, exchange.path);
  if (fault?.delayMs !== undefined) await delay(fault.delayMs, undefined, { signal: proxy.stopping });
  const { status, write } = await decide(proxy, request, exchange, fault);

  options.calls.record({
    at: arrived.toISOString(),
    service: options.name,
    method: exchange.method,
    path: exchange.path,
    status,
    client: clientOf(exchange),
  });
  if (fault?.commitThenDrop) request.socket.destroy();
  else write(response);
}

/** What will be answered: a refusal of our own, or Azurite's answer, which exists by then. */
interface Decision {
  status: number;
  write(response: ServerResponse): void;
}

async function decide(
  { options, agent }: Proxy,
  request: IncomingMessage,
  exchange: Exchange,
  fault: Fault | undefined,
): Promise<Decision> {
  const refused =
    fault !== undefined && isRefusal(fault) ? refusal(fault, options) : await refuseCaller(options, exchange);
  if (refused !== undefined) return { status: refused.status, write: (response) => writeAnswer(response, refused) };
  return await forward(request, exchange.body, { port: options.azuritePort, agent, certificate: options.tls.cert });
}

function refusal({ status = 503, code, retryAfterSeconds }: Fault, { plannedError }: AccountOptions): Answer {
  const headers = retryAfterSeconds === undefined ? {} : { 'Retry-After': String(retryAfterSeconds) };
  const answer = plannedError?.(status, code) ?? { status, json: faultBody(status, code) };
  return { ...answer, headers: { ...answer.headers, ...headers } };
}

/** Role-based access as storage has it; undefined when the caller may pass. */
async function refuseCaller(options: AccountOptions, { method, path, headers }: Exchange): Promise<Answer | undefined> {
  const { toError = storageError, contributors, readers = [] } = options;
  const reading = await readServiceToken(headers.authorization, audiences, options.entra, options.clock());
  if (!reading.ok) {
    const message = `Server failed to authenticate the request: the bearer token is ${reading.reason}.`;
    return toError(401, 'InvalidAuthenticationInfo', message);
  }
  const allowed = method === 'GET' || method === 'HEAD' ? [...contributors, ...readers] : contributors;
  if (!allowed.includes(reading.caller.oid)) {
    const message = 'This request is not authorized to perform this operation using this permission.';
    return toError(403, 'AuthorizationPermissionMismatch', message);
  }
  if (path === `/${options.account}` || path.startsWith(`/${options.account}/`)) return undefined;
  return toError(404, 'ResourceNotFound', `This address serves the account ${options.account} only.`);
}
