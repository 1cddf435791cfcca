import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import { minRemaining, readJsonBody } from '../../src/http/request.ts';
import { requestWith, type Sent } from './requests.ts';

const schema = z.strictObject({ minRemaining, audience: z.enum(['aml', 'arm']).optional() });
const read = (sent: Sent) => readJsonBody(requestWith(sent), schema);

const KIB_64 = 65_536;
/** A JSON object of exactly so many bytes. */
const objectOf = (bytes: number) => `{}${' '.repeat(bytes - 2)}`;

describe('readJsonBody', () => {
  it.each([
    ['{}', {}],
    [' {} ', {}],
    ['{"minRemaining":60}', { minRemaining: 60 }],
    ['{"minRemaining":0,"audience":"arm"}', { minRemaining: 0, audience: 'arm' }],
    ['{"minRemaining":172801}', { minRemaining: 172_801 }],
    ['{"minRemaining":9007199254740991}', { minRemaining: Number.MAX_SAFE_INTEGER }],
  ])('reads %s', async (body, value) => {
    await expect(read({ body })).resolves.toEqual(value);
  });

  it.each([
    'application/json',
    'application/json; charset=utf-8',
    'application/json;charset=UTF-8',
    'application/json; charset="utf-8"',
    'Application/JSON',
  ])('accepts the content type %s', async (type) => {
    await expect(read({ body: '{}', headers: { 'content-type': type } })).resolves.toEqual({});
  });

  it.each([
    '',
    'text/plain',
    'text/json',
    'application/x-www-form-urlencoded',
    'application/jsonp',
    'application/json-patch+json',
    'application/problem+json',
    'application/json; charset=utf-16',
    'application/json; charset=latin1',
    'application/json, text/plain',
    'text/plain; application/json',
    'multipart/form-data; boundary=x',
  ])('P7: refuses the content type %j', async (type) => {
    await expect(read({ body: '{}', headers: { 'content-type': type } })).rejects.toMatchObject({
      code: 'unsupported_media_type',
      status: 415,
      reason: 'content_type',
    });
  });

  it.each(['gzip', 'br', 'deflate', 'identity, gzip'])('P7: refuses the content coding %j', async (coding) => {
    await expect(read({ body: '{}', headers: { 'content-encoding': coding } })).rejects.toMatchObject({
      code: 'unsupported_media_type',
      status: 415,
      reason: 'content_encoding',
    });
  });

  it.each(['identity', 'Identity'])('accepts the content coding %s, which is none', async (coding) => {
    await expect(read({ body: '{}', headers: { 'content-encoding': coding } })).resolves.toEqual({});
  });

  it('P7: refuses an empty body and says what to send', async () => {
    for (const sent of [{}, { body: '' }, { body: new Uint8Array() }]) {
      await expect(read(sent)).rejects.toMatchObject({
        code: 'invalid_request',
        status: 400,
        reason: 'empty_body',
        detail: expect.stringContaining('at least {}'),
      });
    }
  });

  it.each(['{', '{}}', "{'a':1}", '{"a":1,}', 'undefined', 'NaN', '{} {}', ' ', '// {}', '{"a":\u0000}'])(
    'P7: refuses %j, which is not JSON',
    async (body) => {
      await expect(read({ body })).rejects.toMatchObject({ code: 'invalid_request', status: 400, reason: 'not_json' });
    },
  );

  it.each([
    ['a lone continuation byte', [0x7b, 0x22, 0x80, 0x22, 0x3a, 0x31, 0x7d]],
    ['an overlong form', [0x7b, 0x22, 0xc0, 0xaf, 0x22, 0x3a, 0x31, 0x7d]],
    ['a surrogate half', [0x7b, 0x22, 0xed, 0xa0, 0x80, 0x22, 0x3a, 0x31, 0x7d]],
    ['UTF-16', [...Buffer.from('\ufeff{}', 'utf16le')]],
  ])('P7: refuses %s, which is not UTF-8', async (_what, bytes) => {
    await expect(read({ body: Uint8Array.from(bytes) })).rejects.toMatchObject({
      code: 'invalid_request',
      status: 400,
      reason: 'not_json',
    });
  });

  it.each(['[]', '[{}]', 'null', 'true', '7', '"{}"'])('P7: refuses %s, which is no object', async (body) => {
    await expect(read({ body })).rejects.toMatchObject({
      code: 'invalid_request',
      status: 400,
      reason: 'body_shape',
      detail: 'The body must be a JSON object.',
    });
  });

  it.each([
    '{"other":1}',
    '{"__proto__":{}}',
    '{"__proto__":null}',
    '{"constructor":1}',
    '{"MinRemaining":1}',
    '{"":1}',
  ])('P7: refuses %s, a field that the route does not know, without repeating it', async (body) => {
    await expect(read({ body })).rejects.toMatchObject({
      code: 'invalid_request',
      status: 400,
      reason: 'body_shape',
      detail: 'The body has a field that this route does not know.',
    });
  });

  it.each([
    ['-1', 'must be 0 or more seconds'],
    ['1.5', 'must be a whole number of seconds'],
    ['"60"', 'must be a whole number of seconds'],
    ['null', 'must be a whole number of seconds'],
    ['9007199254740992', 'must be a whole number of seconds'],
    ['1e400', 'must be a whole number of seconds'],
  ])('P7: refuses minRemaining %s and says which rule it breaks', async (value, rule) => {
    await expect(read({ body: `{"minRemaining":${value}}` })).rejects.toMatchObject({
      code: 'invalid_request',
      detail: `minRemaining: ${rule}.`,
    });
  });

  it('P7: tells all wrong fields together', async () => {
    await expect(read({ body: '{"minRemaining":-1,"audience":7,"x":1}' })).rejects.toMatchObject({
      detail: expect.stringMatching(/minRemaining: .*audience: .*a field that this route does not know/),
    });
  });

  it('P2: repeats nothing of what was sent', async () => {
    for (const body of [
      '{"audience":"made-up-secret"}',
      '{"made-up-secret":1}',
      '{"minRemaining":"made-up-secret"}',
      'made-up-secret',
    ]) {
      const failed = await read({ body }).catch((error: unknown) => error);
      expect(failed).toMatchObject({ code: 'invalid_request' });
      expect(`${String(failed)} ${JSON.stringify(failed)}`).not.toContain('made-up-secret');
    }
  });

  it('reads a body of exactly 64 KiB', async () => {
    await expect(read({ body: objectOf(KIB_64) })).resolves.toEqual({});
  });

  it('P7: refuses a body of 64 KiB and one byte', async () => {
    await expect(read({ body: objectOf(KIB_64 + 1) })).rejects.toMatchObject({ code: 'too_large', status: 413 });
  });

  it('P7: counts bytes and not characters', async () => {
    const body = `{"x":"${'é'.repeat(KIB_64 / 2)}"}`;
    expect(body.length).toBeLessThan(KIB_64);
    await expect(read({ body })).rejects.toMatchObject({ code: 'too_large', status: 413 });
  });

  it('P7: answers any bytes with a value or a refusal of its own, never with another failure', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 40 }), async (body) => {
        const outcome = await read({ body }).catch((error: unknown) => error);
        if (outcome instanceof Error) expect(outcome).toMatchObject({ code: 'invalid_request', status: 400 });
        else expect(outcome).toEqual({});
      }),
    );
  });
});
