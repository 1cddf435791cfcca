import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createAdmission } from './admission.ts';
import { installCoreModule } from './core-module.ts';
import { type HostJson, parseHostJson } from './host-json.ts';
import { emptyAnswer, type HttpAnswer } from './http-output.ts';
import { createInvoker, type Invoke } from './invoke.ts';
import { type AppFunction, loadApp, type TimerFunction } from './load-app.ts';
import { createLogger, type Logger } from './logger.ts';
import type { StartMessage } from './messages.ts';
import { createRequestHandler } from './request-handler.ts';
import { compileRoutes } from './routes.ts';
import { compileSchedule } from './schedule.ts';
import { serve } from './serve.ts';
import { StartError } from './start-error.ts';
import { createTimer, type Timer } from './timer.ts';
import { newTrace } from './trace.ts';

/** The real host's limit, and the app setting that changes it. */
const BODY_LIMIT_BYTES = 100 * 1024 * 1024;
const BODY_LIMIT_SETTING = 'FUNCTIONS_REQUEST_BODY_SIZE_LIMIT';

/** Together below the second that a stop may take. */
const TERMINATE_HOOKS_MS = 300;
const OPEN_REQUESTS_MS = 200;

export interface RunHostOptions extends StartMessage {
  settings: Readonly<Record<string, string | undefined>>;
  clock: () => Date;
  write: (line: string) => void;
}

export interface RunningHost {
  port: number;
  tlsPort: number;
  /** Stops timers and servers and runs the appTerminate hooks; at most about 0.5 s. */
  stop(): Promise<void>;
}

/** Loads the app into this process, serves its HTTP functions and runs its timers. Throws `StartError` or `PortBusyError`. */
export async function runHost({ appFolder, settings, clock, write, ...ports }: RunHostOptions): Promise<RunningHost> {
  const hostJson = readHostJson(appFolder);
  const logger = createLogger({ levels: hostJson.logLevel, clock, write });
  const core = installCoreModule(logger);
  const functions = await loadApp(appFolder, core, settings);
  const invoke = createInvoker({ core, logger, timeoutMs: hostJson.functionTimeoutMs, newId: randomUUID });
  const timers = createTimers(functions, invoke, clock);
  const match = compileRoutes(
    hostJson.routePrefix,
    functions
      .filter((fn) => fn.kind === 'http')
      .map((fn) => ({ functionName: fn.metadata.name, template: fn.route, methods: fn.methods, target: fn })),
  );
  const shared = {
    match,
    invoke,
    admission: createAdmission({
      maxOutstanding: hostJson.maxOutstandingRequests,
      maxConcurrent: hostJson.maxConcurrentRequests,
    }),
    runByHand: (name: string, body: Uint8Array | undefined) => runByHand(timers, name, body, logger),
    customHeaders: hostJson.customHeaders,
    bodyLimitBytes: readBodyLimit(settings),
    logger,
  };

  const hookData = {};
  for (const hook of core.hooks('appStart')) await hook({ hookData });
  const servers = await serve({ ...ports, handler: (scheme) => createRequestHandler(scheme, shared) });
  for (const { timer } of timers) timer.start();

  return {
    port: servers.port,
    tlsPort: servers.tlsPort,
    async stop() {
      for (const { timer } of timers) timer.stop();
      await servers.close(OPEN_REQUESTS_MS);
      const terminate = async () => {
        for (const hook of core.hooks('appTerminate')) await hook({ hookData });
      };
      await Promise.race([terminate(), new Promise((resolve) => setTimeout(resolve, TERMINATE_HOOKS_MS))]);
    },
  };
}

interface NamedTimer {
  name: string;
  timer: Timer;
  run: (json: string) => Promise<unknown>;
}

function createTimers(functions: readonly AppFunction[], invoke: Invoke, clock: () => Date): NamedTimer[] {
  return functions
    .filter((fn) => fn.kind === 'timer')
    .map((fn) => {
      const run = (json: string) => invoke(fn, { data: { json }, trace: newTrace() });
      const timer = createTimer({ ...fn, schedule: compileTimerSchedule(fn), clock, run });
      return { name: fn.metadata.name, timer, run };
    });
}

function compileTimerSchedule({ metadata, schedule }: TimerFunction) {
  try {
    return compileSchedule(schedule);
  } catch (error) {
    if (error instanceof StartError) throw new StartError(`The timer "${metadata.name}": ${error.message}`);
    throw error;
  }
}

/** Core Tools take `{"input": ...}` and do not ask for a key locally. The answer says only that the run was begun. */
function runByHand(
  timers: readonly NamedTimer[],
  name: string,
  body: Uint8Array | undefined,
  logger: Logger,
): HttpAnswer {
  const found = timers.find((timer) => timer.name.toLowerCase() === name.toLowerCase());
  if (!found) return emptyAnswer(404);
  if (!isJsonObject(Buffer.from(body ?? []).toString())) return emptyAnswer(400);
  logger.host('information', `the timer "${found.name}" is run by hand`);
  const tellEnd = (how: string) => logger.host('information', `the timer "${found.name}" run by hand ${how}`);
  void found.run(found.timer.manualData()).then(
    () => tellEnd('ended'),
    () => tellEnd('failed'),
  );
  return emptyAnswer(202);
}

function isJsonObject(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value);
  } catch {
    return false;
  }
}

function readHostJson(appFolder: string): HostJson {
  const file = join(appFolder, 'host.json');
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch {
    throw new StartError(`The app folder has no host.json: ${file} cannot be read.`);
  }
  return parseHostJson(text);
}

function readBodyLimit(settings: Readonly<Record<string, string | undefined>>): number {
  const text = settings[BODY_LIMIT_SETTING];
  if (!text) return BODY_LIMIT_BYTES;
  if (!/^[1-9]\d{0,11}$/.test(text)) throw new StartError(`${BODY_LIMIT_SETTING} must be a number of bytes.`);
  return Number(text);
}
