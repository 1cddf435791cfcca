import * as z from 'zod';
import type { Parsed } from './settings.ts';

/** The environment's override of host.json's `functionTimeout` (Microsoft Learn, "host.json reference": override values). */
export const FUNCTION_TIMEOUT_OVERRIDE = 'AzureFunctionsJobHost__functionTimeout';

/** Without a value the plan decides: at most this. A longer one only keeps orphans a while longer. */
const DEFAULT_SECONDS = 30 * 60;

/** .NET's TimeSpan text: [d.]hh:mm:ss[.fraction]. */
const timeSpan = /^(?:(\d{1,4})\.)?([01]\d|2[0-3]):([0-5]\d):([0-5]\d)(?:\.\d{1,7})?$/;

const hostJson = z.object({ functionTimeout: z.union([z.string(), z.number().transform(String)]).optional() });

/**
 * How long one run of a function may take, in seconds: twice this is the grace of rotation's orphans, so the time must
 * be known and must end.
 *
 * @param text host.json's text
 * @param override the environment's `AzureFunctionsJobHost__functionTimeout`, if set; it wins
 */
export function parseFunctionTimeout(text: string, override: string | undefined): Parsed<number> {
  const overridden = override !== undefined && override !== '';
  const where = overridden ? FUNCTION_TIMEOUT_OVERRIDE : 'functionTimeout in host.json';
  const problem = (what: string): Parsed<number> => ({ ok: false, problems: [`${where}: ${what}`] });
  const value = overridden ? override : fromHostJson(text);
  if (value === null) return { ok: false, problems: ['host.json: cannot be read as JSON with a text functionTimeout'] };
  if (value === undefined) return { ok: true, value: DEFAULT_SECONDS };
  if (value.startsWith('-')) {
    return problem('has no limit: rotation must know when a run has ended; say for example 00:10:00');
  }
  const [, days = '0', hours, minutes, seconds] = timeSpan.exec(value) ?? [];
  const total = ((Number(days) * 24 + Number(hours)) * 60 + Number(minutes)) * 60 + Number(seconds);
  return total > 0 ? { ok: true, value: total } : problem('must be a time such as 00:10:00 (hh:mm:ss)');
}

/** Undefined where host.json does not say it, null where it cannot be read. */
function fromHostJson(text: string): string | undefined | null {
  try {
    return hostJson.parse(JSON.parse(text)).functionTimeout;
  } catch {
    return null;
  }
}
