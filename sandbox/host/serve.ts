import { lookup } from 'node:dns/promises';
import http from 'node:http';
import https from 'node:https';
import { PortBusyError } from './port-busy-error.ts';
import type { RequestHandler } from './request-handler.ts';

/** Azure's front end takes 32 KiB of headers; Node alone would refuse more than 16. */
const MAX_HEADER_BYTES = 32 * 1024;
const FREE_PORT_ATTEMPTS = 5;

export interface ServeOptions {
  /** 0 takes a free port. */
  port: number;
  tlsPort: number;
  /** PEM texts. */
  tls: { cert: string; key: string };
  handler: (scheme: 'http' | 'https') => RequestHandler;
}

export interface Servers {
  port: number;
  tlsPort: number;
  /** Takes no more connections, ends idle ones now and the others after `graceMs` at the latest. */
  close(graceMs: number): Promise<void>;
}

/**
 * Serves HTTP and HTTPS on loopback only: 127.0.0.1, and ::1 where `localhost` means that too, so that nobody else answers there.
 * Rejects with `PortBusyError` when a port is taken; then nothing is served.
 */
export async function serve({ port, tlsPort, tls, handler }: ServeOptions): Promise<Servers> {
  const servers: http.Server[] = [];
  const addresses = await loopbackAddresses();
  const createPlain = () => http.createServer({ maxHeaderSize: MAX_HEADER_BYTES }, handler('http'));
  const createSecure = () => https.createServer({ ...tls, maxHeaderSize: MAX_HEADER_BYTES }, handler('https'));
  const close = async (graceMs: number) => {
    await Promise.all(servers.map((server) => closeServer(server, graceMs)));
  };
  try {
    return {
      port: await listenOnAll(createPlain, addresses, port, servers),
      tlsPort: await listenOnAll(createSecure, addresses, tlsPort, servers),
      close,
    };
  } catch (error) {
    await close(0);
    throw error;
  }
}

/** Adds the servers that listen to `servers` and returns their one port. */
async function listenOnAll(
  create: () => http.Server,
  addresses: readonly string[],
  wantedPort: number,
  servers: http.Server[],
): Promise<number> {
  for (let attempt = 1; ; attempt++) {
    const listening: http.Server[] = [];
    let port = wantedPort;
    try {
      for (const address of addresses) {
        const server = create();
        port = await listen(server, port, address);
        listening.push(server);
      }
      servers.push(...listening);
      return port;
    } catch (error) {
      await Promise.all(listening.map((server) => closeServer(server, 0)));
      // A free port of one address can be taken on the other: look for another one.
      if (wantedPort !== 0 || attempt === FREE_PORT_ATTEMPTS) throw error;
    }
  }
}

function listen(server: http.Server, port: number, address: string): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      reject(error.code === 'EADDRINUSE' ? new PortBusyError(port) : error);
    });
    server.listen(port, address, () => {
      const bound = server.address();
      resolve(typeof bound === 'object' && bound ? bound.port : port);
    });
  });
}

function closeServer(server: http.Server, graceMs: number): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeIdleConnections();
    setTimeout(() => server.closeAllConnections(), graceMs).unref();
  });
}

async function loopbackAddresses(): Promise<string[]> {
  const found = await lookup('localhost', { all: true });
  return found.some(({ address }) => address === '::1') ? ['127.0.0.1', '::1'] : ['127.0.0.1'];
}
