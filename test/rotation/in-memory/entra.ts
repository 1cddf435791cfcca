import type { Random } from './random.ts';
import type { VirtualTime } from './virtual-time.ts';

/** Entra's sign-in: replicas that learn of a new password, and of a removed one, one after the other. */
export interface Entra {
  /** A password exists from now on. `settled`: every replica knows it already. */
  add(text: string, endsOn: Date, settled?: boolean): void;
  remove(text: string): void;
  /** What one replica answers, as RotationPorts has it. */
  signInAt(replica: number, text: string): 'signed_in' | 'unknown' | 'expired';
  /** One sign-in on a new connection: it reaches any one of the replicas. */
  signIn(text: string): 'signed_in' | 'unknown' | 'expired';
  /** The replicas that refuse this text now. */
  refusing(text: string): number[];
}

interface Known {
  endsOnMs: number;
  /** For each replica: from when it accepts the password, in milliseconds. */
  from: number[];
  /** For each replica: from when it refuses it again; empty while it exists. */
  to: number[];
}

const replicas = [0, 1, 2] as const;

export interface EntraOptions {
  /** Until the last replica has learned of a change; the others learn of it at any moment before. */
  propagationSeconds: number;
}

export function createEntra(
  { clock, at }: Pick<VirtualTime, 'clock' | 'at'>,
  random: Random,
  { propagationSeconds }: EntraOptions,
): Entra {
  const passwords = new Map<string, Known>();

  /** When each replica learns of what happens now. The clock stops at each of these moments. */
  const spread = (): number[] => {
    const slowest = random.below(replicas.length);
    return replicas.map((replica) => {
      const seconds = replica === slowest ? propagationSeconds : random.between(0, propagationSeconds);
      const instant = new Date(clock().getTime() + Math.round(seconds * 1000));
      at(instant, () => {});
      return instant.getTime();
    });
  };

  const signInAt = (replica: number, text: string) => {
    const nowMs = clock().getTime();
    const known = passwords.get(text);
    if (known === undefined || (known.from[replica] ?? Infinity) > nowMs || (known.to[replica] ?? Infinity) <= nowMs) {
      return 'unknown';
    }
    return known.endsOnMs <= nowMs ? 'expired' : 'signed_in';
  };

  return {
    add(text, endsOn, settled = false) {
      const from = settled ? replicas.map(() => clock().getTime()) : spread();
      passwords.set(text, { endsOnMs: endsOn.getTime(), from, to: [] });
    },
    remove(text) {
      const known = passwords.get(text);
      if (known !== undefined && known.to.length === 0) known.to = spread();
    },
    signInAt,
    signIn: (text) => signInAt(random.below(replicas.length), text),
    refusing: (text) => replicas.filter((replica) => signInAt(replica, text) !== 'signed_in'),
  };
}
