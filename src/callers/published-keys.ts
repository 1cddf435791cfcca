import { createLocalJWKSet, type JSONWebKeySet } from 'jose';
import { type Clock, secondsBetween } from '../clock.ts';
import type { Log } from '../log.ts';

/** Fetches the keys that a tenant publishes now. Implemented beside the other Azure calls. */
export type FetchKeys = (tenantId: string) => Promise<JSONWebKeySet>;

type KeySet = ReturnType<typeof createLocalJWKSet>;

export interface PublishedKeys {
  /** Picks keys for jose; the same object as long as the published set has not changed. */
  keySet: KeySet;
  /** The `kid`s that may sign now. */
  keyIds: ReadonlySet<string>;
}

interface Held {
  keys: PublishedKeys;
  /** The set as text: an unchanged one keeps its object, so that remembered tokens need no second look. */
  text: string;
  fetchedAt: Date;
}

interface Tenant {
  held: Held | undefined;
  /** Set while a fetch is under way, so that callers share it. */
  fetching: Promise<Held> | undefined;
  lastTriedAt: Date | undefined;
  lastError: unknown;
}

/** Published keys are asked for again after this long … */
const FRESH_SECONDS = 3600;
/** … and kept for this long while the issuer cannot be reached. */
const KEPT_SECONDS = 24 * 3600;
/** An unknown `kid`, or a failed fetch, leads to another fetch at most this often: strangers cannot make us hammer Entra. */
const COOL_DOWN_SECONDS = 30;
/** The same while nothing is held: sooner, because nobody can be served until then. */
const EMPTY_COOL_DOWN_SECONDS = 5;

export interface PublishedKeysOptions {
  fetchKeys: FetchKeys;
  clock: Clock;
  log: Log;
  /** Told after every fetch, for the readiness answer: `degraded` while an older set still serves. */
  report: (state: 'ok' | 'degraded' | 'down', tenantId: string) => void;
}

export type KeyRing = (tenantId: string, keyId: string) => Promise<PublishedKeys>;

/**
 * Holds what each tenant publishes. The result may lack the `kid` asked for: then no published key has it.
 *
 * @throws whatever `fetchKeys` throws, when no set that is young enough is held.
 */
export function createKeyRing({ fetchKeys, clock, log, report }: PublishedKeysOptions): KeyRing {
  const tenants = new Map<string, Tenant>();

  const usable = ({ held }: Tenant): Held | undefined =>
    held !== undefined && secondsBetween(held.fetchedAt, clock()) < KEPT_SECONDS ? held : undefined;

  const fetchOnce = (tenantId: string, tenant: Tenant): Promise<Held> => {
    tenant.fetching ??= (async () => {
      tenant.lastTriedAt = clock();
      try {
        tenant.held = toHeld(await fetchKeys(tenantId), tenant.held, clock());
        tenant.lastError = undefined;
        report('ok', tenantId);
        return tenant.held;
      } catch (error) {
        tenant.lastError = error;
        report(usable(tenant) === undefined ? 'down' : 'degraded', tenantId);
        throw error;
      } finally {
        tenant.fetching = undefined;
      }
    })();
    return tenant.fetching;
  };

  const coolingDown = ({ lastTriedAt, fetching, lastError }: Tenant, held: Held | undefined): boolean => {
    if (fetching !== undefined || lastTriedAt === undefined) return false;
    if (held === undefined && lastError === undefined) return false;
    const seconds = held === undefined ? EMPTY_COOL_DOWN_SECONDS : COOL_DOWN_SECONDS;
    return secondsBetween(lastTriedAt, clock()) < seconds;
  };

  return async (tenantId, keyId) => {
    const tenant = tenants.get(tenantId) ?? {
      held: undefined,
      fetching: undefined,
      lastTriedAt: undefined,
      lastError: undefined,
    };
    tenants.set(tenantId, tenant);
    const held = usable(tenant);
    const age = held === undefined ? Number.POSITIVE_INFINITY : secondsBetween(held.fetchedAt, clock());
    if (held !== undefined && age < FRESH_SECONDS && held.keys.keyIds.has(keyId)) return held.keys;
    if (coolingDown(tenant, held)) {
      if (held === undefined) throw tenant.lastError;
      return held.keys;
    }
    try {
      return (await fetchOnce(tenantId, tenant)).keys;
    } catch (error) {
      if (held === undefined) throw error;
      log.warn('published_keys_kept', { tenantId, ageSeconds: Math.round(age) });
      return held.keys;
    }
  };
}

function toHeld(published: JSONWebKeySet, before: Held | undefined, fetchedAt: Date): Held {
  const text = JSON.stringify(published);
  if (before?.text === text) return { ...before, fetchedAt };
  const keyIds = new Set(published.keys.flatMap(({ kid }) => (kid === undefined ? [] : [kid])));
  return { text, fetchedAt, keys: { keySet: createLocalJWKSet(published), keyIds } };
}
