import net from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestBroker, type TestBroker } from '../support/broker.ts';

/** P7 for hostile and careless clients: each a problem answer, never a 500, never a cut connection. */

const ROUTE = '/workspaces/prod/endpoints/fraud-aml/token';

let broker: TestBroker;
let token: string;

beforeAll(async () => {
  broker = await startTestBroker();
  token = await broker.sandbox.callerToken();
});
afterAll(() => broker?.stop());

interface RawAnswer {
  status: number;
  code: unknown;
}

/** Sends bytes as they are on one connection and reads the answers to the end of the last one. */
function raw(text: string | Buffer, answers = 1): Promise<RawAnswer[]> {
  const { port } = new URL(broker.host.url);
  return new Promise((resolve, reject) => {
    const socket = net.connect(Number(port), '127.0.0.1', () => socket.write(text));
    let received = '';
    const done = () => {
      const parts = received.split(/(?=HTTP\/1\.1 \d{3})/).filter((part) => part !== '');
      return parts.map((part) => ({
        status: Number(part.slice(9, 12)),
        code: /"code":"(\w+)"/.exec(part)?.[1],
        whole: /\r\n\r\n/.test(part) && (/"correlationId":"[^"]+".*\}/.test(part) || /content-length: 0/i.test(part)),
      }));
    };
    socket.on('data', (chunk) => {
      received += chunk;
      const parts = done();
      if (parts.length === answers && parts.every(({ whole }) => whole)) {
        socket.destroy();
        resolve(parts.map(({ status, code }) => ({ status, code })));
      }
    });
    socket.on('error', reject);
    socket.on('end', () => reject(new Error(`The connection was cut after: ${received.slice(0, 200)}`)));
  });
}

const request = (headers: string[], body = '', path = ROUTE) =>
  [`POST ${path} HTTP/1.1`, 'Host: localhost', ...headers, '', body].join('\r\n');

const bearer = () => `Authorization: Bearer ${token}`;
const json = 'Content-Type: application/json';

describe('P7: bad input gets a clear answer', () => {
  it.each([
    ['malformed JSON', '{"minRemaining":', 400, 'invalid_request'],
    ['JSON that is no object', '[1]', 400, 'invalid_request'],
    ['unknown fields', '{"scope":"everything"}', 400, 'invalid_request'],
    ['an empty body', '', 400, 'invalid_request'],
  ])('%s → %i', async (_name, body, status, code) => {
    expect(await broker.post(ROUTE, { token, body })).toMatchObject({ status, body: { code } });
  });

  it('invalid UTF-8 → 400', async () => {
    const bytes = Buffer.concat([
      Buffer.from(request([bearer(), json, 'Content-Length: 3'])),
      Buffer.from([0x22, 0xff, 0x22]),
    ]);
    expect(await raw(bytes)).toEqual([{ status: 400, code: 'invalid_request' }]);
  });

  it('a chunked body, which Azure Functions passes on empty → 400', async () => {
    const text = request([bearer(), json, 'Transfer-Encoding: chunked'], '2\r\n{}\r\n0\r\n\r\n');
    expect(await raw(text)).toEqual([{ status: 400, code: 'invalid_request' }]);
  });

  it('no content type, a wrong one, or a coding → 415', async () => {
    expect(await raw(request([bearer(), 'Content-Length: 2'], '{}'))).toEqual([
      { status: 415, code: 'unsupported_media_type' },
    ]);
    for (const headers of [
      { 'Content-Type': 'application/x-www-form-urlencoded' },
      { 'Content-Type': 'application/json; charset=utf-16' },
      { 'Content-Type': 'application/json, text/plain' },
      { 'Content-Type': 'application/json', 'Content-Encoding': 'gzip' },
    ]) {
      expect(await broker.post(ROUTE, { token, headers })).toMatchObject({
        status: 415,
        body: { code: 'unsupported_media_type' },
      });
    }
  });

  it('a body over 64 KiB → 413, read whole, and the connection serves the next request', async () => {
    const body = `{"filler":"${'x'.repeat(200 * 1024)}"}`;
    const large = request([bearer(), json, `Content-Length: ${body.length}`], body);
    const next = request([bearer(), json, 'Content-Length: 1'], '{');
    expect(await raw(large + next, 2)).toEqual([
      { status: 413, code: 'too_large' },
      { status: 400, code: 'invalid_request' },
    ]);
  });

  it('a body of exactly 64 KiB is read', async () => {
    const body = `{}${' '.repeat(64 * 1024 - 2)}`;
    expect((await broker.post(ROUTE, { token, body })).status).toBe(200);
    expect((await broker.post(ROUTE, { token, body: `${body} ` })).status).toBe(413);
  });

  it('path tricks → 400, 403 or the host’s 404, never more', async () => {
    for (const [path, status] of [
      ['/workspaces/..%2f..%2fadmin/token', 400],
      ['/workspaces/prod%00/token', 400],
      ['/workspaces/prod%20/token', 400],
      ['/workspaces/%7B%7D/token', 400],
      ['/workspaces/__proto__/token', 400],
      ['/workspaces/constructor/token', 403],
      ['/workspaces/PROD/token', 403],
      ['/workspaces/prod/endpoints/fraud-aml%2Ftoken/token', 400],
      ['/workspaces/prod/endpoints/fraud-*/token', 400],
      ['/workspaces/prod/endpoints/toString/token', 403],
      ['/workspaces//token', 404],
      ['/workspaces/prod/endpoints/../../dev/token/x', 404],
    ] as const) {
      const [answer] = await raw(request([bearer(), json, 'Content-Length: 2'], '{}', path));
      expect([path, answer?.status]).toEqual([path, status]);
    }
  });

  it('a token in the query → 400, and it is not logged', async () => {
    const answer = await broker.post(`${ROUTE}?access_token=${token}`);
    expect(answer).toMatchObject({ status: 400, body: { code: 'invalid_request' } });
    expect(answer.text).not.toContain(token);
    expect(broker.host.output()).not.toContain(token);
  });

  it('more than one Authorization value → 401', async () => {
    const twice = request([bearer(), bearer(), json, 'Content-Length: 2'], '{}');
    const joined = request([`${bearer()}, Bearer ${token}`, json, 'Content-Length: 2'], '{}');
    for (const text of [twice, joined]) expect(await raw(text)).toEqual([{ status: 401, code: 'invalid_token' }]);
  });

  it('a token over 16 KiB, or in a non-canonical spelling → 401', async () => {
    const [header, payload, signature = ''] = token.split('.');
    for (const hostile of [
      `${header}.${payload}.${'A'.repeat(17 * 1024)}`,
      `${token}=`,
      `${header}.${payload}.${signature}==`,
      `${token}.`,
      ` ${token}`,
      `${header}.${payload}.`,
    ]) {
      const text = request([`Authorization: Bearer ${hostile}`, json, 'Content-Length: 2'], '{}');
      expect(await raw(text)).toEqual([{ status: 401, code: 'invalid_token' }]);
    }
  });

  it('logs one line for a refused token, with one reason and nothing of the token', async () => {
    const before = broker.host.output().split('\n').length;
    const expired = await broker.sandbox.callerToken({ lifetimeSeconds: -3600 });
    const answer = await broker.post(ROUTE, { token: expired });
    const lines = broker.host
      .output()
      .split('\n')
      .slice(before)
      .filter((line) => line.includes(String(answer.body.correlationId)));
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain('"reason":"expired"');
    expect(lines[0]).not.toContain(expired.slice(0, 20));
    expect(answer.text).not.toContain('expired"');
  });
});
