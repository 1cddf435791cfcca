import { type Clock, secondsBetween } from './clock.ts';
import { UpstreamError, type UpstreamKind } from './errors.ts';

/** Parts of the broker whose state readiness tells. Names only: nothing here helps an attacker. */
export const parts = [
  'policy',
  'callerKeys',
  'auditStore',
  'tokenStore',
  'tokenCacheKey',
  'keyVault',
  'identities',
  'machineLearning',
] as const;
export type Part = (typeof parts)[number];

/** `degraded`: something failed, and what is in hand still serves; `down`: it does not serve. */
export type State = 'ok' | 'degraded' | 'down';

/** Without any of these nothing can be issued. */
const needed: readonly Part[] = ['callerKeys', 'auditStore'];

export interface Readiness {
  /** False: nothing can be issued. */
  ready: boolean;
  parts: Record<Part, 'ok' | 'degraded'>;
}

/** Told by whoever uses a part, after each use; `member` tells several stores, tenants or identities apart. */
export type Report = (part: Part, state: State, member?: string) => void;

export interface Health {
  report: Report;
  /** The last known state of every part. The first call waits for the first trial of each. */
  readiness(): Promise<Readiness>;
  /** Forgets the members of a part, of which some may be gone, and tries it again; until then it reads as it did. */
  renew(part: Part): void;
}

/** One for each part, which tries it once. */
export type Probes = Readonly<Record<Part, () => Promise<unknown>>>;

export interface HealthOptions {
  /** Tries a part once. Whoever is used reports; a probe that throws counts as a failure of the part. */
  probes: Probes;
  clock: Clock;
}

/** A failing part that nobody uses is tried again at most this often, when readiness is asked. */
const TRY_AGAIN_SECONDS = 10;

/** Failures that say nothing against the part: it works, and this is its answer about one thing or one user. */
const answers: readonly UpstreamKind[] = ['not_found', 'conflict', 'step_up_required', 'user_refused'];

/** Reports how each use of a part ended. */
export function watch(report: Report, part: Part, member?: string) {
  return async <T>(use: () => Promise<T>): Promise<T> => {
    try {
      const result = await use();
      report(part, 'ok', member);
      return result;
    } catch (error) {
      const answered = error instanceof UpstreamError && answers.includes(error.kind);
      report(part, answered ? 'ok' : 'down', member);
      throw error;
    }
  };
}

/** Stands in until a member has reported. */
const UNTRIED = '';

/** Every dependency is tried once at start; after that, its use tells how it is. */
export function createHealth({ probes, clock }: HealthOptions): Health {
  const states = new Map<Part, Map<string, State>>(parts.map((part) => [part, new Map()]));
  const triedAt = new Map<Part, Date>();
  let firstTrial: Promise<unknown> | undefined;

  const membersOf = (part: Part): State[] => [...(states.get(part)?.values() ?? [])];
  const report: Report = (part, state, member = part) => {
    states.get(part)?.delete(UNTRIED);
    states.get(part)?.set(member, state);
  };

  const attempt = async (part: Part): Promise<void> => {
    triedAt.set(part, clock());
    const state = await probes[part]().then(
      () => 'ok' as const,
      () => 'down' as const,
    );
    // A probe that never got as far as a member still says something.
    const members = states.get(part);
    if (members?.size === 0 || members?.has(UNTRIED)) members.set(UNTRIED, state);
  };

  const tryAgain = (part: Part): void => {
    const tried = triedAt.get(part);
    const due = tried === undefined || secondsBetween(tried, clock()) >= TRY_AGAIN_SECONDS;
    // Not awaited: the answer tells the last known state.
    if (due && membersOf(part).some((state) => state !== 'ok')) void attempt(part);
  };

  return {
    report,
    renew(part) {
      const state = membersOf(part).every((one) => one === 'ok') ? 'ok' : 'degraded';
      states.set(part, new Map([[UNTRIED, state]]));
      // Before the first trial there is nothing to repeat.
      if (firstTrial !== undefined) void attempt(part);
    },
    async readiness() {
      firstTrial ??= Promise.all(parts.map(attempt));
      await firstTrial;
      for (const part of parts) tryAgain(part);
      const told = (part: Part) => (membersOf(part).every((state) => state === 'ok') ? 'ok' : 'degraded');
      return {
        ready: needed.every((part) => membersOf(part).some((state) => state !== 'down')),
        parts: {
          policy: told('policy'),
          callerKeys: told('callerKeys'),
          auditStore: told('auditStore'),
          tokenStore: told('tokenStore'),
          tokenCacheKey: told('tokenCacheKey'),
          keyVault: told('keyVault'),
          identities: told('identities'),
          machineLearning: told('machineLearning'),
        },
      };
    },
  };
}
