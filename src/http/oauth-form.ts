import type { HttpRequest } from '@azure/functions';
import { BrokerError } from '../errors.ts';
import { OAuthError } from './oauth-error.ts';
import { MAX_BODY_BYTES } from './request.ts';

/** Parameters by name, each with its values in the order of the form; those sent without a value are left out. */
export type Form = ReadonlyMap<string, readonly string[]>;

const formType = /^application\/x-www-form-urlencoded\s*(;\s*charset="?utf-8"?\s*)?$/i;

/** RFC 8693 and RFC 8707 let these stand more than once; everything else may not (RFC 6749, section 3.2). */
const repeatable: ReadonlySet<string> = new Set(['resource', 'audience']);

const malformed = (description: string, reason: string) => new OAuthError('invalid_request', { description, reason });

function decode(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    throw malformed('The form has a percent-encoding that is not UTF-8. Encode each value once.', 'form_encoding');
  }
}

/**
 * Reads a form as HTML encodes it, but strictly: ASCII on the wire, percent-encodings of whole UTF-8 characters, no
 * parameter twice. A parameter without a value counts as not sent (RFC 6749, section 3.2).
 */
export function parseForm(text: string): Form {
  if (/[^!-~]/.test(text)) {
    throw malformed('The form has characters that must be percent-encoded.', 'form_characters');
  }
  const seen = new Map<string, string[]>();
  for (const pair of text.split('&')) {
    if (pair === '') continue;
    const equals = pair.indexOf('=');
    const name = decode(equals === -1 ? pair : pair.slice(0, equals));
    const value = equals === -1 ? '' : decode(pair.slice(equals + 1));
    const values = seen.get(name);
    if (values === undefined) seen.set(name, [value]);
    else if (repeatable.has(name)) values.push(value);
    else throw malformed('The form has a parameter more than once. Send each one once.', 'repeated_parameter');
  }
  const given = [...seen].map(([name, values]) => [name, values.filter((value) => value !== '')] as const);
  return new Map(given.filter(([, values]) => values.length > 0));
}

/**
 * The form of a token request.
 *
 * @throws OAuthError `invalid_request`; BrokerError `too_large` (64 KiB)
 */
export async function readForm(request: HttpRequest): Promise<Form> {
  if (!formType.test(request.headers.get('content-type') ?? '')) {
    throw malformed('Send Content-Type: application/x-www-form-urlencoded, once, in UTF-8.', 'content_type');
  }
  const coding = request.headers.get('content-encoding');
  if (coding !== null && coding.toLowerCase() !== 'identity') {
    throw malformed('Send the form without a content coding.', 'content_encoding');
  }
  const bytes = Buffer.from(await request.arrayBuffer());
  if (bytes.byteLength > MAX_BODY_BYTES) throw new BrokerError('too_large', { reason: 'body_length' });
  if (bytes.byteLength === 0) throw malformed('The form is empty. Send it with a Content-Length.', 'empty_body');
  return parseForm(bytes.toString('latin1'));
}
