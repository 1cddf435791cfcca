import { afterEach, describe, expect, it } from 'vitest';
import { parseHostJson } from '../../sandbox/host/host-json.ts';
import { send } from './fixtures/send.ts';
import { createTestApps, ECHO } from './fixtures/test-app.ts';

describe('parseHostJson', () => {
  it('takes the real host’s defaults for what is not there', () => {
    expect(parseHostJson('{"version":"2.0"}')).toEqual({
      routePrefix: 'api',
      functionTimeoutMs: 1_800_000,
      maxOutstandingRequests: Number.POSITIVE_INFINITY,
      maxConcurrentRequests: Number.POSITIVE_INFINITY,
      customHeaders: {},
      logLevel: {},
    });
  });

  it.each([
    ['00:10:00', 600_000],
    ['1.00:00:00', 86_400_000],
    ['00:00:00.25', 250],
    ['-1', undefined],
  ])('reads the functionTimeout %s', (functionTimeout, expected) => {
    expect(parseHostJson(JSON.stringify({ version: '2.0', functionTimeout })).functionTimeoutMs).toBe(expected);
  });

  it.each([
    [{ version: '2.0', extra: 1 }, 'does not know the key "extra"'],
    [{ version: '2.0', extensions: { http: { hsts: {} } } }, 'does not know the key "extensions.http.hsts"'],
    [{ version: '2.0', extensions: { queues: {} } }, 'does not know the key "extensions.queues"'],
    [{ version: '2.0', logging: { console: {} } }, 'does not know the key "logging.console"'],
    [{ version: '3.0' }, '"version" must be "2.0"'],
    [{}, '"version" must be "2.0"'],
    [{ version: '2.0', functionTimeout: '10 minutes' }, '"functionTimeout" must be a time'],
    [{ version: '2.0', functionTimeout: '00:00:00' }, '"functionTimeout" must be a time'],
    [
      { version: '2.0', extensions: { http: { maxConcurrentRequests: 0 } } },
      '"extensions.http.maxConcurrentRequests" must be a positive',
    ],
    [{ version: '2.0', logging: { logLevel: { default: 'Loud' } } }, '"logging.logLevel.default" must be Trace'],
  ])('refuses %j by name and path', (json, message) => {
    expect(() => parseHostJson(JSON.stringify(json))).toThrow(message);
  });

  it('refuses what is no JSON', () => {
    expect(() => parseHostJson('{')).toThrow('host.json is no JSON');
  });
});

describe('the development host with a host.json', () => {
  const apps = createTestApps();
  afterEach(() => apps.stopAll());
  const http = (settings: object) => ({ extensions: { http: { routePrefix: '', ...settings } } });

  // Each request waits until the test calls /release.
  const GATE = `
  const waiting = [];
  let entered = 0;
  app.http('wait', { route: 'wait', methods: ['GET'], authLevel: 'anonymous', handler: async () => {
    entered++;
    await new Promise((resolve) => waiting.push(resolve));
    return { body: 'done' };
  } });
  setInterval(() => console.log('entered ' + entered), 20);
  process.on('SIGUSR2', () => waiting.splice(0).forEach((resolve) => resolve()));
  `;
  const waiters = async (port: number, count: number) =>
    Array.from({ length: count }, () => send({ port, path: '/wait' }));
  const until = async (check: () => boolean) => {
    await expect.poll(check, { interval: 10, timeout: 5000 }).toBe(true);
  };

  it('puts routePrefix before every route', async () => {
    const { port } = await apps.start({
      main: `${ECHO} app.http('x', { route: 'x', methods: ['GET'], authLevel: 'anonymous', handler: echo });`,
      hostJson: http({ routePrefix: 'v1' }),
    });
    expect((await send({ port, path: '/v1/x' })).status).toBe(200);
    expect((await send({ port, path: '/x' })).status).toBe(404);
  });

  it('abandons an invocation past functionTimeout: HTTP 500 with an empty body, and a log line for HTTP and timer', async () => {
    const host = await apps.start({
      main: `
      const never = () => new Promise(() => {});
      app.http('slow', { route: 'slow', methods: ['GET'], authLevel: 'anonymous', handler: never });
      app.timer('stuck', { schedule: '0 0 0 1 1 *', runOnStartup: true, handler: never });`,
      hostJson: { ...http({}), functionTimeout: '00:00:00.1' },
    });
    expect(await send({ port: host.port, path: '/slow' })).toMatchObject({ status: 500, body: '' });
    for (const name of ['slow', 'stuck']) {
      await until(() =>
        new RegExp(`\\[Error\\] ${name}: invocation .* failed: .*longer than functionTimeout`).test(host.output()),
      );
    }
  });

  it('answers 429 above maxOutstandingRequests, and again 200 when one has ended', async () => {
    const host = await apps.start({
      main: GATE,
      hostJson: http({ maxOutstandingRequests: 2, customHeaders: { 'X-A': 'a' } }),
    });
    const [first, second] = await waiters(host.port, 2);
    await until(() => host.output().includes('entered 2'));
    const refused = await send({ port: host.port, path: '/wait' });
    expect(refused).toMatchObject({ status: 429, body: '', headers: { 'x-a': 'a' } });
    process.kill(host.pid, 'SIGUSR2');
    expect([(await first)?.status, (await second)?.status]).toEqual([200, 200]);
    const third = send({ port: host.port, path: '/wait' });
    await until(() => host.output().includes('entered 3'));
    process.kill(host.pid, 'SIGUSR2');
    expect((await third).status).toBe(200);
  });

  it('runs no more than maxConcurrentRequests at once; the others wait', async () => {
    const host = await apps.start({ main: GATE, hostJson: http({ maxConcurrentRequests: 2 }) });
    const all = await waiters(host.port, 3);
    await until(() => host.output().includes('entered 2'));
    // A request that the gate does not hold back would have been seen by now: the server has answered a later one.
    expect((await send({ port: host.port, path: '/unknown' })).status).toBe(404);
    expect(host.output()).not.toContain('entered 3');
    process.kill(host.pid, 'SIGUSR2');
    await until(() => host.output().includes('entered 3'));
    process.kill(host.pid, 'SIGUSR2');
    expect((await Promise.all(all)).map(({ status }) => status)).toEqual([200, 200, 200]);
  });

  it('adds customHeaders to every answer of a function, failures and refusals included, and overrides none of the function', async () => {
    const { port } = await apps.start({
      main: `
      app.http('ok', { route: 'ok', methods: ['GET'], authLevel: 'anonymous', handler: async () => ({ headers: { 'x-b': 'mine' } }) });
      app.http('bad', { route: 'bad', methods: ['GET'], authLevel: 'anonymous', handler: async () => { throw new Error('no'); } });`,
      hostJson: http({ customHeaders: { 'X-A': 'a', 'X-B': 'b' } }),
    });
    expect((await send({ port, path: '/ok' })).headers).toMatchObject({ 'x-a': 'a', 'x-b': 'mine' });
    expect((await send({ port, path: '/bad' })).headers).toMatchObject({ 'x-a': 'a', 'x-b': 'b' });
    expect((await send({ port, path: '/none' })).headers).not.toHaveProperty('x-a');
  });

  it('shows the log lines that logging.logLevel lets through, by the longest category', async () => {
    const handler = `async (_, context) => { context.debug('fine'); context.log('plain'); return {}; }`;
    const host = await apps.start({
      main: ['loud', 'quiet']
        .map(
          (name) =>
            `app.http('${name}', { route: '${name}', methods: ['GET'], authLevel: 'anonymous', handler: ${handler} });`,
        )
        .join('\n'),
      hostJson: { ...http({}), logging: { logLevel: { default: 'Warning', 'Function.loud': 'debug' } } },
    });
    await send({ port: host.port, path: '/loud' });
    await send({ port: host.port, path: '/quiet' });
    await expect.poll(() => host.output()).toContain('[Debug] loud: fine');
    await host.stop();
    expect(host.output()).not.toContain('quiet: ');
  });

  it('does not start with a key that it does not know', async () => {
    const main = `${ECHO} app.http('x', { authLevel: 'anonymous', handler: echo });`;
    await expect(apps.start({ main, hostJson: { watchDirectories: [] } })).rejects.toThrow(
      'does not know the key "watchDirectories"',
    );
  });
});
