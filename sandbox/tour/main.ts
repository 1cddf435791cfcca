import { join } from 'node:path';
import { ENDPOINTS_FILE, FOLDER } from '../start/files.ts';
import { runTour } from './run-tour.ts';
import { STEPS } from './steps.ts';
import { openTour } from './tour.ts';

/** `npm run tour`: walks the broker's job against a running `npm start`. The exit code is 0 when every step saw what it should. */
const print = (line: string) => process.stdout.write(`${line}\n`);
try {
  const passed = await runTour(STEPS, openTour(join(FOLDER, ENDPOINTS_FILE)), print);
  process.exit(passed ? 0 : 1);
} catch (error) {
  print(error instanceof Error ? error.message : String(error));
  process.exit(1);
}
