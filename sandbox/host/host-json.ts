import * as z from 'zod';
import { isLogLevel } from './logger.ts';
import { StartError } from './start-error.ts';

/** The settings of host.json that this host knows, with the real host's defaults. */
export interface HostJson {
  /** Path prefix of all HTTP functions, without slashes. Default `api`. */
  routePrefix: string;
  /** Longest run of one invocation in milliseconds; undefined is no limit. Default 30 minutes. */
  functionTimeoutMs: number | undefined;
  /** Requests being run or waiting; one more is answered 429. Default: no limit. */
  maxOutstandingRequests: number;
  /** Requests being run; others wait. Default: no limit. */
  maxConcurrentRequests: number;
  /** Headers added to every HTTP answer of a function. */
  customHeaders: Record<string, string>;
  /** Log category, or its beginning → lowest level shown. */
  logLevel: Record<string, string>;
}

// .NET's TimeSpan text, [d.]hh:mm:ss[.fraction], or -1 for no limit.
const TIMEOUT = /^(?:(\d+)\.)?([01]\d|2[0-3]):([0-5]\d):([0-5]\d(?:\.\d{1,7})?)$/;

const requestLimit = z
  .number('must be a number')
  .refine(
    (limit) => limit === -1 || (Number.isSafeInteger(limit) && limit > 0),
    'must be a positive whole number, or -1 for no limit',
  )
  .default(-1)
  .transform((limit) => (limit === -1 ? Number.POSITIVE_INFINITY : limit));

const schema = z.strictObject({
  version: z.literal('2.0', 'must be "2.0"'),
  functionTimeout: z
    .string()
    .refine(
      (text) => text === '-1' || (timeoutMs(text) ?? 0) > 0,
      'must be a time such as "00:10:00" (hh:mm:ss), or "-1"',
    )
    .default('00:30:00')
    .transform((text) => timeoutMs(text)),
  extensions: z
    .strictObject({
      http: z
        .strictObject({
          routePrefix: z.string().default('api'),
          maxOutstandingRequests: requestLimit,
          maxConcurrentRequests: requestLimit,
          customHeaders: z
            .record(z.string().regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/, 'is no header name'), z.string())
            .default({}),
        })
        .prefault({}),
    })
    .prefault({}),
  logging: z
    .strictObject({
      logLevel: z
        .record(
          z.string(),
          z.string().refine(isLogLevel, 'must be Trace, Debug, Information, Warning, Error, Critical or None'),
        )
        .default({}),
    })
    .prefault({}),
});

/**
 * Reads the text of a host.json (https://learn.microsoft.com/azure/azure-functions/functions-host-json).
 * Throws a `StartError` that lists every problem by its path. A key that this host does not know is a problem too: a setting that works in
 * Azure and silently not here would make the host a false witness.
 */
export function parseHostJson(text: string): HostJson {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new StartError(`host.json is no JSON: ${error instanceof Error ? error.message : error}`);
  }
  const parsed = schema.safeParse(json);
  if (!parsed.success) throw new StartError(`host.json: ${parsed.error.issues.flatMap(describe).join('; ')}.`);
  const { functionTimeout, extensions, logging } = parsed.data;
  return {
    routePrefix: extensions.http.routePrefix.replace(/^\/+|\/+$/g, ''),
    functionTimeoutMs: functionTimeout,
    maxOutstandingRequests: extensions.http.maxOutstandingRequests,
    maxConcurrentRequests: extensions.http.maxConcurrentRequests,
    customHeaders: extensions.http.customHeaders,
    logLevel: logging.logLevel,
  };
}

function timeoutMs(text: string): number | undefined {
  const match = TIMEOUT.exec(text);
  if (!match) return undefined;
  const [, days = '0', hours, minutes, seconds] = match;
  return (((Number(days) * 24 + Number(hours)) * 60 + Number(minutes)) * 60 + Number(seconds)) * 1000;
}

function describe(issue: z.core.$ZodIssue): string[] {
  const path = issue.path.join('.');
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map(
      (key) => `the development host does not know the key "${path ? `${path}.` : ''}${key}": remove it`,
    );
  }
  return [`"${path}" ${issue.message}`];
}
