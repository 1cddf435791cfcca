import { mkdirSync, openSync, renameSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';

/** The files that a run keeps in its folder. */
export interface RunFiles {
  /** For people and messages, as the user would type it. */
  folder: string;
  writeSettings(values: Record<string, string>): void;
  /** Written whole: who sees the file sees all of it. */
  writeEndpoints(endpoints: Record<string, string>): void;
  removeEndpoints(): void;
  appendBrokerLog(line: string): void;
}

/** Where a run keeps its files, in the project's root. npm runs scripts there. */
export const FOLDER = '.sandbox';
export const ENDPOINTS_FILE = 'endpoints.json';
export const SETTINGS_FILE = 'local.settings.json';
export const BROKER_LOG_FILE = 'broker.log';

/** Opens the folder of a run: makes it when it is missing and removes what an earlier run left of its own. */
export function openRunFiles(folder: string): RunFiles {
  mkdirSync(folder, { recursive: true });
  const endpointsFile = join(folder, ENDPOINTS_FILE);
  const removeEndpoints = () => rmSync(endpointsFile, { force: true });
  removeEndpoints();
  const log = openSync(join(folder, BROKER_LOG_FILE), 'w', 0o600);
  return {
    folder,
    writeSettings(values) {
      writeJson(join(folder, SETTINGS_FILE), { IsEncrypted: false, Values: values });
    },
    writeEndpoints(endpoints) {
      writeJson(endpointsFile, endpoints);
    },
    removeEndpoints,
    appendBrokerLog(line) {
      writeSync(log, `${line}\n`);
    },
  };
}

function writeJson(file: string, value: unknown): void {
  const temporary = `${file}.${process.pid}.tmp`;
  writeFileSync(temporary, `${JSON.stringify(value, null, 2)}\n`, { mode: 0o600 });
  renameSync(temporary, file);
}
