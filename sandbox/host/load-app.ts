import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import * as z from 'zod';
import type { CoreModule, Registration } from './core-module.ts';
import { StartError } from './start-error.ts';

export interface HttpFunction extends Registration {
  kind: 'http';
  bindingName: string;
  /** Route template without prefix. */
  route: string;
  methods: string[];
}

export interface TimerFunction extends Registration {
  kind: 'timer';
  bindingName: string;
  /** NCRONTAB expression, `%SETTING%` replaced. */
  schedule: string;
  runOnStartup: boolean;
  useMonitor: boolean;
}

export type AppFunction = HttpFunction | TimerFunction;

const packageJson = z.object({ main: z.string() });

const binding = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('httpTrigger'),
    authLevel: z.string().default('function'),
    methods: z.array(z.string()).min(1),
    route: z.string().optional(),
  }),
  z.object({
    type: z.literal('timerTrigger'),
    schedule: z.string(),
    runOnStartup: z.boolean().default(false),
    useMonitor: z.boolean().default(true),
  }),
  z.object({ type: z.literal('http') }),
]);

/**
 * Imports the app that the `main` of the app folder's package.json names and returns its functions. The core module must be installed before.
 * Throws a `StartError` when the app does not load, registers nothing, or asks for something that this host does not do: better no start than
 * a function that behaves otherwise than in Azure.
 */
export async function loadApp(
  appFolder: string,
  core: CoreModule,
  settings: Readonly<Record<string, string | undefined>>,
): Promise<AppFunction[]> {
  const file = join(appFolder, readMain(appFolder));
  if (!existsSync(file))
    throw new StartError(`The app's main file ${file} does not exist. Build it first: npm run build.`);
  try {
    await import(pathToFileURL(file).href);
  } catch (error) {
    throw new StartError(`The app ${file} could not be loaded: ${describeLoadError(error)}`);
  }
  core.close();
  const model = core.model();
  if (core.registrations.length === 0 || !model) {
    throw new StartError(
      `The app ${file} loaded, but the app registered no functions. Does it import @azure/functions first?`,
    );
  }
  const capabilities = await model.getCapabilities({});
  if (capabilities.HttpUri)
    throw new StartError('The app turned enableHttpStream on. This host does not stream: leave it off.');
  return core.registrations.map((registration) => toFunction(registration, settings));
}

function readMain(appFolder: string): string {
  const file = join(appFolder, 'package.json');
  if (!existsSync(file)) throw new StartError(`The app folder has no package.json: ${file} does not exist.`);
  const parsed = packageJson.safeParse(JSON.parse(readFileSync(file, 'utf8')));
  if (!parsed.success) throw new StartError(`${file} has no "main" that names the app's file.`);
  return parsed.data.main;
}

function toFunction(registration: Registration, settings: Readonly<Record<string, string | undefined>>): AppFunction {
  const { name, bindings, retryOptions } = registration.metadata;
  if (retryOptions)
    throw new StartError(`The function "${name}" has a retry policy, which this host does not run. Remove "retry".`);
  const entries = Object.entries(bindings).map(([bindingName, value]) => {
    const parsed = binding.safeParse(value);
    if (!parsed.success)
      throw new StartError(
        `The binding "${bindingName}" of the function "${name}" is not one that this host runs: only HTTP and timer triggers are.`,
      );
    return { bindingName, ...parsed.data };
  });
  for (const entry of entries) {
    if (entry.type === 'httpTrigger') {
      if (entry.authLevel !== 'anonymous') {
        throw new StartError(
          `The function "${name}" has the authLevel "${entry.authLevel}", but this host has no keys and would run it open. Set authLevel to "anonymous" and let the function verify its caller.`,
        );
      }
      const methods = entry.methods.map((method) => method.toUpperCase());
      return { ...registration, kind: 'http', bindingName: entry.bindingName, route: entry.route ?? name, methods };
    }
    if (entry.type === 'timerTrigger') {
      return { ...registration, ...entry, kind: 'timer', schedule: resolveSettings(name, entry.schedule, settings) };
    }
  }
  throw new StartError(`The function "${name}" has no trigger.`);
}

/** Replaces each `%NAME%` by the app setting of that name. */
function resolveSettings(name: string, text: string, settings: Readonly<Record<string, string | undefined>>): string {
  return text.replace(/%([^%]+)%/g, (_, setting: string) => {
    const value = settings[setting];
    if (!value)
      throw new StartError(
        `The schedule "${text}" of the function "${name}" needs the app setting ${setting}, which is not set.`,
      );
    return value;
  });
}

function describeLoadError(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
