import { describe, expect, it } from 'vitest';
import { BrokerError, UpstreamError } from '../src/errors.ts';
import { createLog, type LogFields, nameError } from '../src/log.ts';

function createRecordingLog(common?: LogFields) {
  const lines: [string, string][] = [];
  const log = createLog(
    {
      info: (line) => lines.push(['info', line]),
      warn: (line) => lines.push(['warn', line]),
      error: (line) => lines.push(['error', line]),
    },
    common,
  );
  return { log, lines };
}

describe('createLog', () => {
  it('writes each event as one line of JSON, at its level', () => {
    const { log, lines } = createRecordingLog();
    log.info('started');
    log.warn('kept', { ageSeconds: 7 });
    log.error('failed', { code: 'internal_error', again: false, reason: undefined });
    expect(lines).toEqual([
      ['info', '{"event":"started"}'],
      ['warn', '{"event":"kept","ageSeconds":7}'],
      ['error', '{"event":"failed","code":"internal_error","again":false}'],
    ]);
  });

  it('adds what all lines have in common', () => {
    const { log, lines } = createRecordingLog({ role: 'issuer' });
    log.info('started', { count: 1 });
    expect(lines).toEqual([['info', '{"event":"started","role":"issuer","count":1}']]);
  });

  it('stays one line, whatever a field holds', () => {
    const { log, lines } = createRecordingLog();
    log.info('refused', { reason: 'a\nb\r"c"\u2028' });
    expect(lines[0]?.[1]).not.toMatch(/[\n\r]/);
    expect(JSON.parse(lines[0]?.[1] ?? '')).toEqual({ event: 'refused', reason: 'a\nb\r"c"\u2028' });
  });
});

describe('nameError', () => {
  class RestError extends Error {
    override name = 'RestError';
    code: unknown;
    constructor(code: unknown, cause?: unknown) {
      super('made-up-secret https://vault.example.com/?sig=made-up-secret', { cause });
      this.code = code;
    }
  }

  it('P2: keeps class names and codes of foreign errors, never their text', () => {
    const error = new RestError('ENOTFOUND', new TypeError('made-up-secret'));
    expect(nameError(error)).toBe('RestError(ENOTFOUND) < TypeError');
  });

  it.each([
    ['a sentence', 'made-up-secret is wrong'],
    ['a URL', 'https://made-up-secret'],
    ['a line break', 'made\nup'],
    ['a list', ['made up']],
    ['more than 64 characters', 'x'.repeat(65)],
    ['an empty text', ''],
    ['nothing', undefined],
  ])('P2: leaves a code out that is %s', (_what, code) => {
    expect(nameError(new RestError(code))).toBe('RestError');
  });

  it('keeps a numeric code', () => {
    expect(nameError(new RestError(404))).toBe('RestError(404)');
  });

  it('shows our own errors in full: their messages are made for the log', () => {
    const cause = new UpstreamError({ service: 'arm', kind: 'throttled', status: 429 });
    expect(nameError(new BrokerError('upstream_throttled', { reason: 'no token', cause }))).toBe(
      'upstream_throttled: no token < arm: throttled (429)',
    );
  });

  it('ends after four errors, also in a circle', () => {
    const first = new RestError('A');
    first.cause = new RestError('B', first);
    expect(nameError(first)).toBe('RestError(A) < RestError(B) < RestError(A) < RestError(B)');
  });

  it('ends at a cause that is no error', () => {
    expect(nameError(new RestError('A', 'made-up-secret'))).toBe('RestError(A)');
  });

  it.each([
    ['made-up-secret', 'string'],
    [{ password: 'made-up-secret' }, 'object'],
    [undefined, 'undefined'],
  ])('P2: names the type alone of a thrown %j', (thrown, name) => {
    expect(nameError(thrown)).toBe(name);
  });
});
