import type { HttpRequestInit } from '@azure/functions';
import { describe, expect, it } from 'vitest';
import { aPolicy, upstream } from '../support/builders.ts';
import { posts } from './all-routes.ts';
import { setUp } from './functions-in-memory.ts';
import { invoke } from './invoke.ts';

describe.each(posts)('%s, the body', (_route, handlerOf, request) => {
  const withBody = (string: string, headers: Record<string, string> = {}): HttpRequestInit => ({
    ...request,
    headers: { ...request.headers, ...headers },
    body: { string },
  });

  it.each([
    ['no JSON', '{"audience":'],
    ['nothing', ''],
    ['two values', '{} {}'],
    ['an array', '[]'],
    ['null', 'null'],
    ['a number', '7'],
  ])('400 invalid_request for %s', async (_what, string) => {
    const answer = await invoke(handlerOf(setUp()), withBody(string));
    expect(answer.status).toBe(400);
    expect(answer.body).toMatchObject({ code: 'invalid_request' });
  });

  it('400 invalid_request for bytes that are not UTF-8', async () => {
    const bytes = new Uint8Array([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]);
    const answer = await invoke(handlerOf(setUp()), { ...request, body: { bytes } });
    expect(answer.status).toBe(400);
    expect(answer.body).toMatchObject({ code: 'invalid_request' });
  });

  it('400 invalid_request for an unknown field, without repeating it', async () => {
    const answer = await invoke(handlerOf(setUp()), withBody('{"of-the-caller":"secret-value"}'));
    expect(answer.status).toBe(400);
    expect(answer.text + answer.lines.join()).not.toMatch(/of-the-caller|secret-value/);
  });

  it.each([
    'text/plain',
    'application/x-www-form-urlencoded',
    'application/json; charset=latin1',
    'application/jsonx',
    '',
  ])('415 unsupported_media_type for the content type %j', async (type) => {
    const answer = await invoke(handlerOf(setUp()), withBody('{}', { 'content-type': type }));
    expect(answer.status).toBe(415);
    expect(answer.body).toMatchObject({ code: 'unsupported_media_type' });
  });

  it('415 unsupported_media_type for a compressed body', async () => {
    const answer = await invoke(handlerOf(setUp()), withBody('{}', { 'content-encoding': 'gzip' }));
    expect(answer.status).toBe(415);
    expect(answer.body).toMatchObject({ code: 'unsupported_media_type' });
  });

  it('413 too_large for more than 64 KiB, however little was declared', async () => {
    const answer = await invoke(handlerOf(setUp()), withBody(`{}${' '.repeat(64 * 1024)}`));
    expect(answer.status).toBe(413);
    expect(answer.body).toMatchObject({ code: 'too_large' });
  });

  it('200 for exactly 64 KiB, with charset=utf-8', async () => {
    const body = `{}${' '.repeat(64 * 1024 - 2)}`;
    const answer = await invoke(
      handlerOf(setUp()),
      withBody(body, { 'content-type': 'Application/JSON; charset="UTF-8"' }),
    );
    expect(answer.status).toBe(200);
  });

  it('P1: 503 audit_unavailable with Retry-After when no store accepts, and no credential in the answer', async () => {
    const world = setUp();
    world.audit.fault = upstream('unavailable', { service: 'audit store' });
    const answer = await invoke(handlerOf(world), request);
    expect(answer.status).toBe(503);
    expect(answer.headers.get('retry-after')).toBe('10');
    expect(answer.body).toMatchObject({ code: 'audit_unavailable' });
    expect(answer.text + answer.lines.join() + world.lines.join()).not.toMatch(/secret-token|primary-key/);
  });

  it('P1: 403 for a refusal whose record no store accepts', async () => {
    const world = setUp(aPolicy({ grants: {} }));
    world.audit.fault = upstream('unavailable', { service: 'audit store' });
    const answer = await invoke(handlerOf(world), request);
    expect(answer.status).toBe(403);
    expect(answer.body).toMatchObject({ code: 'not_granted' });
  });
});
