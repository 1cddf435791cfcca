import { lookup } from 'node:dns/promises';
import http from 'node:http';
import https from 'node:https';
import type { AddressInfo, Socket } from 'node:net';

export interface ListenOptions {
  /** Shown in the message about a busy port. */
  name: string;
  /** 0: a free port. */
  port: number;
  /** PEM texts; absent: plain HTTP. */
  tls?: { cert: string; key: string } | undefined;
  /** `connection` is the number of the TCP connection, counted from 0 in the order of arrival. */
  onRequest(request: http.IncomingMessage, response: http.ServerResponse, connection: number): void;
}

export interface Listener {
  port: number;
  /** Closes all connections at once, idle or not. */
  stop(): Promise<void>;
}

/** Bearer tokens with many groups are long; 16 KiB, Node's default, would refuse some of them. */
const MAX_HEADER_BYTES = 64 * 1024;
/** Longer than what pooled clients keep, so that no client meets a connection that is just being closed. */
const KEEP_ALIVE_MS = 75_000;
const FREE_PORT_ATTEMPTS = 5;
const IPV6_LOOPBACK = '::1';

/**
 * Serves HTTP or HTTPS on loopback only: on 127.0.0.1, and on ::1 where `localhost` resolves to it.
 *
 * @throws Error that names the port and the setting SANDBOX_PORT when the port is busy.
 */
export async function listen(options: ListenOptions): Promise<Listener> {
  const addresses = await loopbackAddresses();
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await listenOnAll(options, addresses);
    } catch (error) {
      if (!hasCode(error, 'EADDRINUSE')) throw error;
      // A port that is free on 127.0.0.1 can be taken on ::1: look for another one.
      if (options.port === 0 && attempt < FREE_PORT_ATTEMPTS) continue;
      throw new Error(
        `Port ${options.port} for ${options.name} is in use. Stop the program that holds it, or set SANDBOX_PORT to the first of eleven free ports.`,
        { cause: error },
      );
    }
  }
}

async function listenOnAll(options: ListenOptions, addresses: readonly string[]): Promise<Listener> {
  const connections = new WeakMap<Socket, number>();
  let connectionCount = 0;
  const onConnection = (socket: Socket) => {
    connections.set(socket, connectionCount);
    connectionCount += 1;
  };
  const servers: http.Server[] = [];
  const stop = async () => {
    await Promise.all(servers.map(close));
  };
  let port = options.port;
  try {
    for (const address of addresses) {
      const server = createServer(options, (socket) => connections.get(socket) ?? 0);
      server.on(options.tls ? 'secureConnection' : 'connection', onConnection);
      try {
        port = await bind(server, port, address);
      } catch (error) {
        if (address === IPV6_LOOPBACK && hasCode(error, 'EADDRNOTAVAIL', 'EAFNOSUPPORT')) continue;
        throw error;
      }
      servers.push(server);
    }
  } catch (error) {
    await stop();
    throw error;
  }
  return { port, stop };
}

function createServer(options: ListenOptions, connectionOf: (socket: Socket) => number): http.Server {
  const onRequest = (request: http.IncomingMessage, response: http.ServerResponse) => {
    options.onRequest(request, response, connectionOf(request.socket));
  };
  const settings = { maxHeaderSize: MAX_HEADER_BYTES, keepAliveTimeout: KEEP_ALIVE_MS };
  if (!options.tls) return http.createServer(settings, onRequest);
  return https.createServer({ ...settings, ...options.tls }, onRequest);
}

function bind(server: http.Server, port: number, host: string): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ port, host }, () => {
      server.off('error', reject);
      const address: AddressInfo | string | null = server.address();
      resolve(address !== null && typeof address === 'object' ? address.port : port);
    });
  });
}

function close(server: http.Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}

async function loopbackAddresses(): Promise<string[]> {
  const found = await lookup('localhost', { all: true });
  // /etc/hosts often names ::1 where IPv6 is switched off; `listenOnAll` then goes on without it.
  return found.some(({ address }) => address === IPV6_LOOPBACK) ? ['127.0.0.1', IPV6_LOOPBACK] : ['127.0.0.1'];
}

function hasCode(error: unknown, ...codes: string[]): boolean {
  return error instanceof Error && 'code' in error && codes.some((code) => code === error.code);
}
