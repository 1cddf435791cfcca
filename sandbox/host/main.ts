import { type StartedMessage, startMessage } from './messages.ts';
import { PortBusyError } from './port-busy-error.ts';
import { runHost } from './run-host.ts';
import { StartError } from './start-error.ts';

/** The host process: takes one start message from its parent, answers it once, and ends with it. Its environment is the app's settings. */

const STOP_MS = 700;

let stop: (() => Promise<void>) | undefined;
let ending = false;

const end = (): void => {
  if (ending) return;
  ending = true;
  // Whatever is still open, a connection without a TLS handshake for example, the process ends within a second.
  setTimeout(() => process.exit(0), STOP_MS);
  (stop?.() ?? Promise.resolve()).catch(reportStopError).finally(() => process.exit(0));
};

const reportStopError = (error: unknown): void => {
  process.stdout.write(`The host did not stop cleanly: ${error}\n`);
};

const answer = (message: StartedMessage): void => {
  process.send?.(message);
};

const fail = (error: unknown): void => {
  if (error instanceof PortBusyError) answer({ type: 'portBusy', port: error.port });
  else answer({ type: 'failed', message: error instanceof StartError ? error.message : describe(error) });
  process.exitCode = 1;
  process.disconnect();
};

const describe = (error: unknown): string => (error instanceof Error ? (error.stack ?? error.message) : String(error));

process.once('message', (message) => {
  const write = (line: string) => process.stdout.write(`${line}\n`);
  runHost({ ...startMessage.parse(message), settings: process.env, clock: () => new Date(), write })
    .then((host) => {
      stop = () => host.stop();
      answer({ type: 'listening', port: host.port, tlsPort: host.tlsPort });
    })
    .catch(fail);
});
process.on('SIGTERM', end);
process.on('SIGINT', end);
process.on('disconnect', () => {
  if (process.exitCode === 1) process.exit(1);
  end();
});
