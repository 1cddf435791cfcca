import { BrokerError, UpstreamError } from './errors.ts';

/**
 * One line for people and machines: an event's name and plain facts about it. Fields take no objects, so that nobody
 * logs a request, a token or an SDK error by accident.
 */
export type LogFields = Readonly<Record<string, string | number | boolean | undefined>>;

export interface Log {
  info(event: string, fields?: LogFields): void;
  warn(event: string, fields?: LogFields): void;
  error(event: string, fields?: LogFields): void;
}

type Sink = Record<'info' | 'warn' | 'error', (line: string) => void>;

/** Writes each event as one line of JSON to the given sink (an invocation's context, or the console at start). */
export function createLog(sink: Sink, common: LogFields = {}): Log {
  const line = (event: string, fields: LogFields = {}) => JSON.stringify({ event, ...common, ...fields });
  return {
    info: (event, fields) => sink.info(line(event, fields)),
    warn: (event, fields) => sink.warn(line(event, fields)),
    error: (event, fields) => sink.error(line(event, fields)),
  };
}

const MAX_ERROR_NAMES = 4;

/** Our own errors have messages that are made to be logged. */
function nameOne(error: Error): string {
  if (error instanceof UpstreamError || error instanceof BrokerError) return error.message;
  const code = 'code' in error && error.code !== undefined ? String(error.code) : '';
  return /^[\w.-]{1,64}$/.test(code) ? `${error.name}(${code})` : error.name;
}

/**
 * Names an error for the log without its text: SDK messages and stacks can hold URLs, bodies and tokens. Of
 * foreign errors only the chain of class names and codes is kept.
 */
export function nameError(thrown: unknown): string {
  const names: string[] = [];
  for (let error = thrown; error instanceof Error && names.length < MAX_ERROR_NAMES; error = error.cause) {
    names.push(nameOne(error));
  }
  return names.length === 0 ? typeof thrown : names.join(' < ');
}
