import { app, type HttpRequest, type Timer } from '@azure/functions';
import { captureCore, writeCaptured } from './captured-core.ts';

/** A small function app that tells what the host and the library said to each other; it answers on `/api/captured`. */
const captured = captureCore();
const seen: Record<string, unknown> = {};

app.http('h', {
  methods: ['GET', 'POST'],
  authLevel: 'function',
  route: 'items/{id:int?}',
  handler: async (request: HttpRequest) => {
    seen.h = {
      url: request.url,
      method: request.method,
      headers: Object.fromEntries(request.headers.entries()),
      query: Object.fromEntries(request.query.entries()),
      params: request.params,
      user: request.user,
      bodyText: await request.text(),
    };
    const cookies = [{ name: 'c', value: 'v', maxAge: 3 }];
    return { status: 201, jsonBody: { ok: 1 }, headers: { 'x-a': 'b' }, cookies };
  },
});

const schedule = '0 */5 * * * *';
app.timer('t', { schedule, runOnStartup: false, useMonitor: true, handler: (timer: Timer) => see('t', timer) });
app.timer('unmonitored', { schedule, useMonitor: false, handler: (timer: Timer) => see('unmonitored', timer) });
app.eventGrid('eg', { handler: (event) => see('eg', event) });

app.http('captured', {
  methods: ['GET'],
  authLevel: 'anonymous',
  handler: () => ({ body: writeCaptured({ ...captured, seen }), headers: { 'content-type': 'application/json' } }),
});

function see(name: string, value: unknown): void {
  seen[name] = value;
}
