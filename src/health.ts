import { type Clock, secondsBetween } from './clock.ts';

/** Parts of the broker whose state readiness tells. Names only: nothing here helps an attacker. */
export const parts = ['callerKeys', 'auditStore', 'tokenStore', 'tokenCacheKey', 'identities'] as const;
export type Part = (typeof parts)[number];

/** Without any of these nothing can be issued. */
const needed: readonly Part[] = ['callerKeys', 'auditStore'];

export interface Readiness {
  /** False: nothing can be issued. */
  ready: boolean;
  parts: Record<Part, 'ok' | 'degraded'>;
}

/** Told by whoever uses a part, after each use; `member` tells several stores, tenants or identities apart. */
export type Report = (part: Part, ok: boolean, member?: string) => void;

export interface Health {
  report: Report;
  /** The last known state of every part. The first call waits for the first trial of each. */
  readiness(): Promise<Readiness>;
}

export interface HealthOptions {
  /** Tries a part once. Whoever is used reports; a probe that throws counts as a failure of the part. */
  probes: Readonly<Record<Part, () => Promise<unknown>>>;
  clock: Clock;
}

/** A failing part that nobody uses is tried again at most this often, when readiness is asked. */
const TRY_AGAIN_SECONDS = 10;

/** Stands in until a member has reported. */
const UNTRIED = '';

/** Every dependency is tried once at start; after that, its use tells how it is. */
export function createHealth({ probes, clock }: HealthOptions): Health {
  const states = new Map<Part, Map<string, boolean>>(parts.map((part) => [part, new Map()]));
  const triedAt = new Map<Part, Date>();
  let firstTrial: Promise<unknown> | undefined;

  const membersOf = (part: Part): boolean[] => [...(states.get(part)?.values() ?? [])];
  const report: Report = (part, ok, member = part) => {
    states.get(part)?.delete(UNTRIED);
    states.get(part)?.set(member, ok);
  };

  const attempt = async (part: Part): Promise<void> => {
    triedAt.set(part, clock());
    const ok = await probes[part]().then(
      () => true,
      () => false,
    );
    // A probe that never got as far as a member still says something.
    const members = states.get(part);
    if (members?.size === 0 || members?.has(UNTRIED)) members.set(UNTRIED, ok);
  };

  const tryAgain = (part: Part): void => {
    const tried = triedAt.get(part);
    const due = tried === undefined || secondsBetween(tried, clock()) >= TRY_AGAIN_SECONDS;
    // Not awaited: the answer tells the last known state.
    if (due && membersOf(part).includes(false)) void attempt(part);
  };

  return {
    report,
    async readiness() {
      firstTrial ??= Promise.all(parts.map(attempt));
      await firstTrial;
      for (const part of parts) tryAgain(part);
      const state = (part: Part) => (membersOf(part).every((ok) => ok) ? 'ok' : 'degraded');
      return {
        ready: needed.every((part) => membersOf(part).includes(true)),
        parts: {
          callerKeys: state('callerKeys'),
          auditStore: state('auditStore'),
          tokenStore: state('tokenStore'),
          tokenCacheKey: state('tokenCacheKey'),
          identities: state('identities'),
        },
      };
    },
  };
}
