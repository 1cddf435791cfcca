import * as z from 'zod';
import { CliError } from './cli-error.ts';

const settingsFile = z.looseObject({
  IsEncrypted: z.boolean().optional(),
  Values: z.record(z.string(), z.string()).default({}),
});

function fromJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/**
 * Reads the `Values` of a Functions settings file (Microsoft Learn, "Code and test Azure Functions locally": local
 * settings file).
 *
 * @param name how the person knows the file
 * @throws CliError exit code 2
 */
export function parseSettingsFile(text: string, name: string): Record<string, string> {
  const { success, data } = settingsFile.safeParse(fromJson(text));
  if (!success) {
    throw new CliError(2, `${name} is no Functions settings file: it must be JSON with texts under Values.`);
  }
  if (data.IsEncrypted === true) {
    throw new CliError(2, `${name} is encrypted: decrypt it with func settings decrypt, or use the environment.`);
  }
  return data.Values;
}
