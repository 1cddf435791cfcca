import { createServer, type Server } from 'node:net';

export interface WantedPort {
  port: number;
  /** What to tell a person who finds the port taken: which setting to change and how. */
  remedy: string;
}

const RETRY_MS = 100;
const LOOPBACK = '127.0.0.1';

/**
 * Rejects with a message for a person when one of the ports is in use. Looks again for a while first: children of a run that was killed hold
 * theirs for a moment longer.
 */
export async function requireFreePorts(wanted: readonly WantedPort[], patienceMs = 2000): Promise<void> {
  const deadline = performance.now() + patienceMs;
  for (const { port, remedy } of wanted) {
    while (!(await isFree(port))) {
      if (performance.now() > deadline) {
        throw new Error(`Port ${port} is in use. Stop the program that holds it, or ${remedy}.`);
      }
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }
}

/** A port that is free now. The system does not hand it out again soon. */
export async function findFreePort(): Promise<number> {
  const server = createServer();
  await listen(server, 0);
  const address = server.address();
  await close(server);
  if (typeof address !== 'object' || address === null) throw new Error('The system gave no port.');
  return address.port;
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  try {
    await listen(server, port);
    await close(server);
    return true;
  } catch {
    return false;
  }
}

function listen(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, LOOPBACK, () => resolve());
  });
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
  });
}
