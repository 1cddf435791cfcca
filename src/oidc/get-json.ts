import { type LookupAddress, lookup } from 'node:dns';
import type { IncomingMessage } from 'node:http';
import { request } from 'node:https';
import { isIP, type LookupFunction } from 'node:net';
import { UpstreamError, type UpstreamKind } from '../errors.ts';

/** The only way in which the broker asks a host that a policy names: https, with limits on everything. */

const service = 'oidc issuer';

const MAX_BYTES = 64 * 1024;
const TIMEOUT_MS = 5000;

type Resolve = (host: string, done: (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void) => void;

export interface GetJsonOptions {
  /** True for an address that must not be connected to, whatever name led there. */
  refusesAddress: (address: string) => boolean;
  /** The machine's resolver by default. */
  resolve?: Resolve;
  /** From the request to the last byte. */
  timeoutMs?: number;
}

/** Asks for a JSON document; the answer is unchecked. Fails with UpstreamError. */
export type GetJson = (url: string) => Promise<unknown>;

const failure = (kind: UpstreamKind, upstreamCode: string | undefined, cause?: unknown) =>
  new UpstreamError({ service, kind, upstreamCode, cause });

const systemResolve: Resolve = (host, done) => lookup(host, { all: true }, done);

/**
 * A look-up that gives no address at all when one of them is refused. The connection is made to what it gives, so that a
 * name cannot lead elsewhere between a check and the use (DNS rebinding).
 */
function guardLookup({ refusesAddress, resolve = systemResolve }: GetJsonOptions): LookupFunction {
  return (host, options, done) => {
    resolve(host, (error, addresses) => {
      const [first] = addresses ?? [];
      if (error !== null || first === undefined) done(error ?? failure('unavailable', 'ENOTFOUND'), '', 4);
      else if (addresses.some(({ address }) => refusesAddress(address))) {
        done(failure('unexpected', 'refused_address'), '', 4);
      } else if (options.all === true) done(null, addresses);
      else done(null, first.address, first.family);
    });
  };
}

function kindOfStatus(status: number): UpstreamKind {
  if (status === 429) return 'throttled';
  return status >= 500 ? 'unavailable' : 'unexpected';
}

/** A redirect is an answer like any other that is not 200: it leads nowhere. */
async function readBody(response: IncomingMessage): Promise<string> {
  const { statusCode: status = 0 } = response;
  if (status !== 200) throw new UpstreamError({ service, kind: kindOfStatus(status), status });
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response) {
    const bytes = Buffer.from(chunk);
    size += bytes.length;
    if (size > MAX_BYTES) throw failure('unexpected', 'too_large');
    chunks.push(bytes);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** Errors of node:https name themselves by a code, such as ECONNREFUSED or CERT_HAS_EXPIRED; their texts name hosts. */
function toUpstreamError(thrown: unknown, timedOut: boolean): UpstreamError {
  if (thrown instanceof UpstreamError) return thrown;
  if (timedOut) return failure('unavailable', 'timeout', thrown);
  const code = thrown instanceof Error && 'code' in thrown && typeof thrown.code === 'string' ? thrown.code : undefined;
  return failure('unavailable', code, thrown);
}

export function createGetJson(options: GetJsonOptions): GetJson {
  const { refusesAddress, timeoutMs = TIMEOUT_MS } = options;
  const guardedLookup = guardLookup(options);

  return async (text) => {
    const url = new URL(text);
    if (url.protocol !== 'https:') throw failure('unexpected', 'not_https');
    // Node asks no look-up for a literal address.
    const literal = url.hostname.replace(/^\[|\]$/g, '');
    if (isIP(literal) !== 0 && refusesAddress(literal)) throw failure('unexpected', 'refused_address');

    const signal = AbortSignal.timeout(timeoutMs);
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
    const headers = { accept: 'application/json' };
    // A connection of its own: one that was made under another check is never taken up again.
    const sent = request(url, { agent: false, headers, lookup: guardedLookup, signal }, resolve);
    sent.once('error', reject);
    sent.end();
    try {
      return toJson(await readBody(await promise));
    } catch (error) {
      throw toUpstreamError(error, signal.aborted);
    } finally {
      sent.destroy();
    }
  };
}

function toJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
