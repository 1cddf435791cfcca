import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { TestSandbox } from '../../../support/sandbox.ts';
import { type RotatorOptions, rotatorMessageSchema } from './messages.ts';

/** A rotator process as its parent sees it. */
export interface RotatorProcess {
  /** The calls that are done, the oldest first. */
  calls: readonly string[];
  /** The call that it was stopped at, once it has come there. */
  stoppedAt(): string | undefined;
  /** Its last whole look. */
  lastLook(): { from: Date; reason: string } | undefined;
  /** Why it ended without being told to. */
  failure(): string | undefined;
  /** SIGKILL, and waits until it is gone. Gives the signal that ended it. */
  kill(): Promise<string | null>;
}

export function startRotator(sandbox: TestSandbox, options: RotatorOptions): RotatorProcess {
  const { IDENTITY_ENDPOINT, IDENTITY_HEADER, NODE_EXTRA_CA_CERTS } = sandbox.brokerSettings();
  const child = fork(join(import.meta.dirname, 'rotator-process.ts'), [JSON.stringify(options)], {
    env: { PATH: process.env.PATH, IDENTITY_ENDPOINT, IDENTITY_HEADER, NODE_EXTRA_CA_CERTS },
    execArgv: [],
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  });
  const calls: string[] = [];
  const words: string[] = [];
  let stoppedAt: string | undefined;
  let lastLook: { from: Date; reason: string } | undefined;
  let failure: string | undefined;
  let killing = false;
  child.stderr?.on('data', (chunk: Buffer) => words.push(String(chunk)));
  child.on('message', (message) => {
    const told = rotatorMessageSchema.parse(message);
    if ('called' in told) calls.push(told.called);
    else if ('stopped' in told) {
      calls.push(told.stopped);
      stoppedAt = told.stopped;
    } else lastLook = told;
  });
  child.once('exit', (code, signal) => {
    if (!killing) failure = `the rotator process ended by itself (${code ?? signal}): ${words.join('').slice(0, 1000)}`;
  });
  return {
    calls,
    stoppedAt: () => stoppedAt,
    lastLook: () => lastLook,
    failure: () => failure,
    async kill() {
      killing = true;
      return kill(child);
    },
  };
}

async function kill(child: ChildProcess): Promise<string | null> {
  if (child.exitCode === null && child.signalCode === null) {
    const gone = once(child, 'exit');
    child.kill('SIGKILL');
    await gone;
  }
  return child.signalCode;
}
