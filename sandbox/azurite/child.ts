/**
 * The process that Azurite runs in. It ends when its parent ends, for whatever reason (kill -9 included): Azurite by
 * itself would stay behind and keep its port.
 *
 * Arguments: the service (`table`, `blob`, `queue`), then Azurite's own flags.
 * Messages to the parent: `{ listening: port }` once it accepts connections, `{ failed: code }` when it cannot listen.
 */
import { channel } from 'node:diagnostics_channel';
import type { Server } from 'node:net';
import { azuriteEntryPoint, isAzuriteService } from './entry-point.ts';

process.once('disconnect', () => process.exit(0));
if (!process.connected) {
  throw new Error('This file is started by startAzurite, with an IPC channel to its parent: do not run it by hand.');
}

// Azurite announces the port it was asked for, not the one it got: the runtime itself tells when a server listens.
channel('tracing:net.server.listen:asyncEnd').subscribe((message) => {
  const address = serverOf(message)?.address();
  if (typeof address === 'object' && address !== null) process.send?.({ listening: address.port });
});
channel('tracing:net.server.listen:error').subscribe((message) => {
  process.send?.({ failed: errorCodeOf(message) });
});

const [node, , service, ...flags] = process.argv;
if (node === undefined || service === undefined || !isAzuriteService(service)) {
  throw new Error('The first argument must be one of Azurite’s services: table, blob or queue.');
}
const entryPoint = azuriteEntryPoint(service);
// Azurite reads its flags from the command line.
process.argv = [node, entryPoint, ...flags];
await import(entryPoint);

function serverOf(message: unknown): Server | undefined {
  if (typeof message !== 'object' || message === null || !('server' in message)) return undefined;
  return isServer(message.server) ? message.server : undefined;
}

function isServer(value: unknown): value is Server {
  return typeof value === 'object' && value !== null && 'address' in value && typeof value.address === 'function';
}

function errorCodeOf(message: unknown): string {
  if (typeof message !== 'object' || message === null || !('error' in message)) return 'UNKNOWN';
  const { error } = message;
  if (typeof error !== 'object' || error === null || !('code' in error)) return 'UNKNOWN';
  return typeof error.code === 'string' ? error.code : 'UNKNOWN';
}
