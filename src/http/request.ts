import type { HttpRequest } from '@azure/functions';
import * as z from 'zod';
import { BrokerError } from '../errors.ts';

export const MAX_BODY_BYTES = 64 * 1024;

/** `application/json`, with or without `charset=utf-8` (RFC 8259: nothing else is interoperable). */
const jsonType = /^application\/json\s*(;\s*charset="?utf-8"?\s*)?$/i;

const invalid = (detail: string, reason: string): BrokerError => new BrokerError('invalid_request', { detail, reason });

/** Tells which fields are wrong, by name and rule; never repeats what was sent. */
function describeIssues(issues: readonly z.core.$ZodIssue[]): string {
  return issues
    .flatMap((issue) => {
      if (issue.code === 'unrecognized_keys') return ['The body has a field that this route does not know'];
      const where = issue.path.map(String).join('.');
      return [where === '' ? 'The body must be a JSON object' : `${where}: ${issue.message}`];
    })
    .join('; ');
}

function declaredLength(request: HttpRequest): number {
  const length = Number(request.headers.get('content-length') ?? '0');
  return Number.isFinite(length) ? length : 0;
}

/** Refuses what is too large by its declared length; cheap, so it comes before the caller is verified. */
export function refuseLargeBody(request: HttpRequest): void {
  if (declaredLength(request) > MAX_BODY_BYTES) throw new BrokerError('too_large', { reason: 'declared_length' });
}

/**
 * These routes take no query: a parameter there is a mistake at best, and at worst a token that ends in access logs.
 */
export function refuseQuery(request: HttpRequest): void {
  if ([...request.query.keys()].length === 0) return;
  throw invalid(
    'This route takes no query parameters. Tokens go in the Authorization header, everything else in the JSON body.',
    'query_parameters',
  );
}

/**
 * Reads the JSON object of a request and checks it against its schema.
 *
 * @throws BrokerError `too_large` (64 KiB), `unsupported_media_type`, `invalid_request`
 */
export async function readJsonBody<T extends z.ZodType>(request: HttpRequest, schema: T): Promise<z.output<T>> {
  const bytes = new Uint8Array(await request.arrayBuffer());
  if (bytes.byteLength > MAX_BODY_BYTES) throw new BrokerError('too_large', { reason: 'body_length' });
  if (bytes.byteLength === 0) {
    throw invalid('The body is empty. Send a JSON object, at least {}, with a Content-Length.', 'empty_body');
  }
  if (!jsonType.test(request.headers.get('content-type') ?? '')) {
    throw new BrokerError('unsupported_media_type', { reason: 'content_type' });
  }
  const coding = request.headers.get('content-encoding');
  if (coding !== null && coding.toLowerCase() !== 'identity') {
    throw new BrokerError('unsupported_media_type', { reason: 'content_encoding' });
  }
  const parsed = schema.safeParse(parseJson(bytes));
  if (!parsed.success) throw invalid(`${describeIssues(parsed.error.issues)}.`, 'body_shape');
  return parsed.data;
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    throw invalid('The body is not valid JSON in UTF-8. Send a JSON object, at least {}.', 'not_json');
  }
}

const workspaceName = /^[a-zA-Z0-9][a-zA-Z0-9-]{0,62}$/;
const endpointName = /^[a-zA-Z0-9][a-zA-Z0-9_-]{0,254}$/;

function readName(request: HttpRequest, parameter: string, pattern: RegExp): string {
  const value = request.params[parameter] ?? '';
  if (pattern.test(value)) return value;
  throw invalid(`The ${parameter} in the path is not a name. Use letters, digits and hyphens.`, `path_${parameter}`);
}

/** The workspace's name in the policy, from the path. */
export const readWorkspace = (request: HttpRequest): string => readName(request, 'workspace', workspaceName);

/** The endpoint's name from the path, lower case as Resource Manager compares it. */
export const readEndpoint = (request: HttpRequest): string => readName(request, 'endpoint', endpointName).toLowerCase();

/** Seconds of life that the caller wants at least. */
export const minRemaining = z.int('must be a whole number of seconds').min(0, 'must be 0 or more seconds').optional();
