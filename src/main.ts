import { readFile } from 'node:fs/promises';
import path from 'node:path';
import '@azure/functions';
import { createBroker } from './compose/broker.ts';
import { createPolicyFile } from './compose/policy-file.ts';
import { FUNCTION_TIMEOUT_OVERRIDE, parseFunctionTimeout } from './config/function-timeout.ts';
import { parsePolicy } from './config/policy.ts';
import { isBlobUrl } from './config/policy-source.ts';
import { type Parsed, type ParsedSettings, parseSettings } from './config/settings.ts';
import { BrokerError } from './errors.ts';
import { createLog } from './log.ts';
import { type Broker, registerTriggers } from './triggers.ts';

/**
 * Where the app begins: settings and policy → adapters → operations → triggers. What joins them is in src/compose.
 * Nothing here or below throws while it loads: an app that does has no functions and gives no clear error.
 */

const clock = () => new Date();
const log = createLog({ info: console.info, warn: console.warn, error: console.error });

/** The app folder: this file is bundled into `dist` or runs from `src`. */
const appFolder = path.resolve(import.meta.dirname, '..');

/** A broken configuration is told whole in the log; the functions register all the same and answer 503. */
function refuseConfig(problems: readonly string[]): never {
  for (const problem of problems) log.error('config_problem', { problem });
  throw new BrokerError('config_invalid', { reason: `${problems.length} problems, each in a config_problem line` });
}

async function readFunctionTimeout(): Promise<Parsed<number>> {
  const hostJson = await readFile(path.resolve(appFolder, 'host.json'), 'utf8').catch(() => '');
  return parseFunctionTimeout(hostJson, process.env[FUNCTION_TIMEOUT_OVERRIDE]);
}

/** What is wrong with the policy's file, to be told in the same breath; a blob cannot be read without good settings. */
async function problemsOfPolicyFile({ policy: file, ...settings }: ParsedSettings): Promise<string[]> {
  if (isBlobUrl(file)) return [];
  try {
    const read = await createPolicyFile(appFolder, file).read(undefined);
    const parsed = parsePolicy(read === 'unchanged' ? '' : read.text, settings.ok ? settings.value : undefined);
    return parsed.ok ? [] : parsed.problems;
  } catch (error) {
    return error instanceof BrokerError ? [error.reason ?? error.message] : [];
  }
}

async function start(settings: ParsedSettings): Promise<() => Promise<Broker>> {
  const timeout = await readFunctionTimeout();
  if (!settings.ok || !timeout.ok) {
    const problems = [settings, timeout].flatMap((parsed) => (parsed.ok ? [] : parsed.problems));
    return refuseConfig([...problems, ...(await problemsOfPolicyFile(settings))]);
  }
  // The Azure SDKs are heavy: they load, in files of their own, while the host indexes the functions.
  const azure = await import('./azure/index.ts');
  const functionTimeoutSeconds = timeout.value;
  return createBroker({ azure, settings: settings.value, functionTimeoutSeconds, appFolder, clock, log });
}

const settings = parseSettings(process.env);
const started = start(settings);
// Told to every caller; without this line an early failure would end the process instead.
started.catch(() => undefined);

/** A schedule that is set is named, so that the host reads the setting; otherwise the preset holds. */
const scheduleOf = (name: string, set: string | undefined, preset: string) =>
  set === undefined ? preset : `%${name}%`;
const { refreshSchedule, rotateSchedule } = settings.ok ? settings.value : {};

registerTriggers({
  // With broken settings the role is not known: everything registers, and everything answers 503.
  role: settings.ok ? settings.value.role : 'all',
  // Each call looks whether the policy is young enough to decide by.
  broker: async () => (await started)(),
  refreshSchedule: scheduleOf('REFRESH_SCHEDULE', refreshSchedule, '0 * * * * *'),
  rotateSchedule: scheduleOf('ROTATE_SCHEDULE', rotateSchedule, '0 * * * * *'),
});
