import { createHmac } from 'node:crypto';
import type { Random } from '../state/random.ts';
import { locationId } from './resource-ids.ts';

/** One long-running operation. Its work shows all at once, at its end. */
export interface Operation {
  /** `oeidp:{workspaceId}:{guid}`: what stands behind `mfeOperationsStatus/`. */
  name: string;
  /** Lower-case ARM id of what it works on: one operation at a time. */
  resourceId: string;
  kind: 'create' | 'update' | 'delete' | 'regenerateKeys';
  started: Date;
  ends: Date;
}

/** The operations of the pretend resource provider. */
export interface LongRunningOperations {
  /** Seconds that a client should wait between two looks. */
  readonly retryAfterSeconds: number;
  /** Starts an operation; `complete` runs when its time is over, at the first look after that. */
  start(input: { resourceId: string; workspaceId: string; kind: Operation['kind']; complete: () => void }): Operation;
  /** Runs what is due. Call it before the state is looked at. */
  settle(): void;
  isRunning(resourceId: string): boolean;
  find(name: string): Operation | undefined;
  isDone(operation: Operation): boolean;
  /** The query that a polling URL carries besides api-version: long, signed, to be sent back unchanged. */
  signedQuery(operation: Operation): string;
  /** False when a polling URL carries a signature that is not the operation's. */
  acceptsQuery(operation: Operation, query: URLSearchParams): boolean;
}

export interface LongRunningOptions {
  clock: () => Date;
  operationSeconds: number;
  random: Random;
}

/** Seen were polling URLs of several KB, because they carry a certificate. */
const certificateBytes = 1400;

export function createLongRunningOperations(options: LongRunningOptions): LongRunningOperations {
  const { clock, operationSeconds, random } = options;
  const operations = new Map<string, Operation>();
  const open = new Map<Operation, () => void>();
  const signingKey = random.bytes(32);
  const certificate = random.bytes(certificateBytes).toString('base64url');

  const signedParts = ({ name, started }: Operation): Record<string, string> => {
    const t = String(started.getTime());
    const sign = (purpose: string) =>
      createHmac('sha256', signingKey).update(`${purpose} ${name} ${t}`).digest('base64url');
    return { t, c: certificate, s: sign('s'), h: sign('h') };
  };
  return {
    retryAfterSeconds: Math.max(1, Math.ceil(operationSeconds)),
    start({ resourceId, workspaceId, kind, complete }) {
      const started = clock();
      const ends = new Date(started.getTime() + operationSeconds * 1000);
      const name = `oeidp:${workspaceId}:${random.id()}`;
      const operation = { name, resourceId: resourceId.toLowerCase(), kind, started, ends };
      operations.set(name, operation);
      open.set(operation, complete);
      return operation;
    },
    settle() {
      const now = clock();
      for (const [operation, complete] of open) {
        if (operation.ends > now) continue;
        open.delete(operation);
        complete();
      }
    },
    isRunning: (resourceId) => [...open.keys()].some((operation) => operation.resourceId === resourceId.toLowerCase()),
    find: (name) => operations.get(name),
    isDone: (operation) => !open.has(operation),
    signedQuery: (operation) => new URLSearchParams(signedParts(operation)).toString(),
    acceptsQuery(operation, query) {
      // The URL in an endpoint's own properties carries no signature.
      if (!query.has('s')) return true;
      return Object.entries(signedParts(operation)).every(([key, value]) => query.get(key) === value);
    },
  };
}

/** Path under which an operation's status, or its result, is polled. */
export function operationPath(operationName: string, what: 'mfeOperationsStatus' | 'mfeOperationResults'): string {
  return `${locationId}/${what}/${operationName}`;
}
