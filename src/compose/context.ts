import type { Clock } from '../clock.ts';
import type { Settings } from '../config/settings.ts';
import type { Report } from '../health.ts';
import type { Log } from '../log.ts';

/** The Azure SDKs are heavy: src/main.ts loads them, in files of their own, while the host indexes the functions. */
export type Adapters = typeof import('../azure/index.ts');

/** What every part of the composition works with, for the life of the process. */
export interface Context {
  azure: Adapters;
  settings: Settings;
  /** How long the host lets one run of a timer take. */
  functionTimeoutSeconds: number;
  clock: Clock;
  log: Log;
  report: Report;
}
