import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { seen, send } from './fixtures/send.ts';
import { createTestApps, ECHO, type RunningTestApp } from './fixtures/test-app.ts';

const MAIN = `${ECHO}
app.http('items', { route: 'items/{id?}', methods: ['GET', 'POST', 'HEAD'], authLevel: 'anonymous', handler: echo });
app.http('rest', { route: 'rest/{*path}', methods: ['GET'], authLevel: 'anonymous', handler: echo });
app.http('bytes', { route: 'bytes', methods: ['POST'], authLevel: 'anonymous', handler: async (request) => {
  const { byteLength } = await request.arrayBuffer();
  return { status: 413, jsonBody: { byteLength } };
} });
app.http('cookies', { route: 'cookies', methods: ['GET'], authLevel: 'anonymous', handler: async () => ({
  status: 201, body: 'made', headers: { 'x-own': 'yes' },
  cookies: [{ name: 'a', value: 'b c', maxAge: 3, httpOnly: true, secure: true, sameSite: 'Strict', path: '/x' }, { name: 'd', value: 'e' }],
}) });
app.http('nothing', { route: 'nothing', methods: ['GET'], authLevel: 'anonymous', handler: async () => undefined });
app.http('noContent', { route: 'no-content', methods: ['GET'], authLevel: 'anonymous', handler: async () => ({ status: 204, body: 'x' }) });
app.http('text', { route: 'text', methods: ['GET'], authLevel: 'anonymous', handler: async () => 'a bare text' });
app.http('throws', { route: 'throws', methods: ['GET'], authLevel: 'anonymous', handler: async () => { throw new Error('secret detail'); } });
app.http('logs', { route: 'logs', methods: ['GET'], authLevel: 'anonymous', handler: async (_, context) => {
  context.log('plain', { n: 1 }); context.debug('hidden'); context.warn('careful'); context.error('broken'); context.log('one\\ntwo');
  return { body: 'ok' };
} });
let waiting;
app.http('meet', { route: 'meet', methods: ['GET'], authLevel: 'anonymous', handler: async () => {
  // Answers only when two invocations are under way at once.
  if (waiting) { waiting(); waiting = undefined; } else await new Promise((resolve) => { waiting = resolve; });
  return { body: 'met' };
} });
`;

describe('the development host over HTTP', () => {
  const apps = createTestApps();
  let host: RunningTestApp;
  let port: number;

  beforeAll(async () => {
    host = await apps.start({ main: MAIN, settings: { FUNCTIONS_REQUEST_BODY_SIZE_LIMIT: '2000000' } });
    port = host.port;
  });
  afterAll(() => apps.stopAll());

  it('gives a function its method, URL, route value, headers, query and body', async () => {
    const reply = await send({ port, method: 'POST', path: '/items/5?a=1', headers: ['X-One', '1'], body: '{"z":1}' });
    expect(reply.status).toBe(200);
    expect(seen(reply)).toMatchObject({
      method: 'POST',
      url: `http://localhost:${port}/items/5?a=1`,
      params: { id: '5' },
      query: { a: '1' },
      body: '{"z":1}',
      functionName: 'items',
      triggerMetadata: null,
      user: null,
    });
    expect(seen(reply).headers['x-one']).toBe('1');
  });

  it('serves the same functions over HTTPS, with https in the URL', async () => {
    const reply = await send({ port: host.tlsPort, ca: readFileSync(host.caCertificate, 'utf8'), path: '/items' });
    expect(seen(reply).url).toBe(`https://localhost:${host.tlsPort}/items`);
  });

  it('joins several values of one header by a comma, Authorization too', async () => {
    const reply = await send({
      port,
      path: '/items',
      headers: ['X-A', '1', 'authorization', 'Bearer one', 'x-a', '2', 'Authorization', 'Bearer two'],
    });
    expect(seen(reply).headers).toMatchObject({ 'x-a': '1,2', authorization: 'Bearer one,Bearer two' });
  });

  it('joins several values of one query key by a comma, while the URL keeps both', async () => {
    const reply = await send({ port, path: '/items?a=1&a=2&e=&plus=a+b' });
    expect(seen(reply).query).toEqual({ a: '1,2', e: '', plus: 'a b' });
    expect(seen(reply).url).toContain('?a=1&a=2&e=&plus=a+b');
  });

  it('takes the URL from the Host header as sent', async () => {
    const reply = await send({ port, path: '/items', headers: ['Host', 'other.example:1'] });
    expect(seen(reply).url).toBe('http://other.example:1/items');
  });

  it.each([[['Host', 'a', 'Host', 'b']], [['Host', 'a b']], [['Host', 'user@a']], [['Host', 'a/b']]])(
    'answers 400 with an empty body to the unreadable Host headers %j',
    async (headers) => {
      expect(await send({ port, path: '/items', headers })).toMatchObject({ status: 400, body: '' });
    },
  );

  it('drops the body of a chunked request, and answers it', async () => {
    const reply = await send({ port, method: 'POST', path: '/items', body: 'x'.repeat(300_000), chunked: true });
    expect(reply.status).toBe(200);
    expect(seen(reply).body).toBe('');
  });

  it('answers a chunked request only when its body is over, so that the answer is not lost with the connection', async () => {
    const headers = { connection: 'close', 'transfer-encoding': 'chunked' };
    const request = http.request({ host: '127.0.0.1', port, method: 'POST', path: '/items', headers, agent: false });
    let status: number | undefined;
    const answered = once(request, 'response').then(([response]) => {
      status = response.statusCode;
      response.resume();
    });
    request.write('begun');
    // Later requests on other connections are answered: this one would have been, too.
    for (let later = 0; later < 3; later++) expect((await send({ port, path: '/items' })).status).toBe(200);
    expect(status).toBeUndefined();
    request.end('ended');
    await answered;
    expect(status).toBe(200);
  });

  it('drops the body of a GET', async () => {
    const reply = await send({ port, path: '/items', body: 'not read' });
    expect(reply.status).toBe(200);
    expect(seen(reply).body).toBe('');
  });

  it('reads a large body to its end before the function refuses it, so the refusal arrives', async () => {
    const reply = await send({ port, method: 'POST', path: '/bytes', body: new Uint8Array(1_900_000) });
    expect(reply.status).toBe(413);
    expect(JSON.parse(reply.body)).toEqual({ byteLength: 1_900_000 });
  });

  it('answers 413 itself above the body limit, readable', async () => {
    expect(await send({ port, method: 'POST', path: '/bytes', body: new Uint8Array(2_000_001) })).toMatchObject({
      status: 413,
      body: '',
    });
  });

  it('takes nearly 32 KiB of headers and refuses more with 431', async () => {
    const most = await send({ port, path: '/items', headers: ['authorization', 'a'.repeat(32_000)] });
    expect(seen(most).headers.authorization).toHaveLength(32_000);
    expect((await send({ port, path: '/items', headers: ['authorization', 'a'.repeat(33_000)] })).status).toBe(431);
  });

  it('reads header bytes as UTF-8: 400 when they are none, 500 when the library cannot hold the character', async () => {
    const latin1 = (text: string) => Buffer.from(text, 'utf8').toString('latin1');
    expect(seen(await send({ port, path: '/items', headers: ['x-name', latin1('é')] })).headers['x-name']).toBe('é');
    expect(await send({ port, path: '/items', headers: ['x-name', '\xe9'] })).toMatchObject({ status: 400, body: '' });
    expect(await send({ port, path: '/items', headers: ['x-name', latin1('€')] })).toMatchObject({
      status: 500,
      body: '',
    });
  });

  it.each([
    ['/items/a%20b', 'a b'],
    ['/items/a%2Fb', 'a%2Fb'],
    ['/items/%C3%A9', 'é'],
    ['/items/%ff', '%ff'],
    ['/items/100%', '100%'],
    ['/ITEMS/Aa/', 'Aa'],
    ['/items/a%5Cb', 'a\\b'],
    ['/rest/../items/x', 'x'],
    ['/rest/%2e%2e/items/x', 'x'],
  ])('routes the path %s to the item %j', async (path, id) => {
    expect(seen(await send({ port, path })).params.id).toBe(id);
  });

  it.each(['/unknown', '/items/a/b', '//items', '/items//', '/items/%2e%2e/secret'])(
    'answers 404 with an empty body to the path %s',
    async (path) => {
      expect(await send({ port, path })).toMatchObject({ status: 404, body: '' });
    },
  );

  it.each(['content-length', 'chunked'])(
    'answers 404 readable while a client that wants the connection closed sends a large body (%s)',
    async (framing) => {
      const body = new Uint8Array(1_500_000);
      const headers = ['connection', 'close'];
      const request = { port, method: 'POST', path: '/unknown', headers, body, chunked: framing === 'chunked' };
      expect(await send(request)).toMatchObject({ status: 404, body: '' });
    },
  );

  it('answers 404 to a method that the route does not have', async () => {
    expect(await send({ port, method: 'DELETE', path: '/items/1' })).toMatchObject({ status: 404, body: '' });
    expect((await send({ port, method: 'HEAD', path: '/items/1' })).status).toBe(200);
  });

  it('answers 400 to an encoded NUL in the path', async () => {
    expect((await send({ port, path: '/items/a%00b' })).status).toBe(400);
  });

  it('sends status, headers, cookies and body as the function returned them', async () => {
    const reply = await send({ port, path: '/cookies' });
    expect(reply).toMatchObject({ status: 201, body: 'made' });
    expect(reply.headers).toMatchObject({
      'x-own': 'yes',
      'content-length': '4',
      'set-cookie': ['a=b%20c; max-age=3; path=/x; secure; samesite=strict; httponly', 'd=e; path=/'],
    });
  });

  it('answers 204 when a function returns nothing, and sends no body with 204', async () => {
    expect(await send({ port, path: '/nothing' })).toMatchObject({ status: 204, body: '' });
    expect(await send({ port, path: '/no-content' })).toMatchObject({ status: 204, body: '' });
  });

  it.each(['/throws', '/text'])('answers 500 with an empty body when the function of %s fails', async (path) => {
    expect(await send({ port, path })).toMatchObject({ status: 500, body: '' });
  });

  it('gives each invocation an id of its own and a span in the trace of the caller', async () => {
    const traceId = '0af7651916cd43dd8448eb211c80319c';
    const headers = ['traceparent', `00-${traceId}-b7ad6b7169203331-01`];
    const first = seen(await send({ port, path: '/items', headers }));
    const second = seen(await send({ port, path: '/items' }));
    expect(first.invocationId).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
    expect(first.invocationId).not.toBe(second.invocationId);
    expect(first.traceParent).toMatch(new RegExp(`^00-${traceId}-(?!b7ad6b7169203331)[0-9a-f]{16}-01$`));
    expect(second.traceParent).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-00$/);
    expect(second.traceParent).not.toContain(traceId);
  });

  it('runs invocations of one function at the same time', async () => {
    const replies = await Promise.all([send({ port, path: '/meet' }), send({ port, path: '/meet' })]);
    expect(replies.map(({ body }) => body)).toEqual(['met', 'met']);
  });

  it('writes one line for each log call of a function, with its level, and none below Information', async () => {
    await send({ port, path: '/logs' });
    const lines = () =>
      host
        .output()
        .split('\n')
        .filter((line) => line.includes('] logs: '));
    await expect
      .poll(() => lines().map((line) => line.replace(/^\[[^\]]+\] /, '')))
      .toEqual([
        '[Information] logs: plain { n: 1 }',
        '[Warning] logs: careful',
        '[Error] logs: broken',
        '[Information] logs: one\\ntwo',
      ]);
    expect(lines()[0]).toMatch(/^\[\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\] /);
  });
});
