import { HttpRequest } from '@azure/functions';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { OAuthError } from '../../src/http/oauth-error.ts';
import { parseForm, readForm } from '../../src/http/oauth-form.ts';
import { rejectionOf } from '../support/ports.ts';

const entries = (text: string) => [...parseForm(text)];

describe('parseForm', () => {
  it('reads names and values as HTML encodes them', () => {
    expect(entries('a=1+2&b=%2B%26%3D&c=x=y')).toEqual([
      ['a', ['1 2']],
      ['b', ['+&=']],
      ['c', ['x=y']],
    ]);
    expect(entries('%C3%BC=%E2%82%AC')).toEqual([['ü', ['€']]]);
  });

  it('leaves out what has no value, and keeps what may stand more than once', () => {
    expect(entries('a=&b&&resource=1&resource=&resource=2')).toEqual([['resource', ['1', '2']]]);
  });

  it('knows no names of objects', () => {
    const form = parseForm('__proto__=1');
    expect([form.has('__proto__'), form.has('constructor'), form.has('toString')]).toEqual([true, false, false]);
  });

  it('gives back every form that a browser writes', () => {
    fc.assert(
      fc.property(
        fc.dictionary(fc.string({ minLength: 1 }), fc.string({ minLength: 1, unit: 'grapheme' })),
        (fields) => {
          const read = entries(new URLSearchParams(Object.entries(fields)).toString());
          expect(read).toEqual(Object.entries(fields).map(([name, value]) => [name, [value]]));
        },
      ),
    );
  });

  it('P7: reads or refuses whatever comes, and throws nothing else', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom('a', '%', '4', '1', 'f', '&', '=', '+', ' ', '\n', 'ü') }),
        (text) => {
          try {
            parseForm(text);
          } catch (error) {
            expect(error).toBeInstanceOf(OAuthError);
          }
        },
      ),
      { numRuns: 500 },
    );
  });
});

describe('readForm', () => {
  const read = (string: string) =>
    readForm(
      new HttpRequest({
        method: 'POST',
        url: 'https://broker.example/oauth2/token',
        headers: { 'content-type': 'application/x-www-form-urlencoded' },
        body: { string },
      }),
    );

  it('reads 64 KiB and refuses more, however little was declared', async () => {
    expect((await read(`a=${'x'.repeat(64 * 1024 - 2)}`)).get('a')?.[0]).toHaveLength(64 * 1024 - 2);
    expect(await rejectionOf(read(`a=${'x'.repeat(64 * 1024 - 1)}`))).toMatchObject({ code: 'too_large' });
  });
});
