import { createLocalJWKSet, type JSONWebKeySet } from 'jose';
import type { Clock } from '../clock.ts';
import { addSeconds, secondsBetween } from '../clock.ts';
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

interface Held extends PublishedKeys {
  fetchedAt: Date;
}

interface Tenant {
  held: Held | undefined;
  /** Set while a fetch is under way, so that callers share it. */
  fetching: Promise<Held> | undefined;
  lastTriedAt: Date | undefined;
}

/** Published keys are asked for again after this long … */
const FRESH_SECONDS = 3600;
/** … and kept for this long while the issuer cannot be reached. */
const KEPT_SECONDS = 24 * 3600;
/** An unknown `kid`, or a failed fetch, leads to another fetch at most this often: strangers cannot make us hammer Entra. */
const COOL_DOWN_SECONDS = 30;

export interface PublishedKeysOptions {
  fetchKeys: FetchKeys;
  clock: Clock;
  log: Log;
  /** Told after every fetch, for the readiness answer. */
  report: (ok: boolean, tenantId: string) => void;
}

export type KeyRing = (tenantId: string, keyId: string) => Promise<PublishedKeys>;

/**
 * Holds what each tenant publishes. The result may lack the `kid` asked for: then no published key has it.
 *
 * @throws whatever `fetchKeys` throws, when no set that is young enough is held.
 */
export function createKeyRing({ fetchKeys, clock, log, report }: PublishedKeysOptions): KeyRing {
  const tenants = new Map<string, Tenant>();

  const fetchOnce = (tenantId: string, tenant: Tenant): Promise<Held> => {
    tenant.fetching ??= (async () => {
      tenant.lastTriedAt = clock();
      try {
        const published = await fetchKeys(tenantId);
        const held = {
          keySet: createLocalJWKSet(published),
          keyIds: new Set(published.keys.flatMap(({ kid }) => (kid === undefined ? [] : [kid]))),
          fetchedAt: clock(),
        };
        tenant.held = held;
        report(true, tenantId);
        return held;
      } catch (error) {
        report(false, tenantId);
        throw error;
      } finally {
        tenant.fetching = undefined;
      }
    })();
    return tenant.fetching;
  };

  return async (tenantId, keyId) => {
    const tenant = tenants.get(tenantId) ?? { held: undefined, fetching: undefined, lastTriedAt: undefined };
    tenants.set(tenantId, tenant);
    const now = clock();
    const { held } = tenant;
    const age = held === undefined ? Number.POSITIVE_INFINITY : secondsBetween(held.fetchedAt, now);
    if (held !== undefined && age < FRESH_SECONDS && held.keyIds.has(keyId)) return held;

    const usable = held !== undefined && age < KEPT_SECONDS ? held : undefined;
    const coolUntil = tenant.lastTriedAt && addSeconds(tenant.lastTriedAt, COOL_DOWN_SECONDS);
    if (usable !== undefined && tenant.fetching === undefined && coolUntil !== undefined && now < coolUntil)
      return usable;
    try {
      return await fetchOnce(tenantId, tenant);
    } catch (error) {
      if (usable === undefined) throw error;
      log.warn('published_keys_kept', { tenantId, ageSeconds: Math.round(age) });
      return usable;
    }
  };
}
