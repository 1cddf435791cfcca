import { randomBytes, randomUUID } from 'node:crypto';

/** Where the sandbox takes its ids and secrets from; an argument, so that a test can fix them. */
export interface Random {
  /** A new GUID. */
  id(): string;
  bytes(count: number): Buffer;
}

export const systemRandom: Random = { id: () => randomUUID(), bytes: (count) => randomBytes(count) };
