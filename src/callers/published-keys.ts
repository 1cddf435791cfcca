import { createLocalJWKSet, type JSONWebKeySet } from 'jose';
import { type Clock, secondsBetween } from '../clock.ts';
import type { Log } from '../log.ts';

/**
 * Where an issuer's keys are published: all that decides which keys are its own. Two policies that give one name to two
 * issuers, or pin other keys, name two sources.
 */
export type KeySource = { entraTenant: string } | OidcKeySource;

export interface OidcKeySource {
  /** The issuer's URL, as its tokens name it in `iss`. */
  issuer: string;
  /** Pins where the keys are; undefined: where the issuer's discovery says. */
  jwksUri: string | undefined;
}

/** Fetches the keys that an issuer publishes now: of a tenant (in src/azure) or of an OIDC issuer (in src/oidc). */
export type FetchKeys<Source = KeySource> = (source: Source) => Promise<JSONWebKeySet>;

/** One text for one source; the issuer's URL, or the tenant's id, without what is pinned, would be ambiguous. */
function nameSource(source: KeySource): string {
  if ('entraTenant' in source) return source.entraTenant;
  return source.jwksUri === undefined ? source.issuer : `${source.issuer} ${source.jwksUri}`;
}

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

interface Published {
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
/** An unknown `kid`, or a failed fetch, leads to another fetch at most this often: strangers cannot make us hammer an issuer. */
const COOL_DOWN_SECONDS = 30;
/** The same while nothing is held: sooner, because nobody can be served until then. */
const EMPTY_COOL_DOWN_SECONDS = 5;

export interface PublishedKeysOptions {
  fetchKeys: FetchKeys;
  clock: Clock;
  log: Log;
  /** Told after every fetch, for the readiness answer: `degraded` while an older set still serves. */
  report: (state: 'ok' | 'degraded' | 'down', source: string) => void;
}

export type KeyRing = (source: KeySource, keyId: string) => Promise<PublishedKeys>;

/**
 * Holds what each issuer publishes. The result may lack the `kid` asked for: then no published key has it.
 *
 * @throws whatever `fetchKeys` throws, when no set that is young enough is held.
 */
export function createKeyRing({ fetchKeys, clock, log, report }: PublishedKeysOptions): KeyRing {
  const issuers = new Map<string, Published>();

  const usable = ({ held }: Published): Held | undefined =>
    held !== undefined && secondsBetween(held.fetchedAt, clock()) < KEPT_SECONDS ? held : undefined;

  const fetchOnce = (source: KeySource, published: Published): Promise<Held> => {
    published.fetching ??= (async () => {
      published.lastTriedAt = clock();
      try {
        published.held = toHeld(await fetchKeys(source), published.held, clock());
        published.lastError = undefined;
        report('ok', nameSource(source));
        return published.held;
      } catch (error) {
        published.lastError = error;
        report(usable(published) === undefined ? 'down' : 'degraded', nameSource(source));
        throw error;
      } finally {
        published.fetching = undefined;
      }
    })();
    return published.fetching;
  };

  const coolingDown = ({ lastTriedAt, fetching, lastError }: Published, held: Held | undefined): boolean => {
    if (fetching !== undefined || lastTriedAt === undefined) return false;
    if (held === undefined && lastError === undefined) return false;
    const seconds = held === undefined ? EMPTY_COOL_DOWN_SECONDS : COOL_DOWN_SECONDS;
    return secondsBetween(lastTriedAt, clock()) < seconds;
  };

  return async (source, keyId) => {
    const name = nameSource(source);
    const published = issuers.get(name) ?? {
      held: undefined,
      fetching: undefined,
      lastTriedAt: undefined,
      lastError: undefined,
    };
    issuers.set(name, published);
    const held = usable(published);
    const age = held === undefined ? Number.POSITIVE_INFINITY : secondsBetween(held.fetchedAt, clock());
    if (held !== undefined && age < FRESH_SECONDS && held.keys.keyIds.has(keyId)) return held.keys;
    if (coolingDown(published, held)) {
      if (held === undefined) throw published.lastError;
      return held.keys;
    }
    try {
      return (await fetchOnce(source, published)).keys;
    } catch (error) {
      if (held === undefined) throw error;
      log.warn('published_keys_kept', { issuer: name, ageSeconds: Math.round(age) });
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
