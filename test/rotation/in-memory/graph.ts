import { addSeconds, type Clock } from '../../../src/clock.ts';
import { UpstreamError } from '../../../src/errors.ts';
import type { Password } from '../../../src/rotation/facts.ts';
import type { Applications } from '../../../src/rotation/ports.ts';
import type { Entra } from './entra.ts';
import type { Random } from './random.ts';

/** Graph's passwords of one application. Reads lag writes by up to `lagSeconds`, each read by another time. */
export interface Graph extends Applications {
  /** What exists at this moment, newest first: no lag. */
  passwords(): readonly Password[];
  /** Somebody makes a password by hand, long enough ago that everybody knows it. */
  seed(password: { displayName: string | undefined; startsOn: Date; endsOn: Date }): { keyId: string; text: string };
  /** Somebody removes a password in the portal. */
  removeByHand(keyId: string): void;
  /** The last read did not show the state of its own moment. */
  lastReadWasStale(): boolean;
}

export interface GraphOptions {
  objectId: string;
  appId: string;
  lagSeconds: number;
  /** Told of each password that the port makes, and of each that really goes. */
  onAdded: (password: Password) => void;
  onRemoved: (password: Password) => void;
}

interface Entry {
  password: Password;
  text: string;
  addedAt: Date;
  removedAt: Date | undefined;
}

export function createGraph(clock: Clock, random: Random, entra: Entra, options: GraphOptions): Graph {
  const entries: Entry[] = [];
  let stale = false;

  const listAt = (instant: Date) =>
    entries
      .filter(({ addedAt, removedAt }) => addedAt <= instant && (removedAt === undefined || removedAt > instant))
      .map(({ password }) => password);

  const make = (password: Omit<Password, 'keyId'>, addedAt: Date, settled: boolean) => {
    const number = entries.length + 1;
    const made = { ...password, keyId: `key-${number}` };
    const text = `text-${number}-${random.below(1e9)}`;
    entries.unshift({ password: made, text, addedAt, removedAt: undefined });
    entra.add(text, password.endsOn, settled);
    return { made, secretText: text };
  };

  const remove = (keyId: string): Password | undefined => {
    const entry = entries.find(({ password, removedAt }) => password.keyId === keyId && removedAt === undefined);
    if (entry === undefined) return undefined;
    entry.removedAt = clock();
    entra.remove(entry.text);
    return entry.password;
  };

  const known = (objectId: string) => {
    if (objectId === options.objectId) return;
    throw new UpstreamError({ kind: 'not_found', service: 'graph', status: 404 });
  };

  return {
    passwords: () => listAt(clock()),
    lastReadWasStale: () => stale,
    seed(password) {
      const { made, secretText } = make(password, password.startsOn, true);
      return { keyId: made.keyId, text: secretText };
    },
    async read(objectId) {
      if (objectId !== options.objectId) return { kind: 'not_found' };
      const passwords = listAt(addSeconds(clock(), -random.between(0, options.lagSeconds)));
      stale =
        passwords.map(({ keyId }) => keyId).join() !==
        listAt(clock())
          .map(({ keyId }) => keyId)
          .join();
      return { kind: 'found', value: { appId: options.appId, passwords } };
    },
    async addPassword(objectId, { displayName, endsOn }) {
      known(objectId);
      const answer = make({ displayName, startsOn: clock(), endsOn }, clock(), false);
      options.onAdded(answer.made);
      return answer;
    },
    async removePassword(objectId, keyId) {
      known(objectId);
      const removed = remove(keyId);
      if (removed !== undefined) options.onRemoved(removed);
    },
    removeByHand: (keyId) => void remove(keyId),
  };
}
