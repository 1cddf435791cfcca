import { fork } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { PortBusyError } from '../../sandbox/host/port-busy-error.ts';
import { send } from './fixtures/send.ts';
import { createTestApps, ECHO } from './fixtures/test-app.ts';

const HTTP = `${ECHO} app.http('echo', { route: 'echo', methods: ['GET'], authLevel: 'anonymous', handler: echo });`;

/** One that has ended but was not collected yet by its new parent is not alive. */
function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

describe('starting the development host', () => {
  const apps = createTestApps();
  afterEach(() => apps.stopAll());

  it.each([
    ['registers nothing', 'void app;', 'the app registered no functions'],
    ['throws while it loads', 'throw new Error("broken import");', 'could not be loaded: Error: broken import'],
    [
      'asks for a function key',
      `app.http('x', { authLevel: 'function', handler: () => ({}) });`,
      'The function "x" has the authLevel "function", but this host has no keys',
    ],
    [
      'has a trigger that the host does not run',
      `app.storageQueue('q', { queueName: 'a', connection: 'b', handler: () => {} });`,
      'of the function "q" is not one that this host runs',
    ],
    [
      'names a missing setting in a schedule',
      `app.timer('t', { schedule: '%NIGHTLY%', handler: () => {} });`,
      'The schedule "%NIGHTLY%" of the function "t" needs the app setting NIGHTLY, which is not set',
    ],
    [
      'has a schedule that is none',
      `app.timer('t', { schedule: 'nightly', handler: () => {} });`,
      'The timer "t": "nightly" is no NCRONTAB schedule',
    ],
    [
      'names two functions alike',
      `for (const name of ['x', 'X']) app.http(name, { route: name + 1, authLevel: 'anonymous', handler: () => ({}) });`,
      'Two functions are named "X"',
    ],
    [
      'turns streaming on',
      `app.setup({ enableHttpStream: true }); app.http('x', { authLevel: 'anonymous', handler: () => ({}) });`,
      'enableHttpStream',
    ],
    [
      'has a retry policy',
      `app.timer('t', { schedule: '0 * * * * *', retry: { strategy: 'fixedDelay', maxRetryCount: 1, delayInterval: 1 }, handler: () => {} });`,
      'has a retry policy',
    ],
  ])('fails with a clear sentence when the app %s', async (_, main, message) => {
    await expect(apps.start({ main })).rejects.toThrow(message);
  });

  it('names the busy port', async () => {
    const holder = createServer().listen(0, '127.0.0.1');
    await once(holder, 'listening');
    const address = holder.address();
    const port = typeof address === 'object' && address ? address.port : 0;
    try {
      for (const overrides of [{ port }, { tlsPort: port }]) {
        const failure = await apps.start({ main: HTTP }, overrides).catch((error: unknown) => error);
        expect(failure).toBeInstanceOf(PortBusyError);
        expect(failure).toMatchObject({ port, message: expect.stringContaining(`Port ${port} is in use`) });
      }
    } finally {
      holder.close();
    }
  });

  it('gives the app PATH, HOME and the given settings, and nothing else of the environment', async () => {
    process.env.HOST_TEST_OUTSIDE = 'leaks';
    const main = `app.http('env', { route: 'env', methods: ['GET'], authLevel: 'anonymous', handler: () => ({ jsonBody: Object.keys(process.env) }) });`;
    const { port } = await apps.start({ main, settings: { GIVEN: 'yes' } });
    delete process.env.HOST_TEST_OUTSIDE;
    expect(JSON.parse((await send({ port, path: '/env' })).body).sort()).toEqual(['GIVEN', 'HOME', 'PATH']);
  });

  it('trusts the certificates of NODE_EXTRA_CA_CERTS', async () => {
    const target = await apps.start({ main: HTTP });
    const main = `app.http('call', { route: 'call', methods: ['GET'], authLevel: 'anonymous', handler: async () => {
      const reply = await fetch('${target.tlsUrl}/echo');
      return { status: reply.status };
    } });`;
    const trusting = await apps.start({ main, settings: { NODE_EXTRA_CA_CERTS: target.caCertificate } });
    expect((await send({ port: trusting.port, path: '/call' })).status).toBe(200);
    const other = await apps.start({ main });
    expect((await send({ port: other.port, path: '/call' })).status).toBe(500);
  });
});

describe('the hooks of an app', () => {
  const apps = createTestApps();
  afterEach(() => apps.stopAll());

  it('run around the app and each invocation, and may change inputs, handler and result', async () => {
    const host = await apps.start({
      main: `
      app.hook.appStart(() => console.log('hook appStart'));
      app.hook.appTerminate(() => console.log('hook appTerminate'));
      app.hook.preInvocation((context) => {
        console.log('hook pre', context.invocationContext.functionName);
        context.hookData.seen = 'by both';
        const { functionHandler } = context;
        context.functionHandler = async (...args) => ({ body: (await functionHandler(...args)).body + ', wrapped' });
      });
      app.hook.postInvocation((context) => {
        console.log('hook post', context.hookData.seen);
        context.result.status = 202;
      });
      app.hook.log((context) => { context.message = context.message.replace('secret', '***'); });
      app.http('x', { route: 'x', methods: ['GET'], authLevel: 'anonymous', handler: (_, context) => {
        context.log('a secret');
        return { body: 'made' };
      } });`,
    });
    expect(await send({ port: host.port, path: '/x' })).toMatchObject({ status: 202, body: 'made, wrapped' });
    await host.stop();
    expect(
      host
        .output()
        .split('\n')
        .map((line) => line.replace(/^\[.*?\] /, '')),
    ).toEqual(['hook appStart', 'hook pre x', '[Information] x: a ***', 'hook post by both', 'hook appTerminate']);
  });
});

describe('firing a timer by hand', () => {
  const apps = createTestApps();
  afterEach(() => apps.stopAll());

  const MAIN = `${HTTP}
  app.timer('nightly', { schedule: '%AT%', handler: (timer, context) => context.log('ran ' + JSON.stringify(timer)) });
  app.timer('failing', { schedule: '0 0 3 1 1 *', handler: () => { throw new Error('it failed'); } });`;
  const fire = (port: number, name: string, body = '{}', headers = ['content-type', 'application/json']) =>
    send({ port, method: 'POST', path: `/admin/functions/${name}`, headers, body });

  it.each(['{}', '{"input":""}'])('answers 202 to the body %s without a key, and runs it', async (body) => {
    const host = await apps.start({ main: MAIN, settings: { AT: '0 0 3 * * *' } });
    expect(await fire(host.port, 'nightly', body)).toMatchObject({ status: 202, body: '' });
    await expect.poll(() => host.output()).toContain('the timer "nightly" run by hand ended');
    await expect
      .poll(() => host.output())
      .toContain('nightly: ran {"schedule":{"adjustForDST":true},"scheduleStatus":{"last":"0001');
  });

  it('answers 202 to a run that fails later, and logs the failure', async () => {
    const host = await apps.start({ main: MAIN, settings: { AT: '0 0 3 * * *' } });
    expect((await fire(host.port, 'failing')).status).toBe(202);
    await expect.poll(() => host.output()).toMatch(/\[Error\] failing: invocation .* failed: Error: it failed/);
  });

  it('answers 404 to an unknown name, an HTTP function, another method and another host name; 400 to no JSON object', async () => {
    const { port } = await apps.start({ main: MAIN, settings: { AT: '0 0 3 * * *' } });
    expect((await fire(port, 'unknown')).status).toBe(404);
    expect((await fire(port, 'echo')).status).toBe(404);
    expect((await send({ port, path: '/admin/functions/nightly' })).status).toBe(404);
    expect((await fire(port, 'nightly', '{}', ['host', 'evil.example'])).status).toBe(404);
    expect((await fire(port, 'nightly', '')).status).toBe(400);
    expect((await fire(port, 'nightly', '[]')).status).toBe(400);
  });
});

describe('ending the development host', () => {
  const apps = createTestApps();
  afterEach(() => apps.stopAll());

  // Neither an open request nor a hook that never ends may hold it up.
  const STUBBORN = `
  app.hook.appTerminate(() => new Promise(() => {}));
  app.http('hang', { route: 'hang', methods: ['GET'], authLevel: 'anonymous', handler: () => { console.log('hanging'); return new Promise(() => {}); } });
  app.timer('busy', { schedule: '* * * * * *', runOnStartup: true, handler: () => new Promise(() => {}) });`;

  it.each(['SIGTERM', 'SIGINT'] as const)(
    'ends with code 0 within 1 s of %s, with a request and a connection open',
    async (signal) => {
      const { promise: exited, resolve: onExit } = Promise.withResolvers<number | null>();
      const host = await apps.start({ main: STUBBORN }, { onExit });
      const open = send({ port: host.port, path: '/hang' }).catch(() => 'cut');
      // A connection whose TLS handshake never comes is none of the HTTP server's: nothing but the end of the process closes it.
      const silent = connect(host.tlsPort, '127.0.0.1').on('error', () => undefined);
      await once(silent, 'connect');
      await expect.poll(() => host.output()).toContain('hanging');
      const from = performance.now();
      process.kill(host.pid, signal);
      expect(await exited).toBe(0);
      expect(performance.now() - from).toBeLessThan(1000);
      expect(await open).toBe('cut');
      expect(isAlive(host.pid)).toBe(false);
      silent.destroy();
    },
  );

  it('tells its parent when it ends by itself, and does not when it was stopped', async () => {
    const codes: (number | null)[] = [];
    const main = `${HTTP} app.http('die', { route: 'die', methods: ['GET'], authLevel: 'anonymous', handler: () => process.exit(7) });`;
    const dying = await apps.start({ main }, { onExit: (code) => codes.push(code) });
    await send({ port: dying.port, path: '/die' }).catch(() => undefined);
    await expect.poll(() => codes).toEqual([7]);
    const stopped = await apps.start({ main }, { onExit: (code) => codes.push(code) });
    await stopped.stop();
    expect(isAlive(stopped.pid)).toBe(false);
    expect(codes).toEqual([7]);
  });

  it('ends when its parent is killed', async ({ onTestFinished }) => {
    const folder = await mkdtemp(join(tmpdir(), 'host-test-'));
    onTestFinished(() => rm(folder, { recursive: true, force: true }));
    const env = { ...process.env, TMPDIR: folder };
    const file = new URL('./fixtures/parent.ts', import.meta.url);
    const parent = fork(file, { env, stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
    const [pid] = await once(parent, 'message');
    expect(isAlive(Number(pid))).toBe(true);
    parent.kill('SIGKILL');
    await expect.poll(() => isAlive(Number(pid)), { timeout: 2000 }).toBe(false);
  });
});
