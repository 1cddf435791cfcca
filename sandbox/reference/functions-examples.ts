import { fileURLToPath } from 'node:url';
import * as z from 'zod';
import { type Host, startHost } from '../host/start-host.ts';
import { type Allowance, type CompareRules, isList, type Json, plainRules } from './compare.ts';
import type { Comparison, ExampleHandler } from './example.ts';
import type { World } from './world.ts';

const capturedSchema = z.object({
  registrations: z.array(z.looseObject({ name: z.string() })),
  invocations: z.array(
    z.object({ name: z.string(), inputData: z.array(z.object({ data: z.json() })), response: z.json().optional() }),
  ),
  seen: z.record(z.string(), z.json()),
});
type Captured = z.infer<typeof capturedSchema>;

/** Runs the small function app beside this file under the development host. */
async function withHost<T>(world: World, use: (host: Host) => Promise<T>): Promise<T> {
  const host = await startHost({
    appFolder: fileURLToPath(new URL('functions-app', import.meta.url)),
    settings: {},
    port: 0,
    tlsPort: 0,
    tls: world.tls,
  });
  try {
    return await use(host);
  } finally {
    await host.stop();
  }
}

async function capturedBy(host: Host, world: World): Promise<Captured> {
  const answer = await world.call({ method: 'GET', url: `${host.url}/api/captured` });
  return capturedSchema.parse(answer.body);
}

function rulesFor(host: Host, allow: readonly Allowance[] = []): CompareRules {
  const names = [{ label: 'host', example: 'http://localhost:7071', ours: host.url }];
  // What stands in angle brackets here is a text of bytes, no placeholder.
  return { ...plainRules, placeholders: [], names, allow };
}

const roundTripParts = z.object({
  registerFunctionMetadata: z.array(z.json()),
  httpInput: z.json(),
  handlerSaw: z.json(),
  getResponseResult: z.json(),
});

const roundTrip: ExampleHandler = {
  compare: (example, world) =>
    withHost(world, async (host) => {
      const parts = roundTripParts.parse(example);
      const actual = await world.call({
        method: 'POST',
        url: `${host.url}/api/items/5?a=1&a=2&e=`,
        headers: { 'x-one': '1,2', 'x-empty': '' },
        json: { z: 1 },
      });
      const captured = await capturedBy(host, world);
      const invocation = captured.invocations.find(({ name }) => name === 'h');
      const compared = (
        title: string,
        expected: Json,
        ours: unknown,
        allow: readonly Allowance[] = [],
      ): Comparison => ({
        title,
        expected: { body: expected },
        actual: { body: z.json().parse(ours ?? null) },
        rules: rulesFor(host, allow),
      });
      return [
        compared('registration', parts.registerFunctionMetadata, ofExample(captured)),
        compared('HTTP input', parts.httpInput, withTestHeaders(invocation?.inputData[0]?.data), [
          { ...withoutValue, path: 'body.http.nullableHeaders.x-null' },
        ]),
        compared('handler saw', parts.handlerSaw, withTestHeaders(captured.seen.h), [
          { ...withoutValue, path: 'body.headers.x-null' },
        ]),
        compared('response', parts.getResponseResult, invocation?.response, [
          { path: 'body.invocationId', kind: 'form', reason: 'the example counts its invocations; a host makes ids' },
        ]),
        {
          title: 'HTTP answer',
          expected: { status: 201, headers: { 'content-type': 'application/json', 'x-a': 'b' }, body: { ok: 1 } },
          actual,
          rules: rulesFor(host, [
            { path: 'headers.set-cookie', kind: 'extra', reason: 'the cookie that the example shows in its response' },
          ]),
        },
      ];
    }),
};

const withoutValue = { kind: 'missing', reason: 'a header without a value cannot be sent over HTTP' } as const;

/** Leaves out the headers that every HTTP client adds by itself: the example is about `x-one`, `x-empty` and `x-null`. */
function withTestHeaders(value: Json | undefined): Json {
  if (value !== undefined && isList(value)) return value.map(withTestHeaders);
  if (typeof value !== 'object' || value === null) return value ?? null;
  const entries = Object.entries(value).map(([key, item]): [string, Json] =>
    key === 'headers' || key === 'nullableHeaders' ? [key, onlyTestHeaders(item)] : [key, withTestHeaders(item)],
  );
  return Object.fromEntries(entries);
}

function onlyTestHeaders(headers: Json): Json {
  const sent = Object.entries(z.record(z.string(), z.json()).parse(headers));
  return Object.fromEntries(sent.filter(([name]) => ['x-one', 'x-empty', 'x-null'].includes(name)));
}

/** The app registers two functions of its own; the example has the others. */
function ofExample(captured: Captured): Captured['registrations'] {
  return captured.registrations.filter(({ name }) => ['h', 't', 'eg'].includes(name));
}

const timerParts = z.object({
  asSentByHost: z.object({ json: z.string() }),
  asSeenByHandler: z.json(),
  whenMonitorOff: z.json(),
});
const sentSchema = z.object({ json: z.string() });

const timerData: ExampleHandler = {
  compare: (example, world) =>
    withHost(world, async (host) => {
      const parts = timerParts.parse(example);
      for (const name of ['t', 'unmonitored']) {
        await world.call({ method: 'POST', url: `${host.url}/admin/functions/${name}`, json: { input: '' } });
      }
      const captured = await untilSeen(host, world, ['t', 'unmonitored']);
      const sent = sentSchema.parse(captured.invocations.find(({ name }) => name === 't')?.inputData[0]?.data);
      const parse = (text: string): Json => z.json().parse(JSON.parse(text));
      const compared = (
        title: string,
        expected: Json,
        ours: Json | undefined,
        allow: Allowance[] = [],
      ): Comparison => ({
        title,
        expected: { body: expected },
        actual: { body: ours ?? null },
        rules: rulesFor(host, allow),
      });
      return [
        compared('as sent by the host', parse(parts.asSentByHost.json), parse(withAllDigits(sent.json)), [
          neverRun('body.ScheduleStatus.Last'),
        ]),
        compared(
          'as seen by the handler',
          parts.asSeenByHandler,
          parse(withAllDigits(JSON.stringify(captured.seen.t ?? null))),
          [neverRun('body.scheduleStatus.last')],
        ),
        compared('with the monitor off', parts.whenMonitorOff, captured.seen.unmonitored),
      ];
    }),
};

/** .NET writes up to seven fraction digits and drops zeros at the end: how many there are depends on the moment of the look. */
function withAllDigits(json: string): string {
  const pad = (_found: string, before: string, fraction = ''): string => `${before}.${fraction.padEnd(7, '0')}+00:00`;
  return json.replace(/("LastUpdated":"(?!0001)[^".+]+)(?:\.(\d{1,7}))?\+00:00/i, pad);
}

function neverRun(path: string): Allowance {
  return { path, kind: 'form', reason: 'fired by hand before its first run: .NET writes "never" as the year 1' };
}

/** A timer that is fired by hand runs after the answer 202: look until it has, for five seconds at most. */
async function untilSeen(host: Host, world: World, names: readonly string[]): Promise<Captured> {
  for (let attempt = 0; attempt < 50; attempt += 1) {
    const captured = await capturedBy(host, world);
    if (names.every((name) => captured.seen[name] !== undefined)) return captured;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error('A timer that was fired by hand did not run within five seconds.');
}

/** Azure Functions: the development host under the real library. */
export const functionsExamples: Record<string, ExampleHandler> = {
  'eventgrid-keyvault-secret-event.doc.json': {
    doesNotApply: 'the broker has no Event Grid trigger: it finds new secret versions by reading them',
  },
  'functions-registration-and-http-roundtrip.run.json': roundTrip,
  'functions-timer-trigger-data.json': timerData,
};
