import { UpstreamError } from '../errors.ts';
import { readRetryAfter, toUpstreamError } from './transport.ts';

/** Follows one long-running operation of Azure ML for a while: it may take minutes, and it may never end. */

export interface RegenerationWait {
  /** In all, from the first answer on. */
  waitSeconds: number;
  /** Between two polls, where Azure names no Retry-After. */
  pollSeconds: number;
  sleep: (seconds: number) => Promise<void>;
}

const usual: RegenerationWait = {
  waitSeconds: 20,
  pollSeconds: 2,
  sleep: (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000)),
};

/** The part of the SDK's poller (@azure/core-lro) that is used. */
interface Poller {
  isDone(): boolean;
  poll(): Promise<void>;
}

interface SeenResponse {
  status: number;
  headers: { get(name: string): string | undefined };
}

/**
 * Begins an operation and polls it, at most for the time given.
 *
 * @returns as MachineLearning.regenerateKey
 * @throws UpstreamError where Azure ML refuses, does not answer, or the operation fails (`OperationFailed`)
 */
export async function followRegeneration(
  service: string,
  begin: (options: { onResponse: (response: SeenResponse) => void }) => Promise<Poller>,
  { waitSeconds, pollSeconds, sleep }: RegenerationWait = usual,
): Promise<'ended' | 'running' | 'busy'> {
  /** Azure ML has taken the operation: what fails from here on is a poll, or the operation itself. */
  let accepted = false;
  let retryAfterSeconds: number | undefined;
  const onResponse = ({ status, headers }: SeenResponse) => {
    accepted ||= status < 300;
    retryAfterSeconds = readRetryAfter(headers.get('retry-after'));
  };
  try {
    const poller = await begin({ onResponse });
    for (let left = waitSeconds; !poller.isDone(); ) {
      const pauseSeconds = Math.max(retryAfterSeconds ?? pollSeconds, 0.1);
      left -= pauseSeconds;
      if (left < 0) return 'running';
      await sleep(pauseSeconds);
      await poller.poll();
    }
    return 'ended';
  } catch (thrown) {
    return outcomeOf(toUpstreamError(service, thrown), accepted, service);
  }
}

function outcomeOf(error: unknown, accepted: boolean, service: string): 'running' | 'busy' {
  if (error instanceof UpstreamError) {
    // A poll that is refused (its address may need a right that the calls do not) says nothing: the key's value tells.
    if (accepted) return 'running';
    if (error.kind === 'conflict') return 'busy';
    throw error;
  }
  // The SDK's own error for an operation that failed has no name, and upstream's text as its message.
  if (!accepted) throw error;
  throw new UpstreamError({ service, kind: 'unexpected', upstreamCode: 'OperationFailed', cause: error });
}
